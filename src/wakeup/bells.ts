import type { Store } from "../core/store.ts";
import { type Bell, isChannel, type Topic } from "../core/waiting.ts";

/** Node's timers can't count further; a longer wait wakes early, looks again and goes on. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Waiters woken per turn of the event loop, so that their work doesn't delay other answers. */
const WOKEN_AT_ONCE = 50;

export type Bells = ReturnType<typeof createBells>;

/** Returns a function that asks the store for changes nobody rang for, and rings for them; one question at a time. */
export function createPoll(bells: Bells, changes: Store["changes"]): () => Promise<void> {
  let isAsking = false;
  return async () => {
    if (isAsking) return;
    isAsking = true;
    try {
      const changed = await changes([...bells.topics].every(isChannel) ? "messages" : undefined);
      if (changed === undefined) return bells.ringAll();
      for (const channel of changed.channels) bells.ring(channel);
      if (changed.others) for (const topic of [...bells.topics]) if (!isChannel(topic)) bells.ring(topic);
    } catch {
      // The waiters meet the same fault when they look, and report it.
      bells.ringAll();
    } finally {
      isAsking = false;
    }
  };
}

export function createBells() {
  const armed = new Map<string, Set<() => void>>();
  const ringing = new Map<string, { again: boolean }>();

  /** Wakes many waiters in slices. A ring meanwhile wakes them all once more. */
  const ring = (topic: Topic): void => {
    const bells = armed.get(topic);
    if (bells === undefined) return;
    const current = ringing.get(topic);
    if (current !== undefined) current.again = true;
    else if (bells.size <= WOKEN_AT_ONCE) for (const hear of bells) hear();
    else ringInSlices(topic, [...bells]);
  };

  const ringInSlices = (topic: Topic, bells: readonly (() => void)[]): void => {
    const state = { again: false };
    ringing.set(topic, state);
    const ringSlice = (from: number): void => {
      for (const hear of bells.slice(from, from + WOKEN_AT_ONCE)) hear();
      if (from + WOKEN_AT_ONCE < bells.length) return void setImmediate(ringSlice, from + WOKEN_AT_ONCE);
      ringing.delete(topic);
      if (state.again) ring(topic);
    };
    ringSlice(0);
  };

  return {
    /** `disarmed` is called when the bell is disposed of. */
    arm(topic: Topic, disarmed: () => void): Bell {
      let isRung = false;
      let wake: (() => void) | undefined;
      const hear = () => {
        isRung = true;
        wake?.();
      };
      const others = armed.get(topic);
      if (others === undefined) armed.set(topic, new Set([hear]));
      else others.add(hear);

      return {
        wait: (signal, milliseconds = Number.POSITIVE_INFINITY) =>
          new Promise((resolve) => {
            const done = () => {
              clearTimeout(timer);
              signal.removeEventListener("abort", done);
              wake = undefined;
              isRung = false;
              resolve();
            };
            const timer = Number.isFinite(milliseconds)
              ? setTimeout(done, Math.min(milliseconds, MAX_TIMER_MS))
              : undefined;
            if (isRung || signal.aborted) return done();
            signal.addEventListener("abort", done, { once: true });
            wake = done;
          }),
        [Symbol.dispose]() {
          const bells = armed.get(topic);
          bells?.delete(hear);
          if (bells?.size === 0) armed.delete(topic);
          disarmed();
        },
      };
    },

    ring,

    ringAll(): void {
      for (const topic of [...armed.keys()]) ring(topic);
    },

    has: (topic: Topic): boolean => armed.has(topic),

    get topics(): Iterable<Topic> {
      return armed.keys();
    },
  };
}
