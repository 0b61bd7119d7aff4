import type { Bell } from "../core/wakeup.ts";

/** Node can't count further; a wait that is longer looks again and goes on. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** The bells of this process, by channel. */
export interface Bells {
  arm(channel: string, disarmed: () => void): Bell;
  ring(channel: string): void;
  ringAll(): void;
  has(channel: string): boolean;
  readonly channels: Iterable<string>;
}

export function createBells(): Bells {
  const armed = new Map<string, Set<() => void>>();

  return {
    arm(channel, disarmed) {
      let heard = false;
      let wake: (() => void) | undefined;
      const hear = () => {
        heard = true;
        wake?.();
      };
      const others = armed.get(channel);
      if (others === undefined) armed.set(channel, new Set([hear]));
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
              ? setTimeout(done, Math.min(milliseconds, LONGEST_TIMER))
              : undefined;
            if (heard || signal.aborted) return done();
            signal.addEventListener("abort", done, { once: true });
            wake = done;
          }),
        [Symbol.dispose]() {
          const bells = armed.get(channel);
          bells?.delete(hear);
          if (bells?.size === 0) armed.delete(channel);
          disarmed();
        },
      };
    },

    ring(channel) {
      for (const hear of armed.get(channel) ?? []) hear();
    },

    ringAll() {
      for (const bells of armed.values()) for (const hear of bells) hear();
    },

    has: (channel) => armed.has(channel),

    get channels() {
      return armed.keys();
    },
  };
}
