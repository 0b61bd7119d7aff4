/**
 * Milliseconds that only ever go forward, for measuring a wait. Not `elapsed()`: that makes Node load a module
 * which costs a fresh process more than all the rest of a send.
 */
export function monotonicMs(): number {
  return process.uptime() * 1_000;
}

interface Round {
  readonly timer: NodeJS.Timeout;
  readonly acts: Set<{ readonly act: () => void; readonly keepsAlive: boolean }>;
}

const rounds = new Map<number, Round>();

/**
 * Does something each so many milliseconds until it is disposed of. What a process does as often, it does together, so that
 * one that only waits wakes once for all of it.
 */
export function repeatEvery(milliseconds: number, act: () => void, keepsAlive = true): Disposable {
  const round = rounds.get(milliseconds) ?? begin(milliseconds);
  const one = { act, keepsAlive };
  round.acts.add(one);
  hold(round);
  return {
    [Symbol.dispose]() {
      if (!round.acts.delete(one)) return;
      hold(round);
      if (round.acts.size > 0) return;
      clearInterval(round.timer);
      rounds.delete(milliseconds);
    },
  };
}

function begin(milliseconds: number): Round {
  const acts: Round["acts"] = new Set();
  const timer = setInterval(() => {
    for (const { act } of acts) act();
  }, milliseconds);
  const round = { timer, acts };
  rounds.set(milliseconds, round);
  return round;
}

function hold({ timer, acts }: Round): void {
  if ([...acts].some(({ keepsAlive }) => keepsAlive)) timer.ref();
  else timer.unref();
}

const FIRST_MS = 100;
const MAX_MS = 5_000;

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

export interface Backoff {
  /** What was waited for is there again. */
  reset(): void;
  wait(): Promise<void>;
}

/** Longer and longer, so that a server which comes back isn't trampled. */
export function createBackoff(signal: AbortSignal): Backoff {
  let milliseconds = FIRST_MS;
  return {
    reset() {
      milliseconds = FIRST_MS;
    },
    async wait() {
      await sleep(milliseconds * (0.5 + Math.random()), signal);
      milliseconds = Math.min(milliseconds * 2, MAX_MS);
    },
  };
}
