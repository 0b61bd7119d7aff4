import type { Store } from "../core/store.ts";
import { type Bell, isChannel, type Topic } from "../core/waiting.ts";

/** Node can't count further; a wait that is longer looks again and goes on. */
const MAX_TIMER = 2 ** 31 - 1;

/** So many are woken at once: what they then do must not keep others from being answered. */
const AT_ONCE = 50;

/** The bells of this process, by topic. */
export interface Bells {
  arm(topic: Topic, disarmed: () => void): Bell;
  ring(topic: Topic): void;
  ringAll(): void;
  has(topic: Topic): boolean;
  readonly topics: Iterable<string>;
}

/** Asks the store whether somebody wrote without ringing, and rings for it; once at a time. */
export function createAsker(bells: Bells, changes: Store["changes"]): () => Promise<void> {
  let asking = false;
  return async () => {
    if (asking) return;
    asking = true;
    try {
      const changed = await changes([...bells.topics].every(isChannel) ? "messages" : undefined);
      if (changed === undefined) return bells.ringAll();
      for (const channel of changed.channels) bells.ring(channel);
      if (changed.others) for (const topic of [...bells.topics]) if (!isChannel(topic)) bells.ring(topic);
    } catch {
      // The waiters meet the same fault when they look, and say it.
      bells.ringAll();
    } finally {
      asking = false;
    }
  };
}

export function createBells(): Bells {
  const armed = new Map<string, Set<() => void>>();
  const ringing = new Map<string, { again: boolean }>();

  /** The first few hear it now, the others in later turns of the event loop; rung meanwhile, all hear it once more. */
  const ring = (topic: Topic): void => {
    const bells = armed.get(topic);
    if (bells === undefined) return;
    const before = ringing.get(topic);
    if (before !== undefined) before.again = true;
    else if (bells.size <= AT_ONCE) for (const hear of bells) hear();
    else ringInSlices(topic, [...bells]);
  };

  const ringInSlices = (topic: Topic, bells: readonly (() => void)[]): void => {
    const state = { again: false };
    ringing.set(topic, state);
    const slice = (from: number): void => {
      for (const hear of bells.slice(from, from + AT_ONCE)) hear();
      if (from + AT_ONCE < bells.length) return void setImmediate(slice, from + AT_ONCE);
      ringing.delete(topic);
      if (state.again) ring(topic);
    };
    slice(0);
  };

  return {
    arm(topic, disarmed) {
      let heard = false;
      let wake: (() => void) | undefined;
      const hear = () => {
        heard = true;
        wake?.();
      };
      const others = armed.get(topic);
      if (others === undefined) armed.set(topic, new Set([hear]));
      else others.add(hear);

      return {
        rung: (signal, milliseconds = Number.POSITIVE_INFINITY) =>
          new Promise((resolve) => {
            const done = () => {
              clearTimeout(timer);
              signal.removeEventListener("abort", done);
              wake = undefined;
              heard = false;
              resolve();
            };
            const timer = Number.isFinite(milliseconds)
              ? setTimeout(done, Math.min(milliseconds, MAX_TIMER))
              : undefined;
            if (heard || signal.aborted) return done();
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

    ringAll() {
      for (const topic of [...armed.keys()]) ring(topic);
    },

    has: (topic) => armed.has(topic),

    get topics() {
      return armed.keys();
    },
  };
}
