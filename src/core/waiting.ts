import { monotonicMs } from "./time.ts";

export interface Wait {
  readonly topic: Topic;
  readonly signal: AbortSignal;
  /** The longest wait; unbounded without it. */
  readonly seconds?: number | undefined;
  /** Milliseconds until the next look even without a ring, where time alone may change the result. */
  readonly pause?: () => Promise<number | undefined>;
}

/** The first result of `look`; undefined once the time is up or the signal aborts. */
export async function waitFor<T>(
  bus: { readonly wakeup: Wakeup },
  wait: Wait,
  look: () => Promise<T | undefined>,
): Promise<T | undefined> {
  for await (const found of waitForEach(bus, wait, look)) return found;
  return undefined;
}

/**
 * The one blocking loop of the program: arm the bell, look, sleep, look again. Yields each result of `look`; ends once the
 * time is up or the signal aborts.
 */
export async function* waitForEach<T>(
  { wakeup }: { readonly wakeup: Wakeup },
  { topic, signal, seconds, pause }: Wait,
  look: () => Promise<T | undefined>,
): AsyncGenerator<T, void, void> {
  // Looks before arming the bell: a caller that finds something at once never pays for a bell.
  for (let found = await look(); found !== undefined; found = await look()) {
    if (signal.aborted) return;
    yield found;
  }
  const end = seconds === undefined ? Number.POSITIVE_INFINITY : monotonicMs() + seconds * 1_000;
  using bell = wakeup.arm(topic);
  while (!signal.aborted) {
    const found = await look();
    if (found !== undefined) {
      yield found;
      continue;
    }
    const left = end - monotonicMs();
    if (left <= 0) return;
    const sleep = (await pause?.()) ?? left;
    await bell.wait(signal, Math.min(left, Math.max(0, sleep)));
  }
}

/**
 * Tells waiters to look again. A wake-up carries no data, and may be lost or come twice, since a woken waiter reads the
 * store. test/contracts/wakeup.ts is the contract of every kind.
 */
export interface Wakeup extends AsyncDisposable {
  /** Called after the commit. Never throws: waiters that miss a ring look again in time. */
  ring(topic: Topic): void;

  /** Rings after this returns are heard by the bell's next `wait`, even if they come before that call. */
  arm(topic: Topic): Bell;
}

export interface Bell extends Disposable {
  /** Resolves when the bell rings, `signal` aborts, or `milliseconds` pass, whichever is first. */
  wait(signal: AbortSignal, milliseconds?: number): Promise<void>;
}

/** A channel's name, for its messages. Other topics begin with a control character, which no name holds. */
export type Topic = string;

const OTHER = "\u0000";

/** Rung when messages of the channel were consumed. */
export function watermarkTopic(channel: string): Topic {
  return `${OTHER}reading${OTHER}${channel}`;
}

/** Rung when there may be a command for the session to take. */
export function commandsTopic(sessionId: string): Topic {
  return `${OTHER}orders${OTHER}${sessionId}`;
}

/** Rung when the command ended. */
export function commandEndTopic(commandId: string): Topic {
  return `${OTHER}order${OTHER}${commandId}`;
}

/** Rung when the signal was set. */
export function signalTopic(signal: string): Topic {
  return `${OTHER}signal${OTHER}${signal}`;
}

/** Rung by every change, for watchers of the whole bus. */
export const ANY_CHANGE: Topic = `${OTHER}everything`;

export function isChannel(topic: Topic): boolean {
  return !topic.startsWith(OTHER);
}
