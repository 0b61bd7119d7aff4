import { monotonicMs } from "./time.ts";

export interface WaitOptions {
  readonly wakeup: Wakeup;
  readonly topic: Topic;
  readonly signal: AbortSignal;
  /** How long to wait in all; forever where it doesn't say. */
  readonly milliseconds?: number | undefined;
  /** How long it may sleep at most before it looks again, where something can come about by time alone. */
  readonly pause?: () => Promise<number | undefined>;
}

/**
 * The one blocking loop of the program: arm the bell, look, sleep, look again. Yields each thing that `look` finds, as
 * soon as it is there; ends when the time is up or the signal aborts.
 */
export async function* waiting<T>(
  wait: WaitOptions,
  look: () => Promise<T | undefined>,
): AsyncGenerator<T, void, void> {
  // A look before the bell is armed: who finds something at once never pays for a bell.
  for (let found = await look(); found !== undefined; found = await look()) {
    if (wait.signal.aborted) return;
    yield found;
  }
  const end = wait.milliseconds === undefined ? Number.POSITIVE_INFINITY : monotonicMs() + wait.milliseconds;
  using bell = wait.wakeup.arm(wait.topic);
  while (!wait.signal.aborted) {
    const found = await look();
    if (found !== undefined) {
      yield found;
      continue;
    }
    const left = end - monotonicMs();
    if (left <= 0) return;
    const pause = (await wait.pause?.()) ?? left;
    await bell.rung(wait.signal, Math.min(left, Math.max(0, pause)));
  }
}

/**
 * How a waiter learns that it should look again. A wake-up carries no data; it may be lost, or come twice, and
 * nothing breaks: whoever wakes reads the store. test/contracts/wakeup.ts holds what every kind promises.
 */
export interface Wakeup extends AsyncDisposable {
  /** Called after the commit. Never throws: a bell that can't be rung is heard by the next look at the clock. */
  ring(topic: Topic): void;

  /** What was rung after this returns is heard by the bell's next `rung`, even if it came before that call. */
  arm(topic: Topic): Bell;
}

/** A channel's name, for its messages; or, with a control character before it that no name has, something else. */
export type Topic = string;

const OTHER = "\u0000";

/** Rung when somebody consumed messages of the channel. */
export function watermarkTopic(channel: string): Topic {
  return `${OTHER}reading${OTHER}${channel}`;
}

/** Rung when there may be an order for the peer to take. */
export function commandsTopic(peer: string): Topic {
  return `${OTHER}orders${OTHER}${peer}`;
}

/** Rung when the order ended. */
export function commandEndTopic(order: string): Topic {
  return `${OTHER}order${OTHER}${order}`;
}

/** Rung when the signal was set. */
export function signalTopic(signal: string): Topic {
  return `${OTHER}signal${OTHER}${signal}`;
}

/** Rung with every change, for those who watch the whole bus. */
export const ANY_CHANGE: Topic = `${OTHER}everything`;

export function isChannel(topic: Topic): boolean {
  return !topic.startsWith(OTHER);
}

export interface Bell extends Disposable {
  /** Ends when the bell was rung, when `signal` aborts, or after `milliseconds`, whichever is first. */
  rung(signal: AbortSignal, milliseconds?: number): Promise<void>;
}
