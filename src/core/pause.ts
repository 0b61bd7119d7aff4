const FIRST_MS = 100;
const LONGEST_MS = 5_000;

/** Waits so long, or until the signal aborts. */
export function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    if (signal.aborted) done();
    else signal.addEventListener("abort", done);
  });
}

export interface Pause {
  /** What was waited for is there again. */
  reset(): void;
  wait(): Promise<void>;
}

/** Longer and longer, so that a server which comes back isn't trampled. */
export function createPause(signal: AbortSignal): Pause {
  let milliseconds = FIRST_MS;
  return {
    reset() {
      milliseconds = FIRST_MS;
    },
    async wait() {
      await sleep(milliseconds * (0.5 + Math.random()), signal);
      milliseconds = Math.min(milliseconds * 2, LONGEST_MS);
    },
  };
}
