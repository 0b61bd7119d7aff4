/** A monotonic clock. Loading `performance` would cost a fresh process more than the rest of a send. */
export function monotonicMs(): number {
  return process.uptime() * 1_000;
}

interface Round {
  readonly timer: NodeJS.Timeout;
  readonly acts: Set<{ readonly act: () => void; readonly keepsAlive: boolean }>;
}

const rounds = new Map<number, Round>();

/** Repeats an act until disposed of. Acts with the same interval share a timer, so an idle process wakes up less. */
export function repeatEvery(milliseconds: number, act: () => void, keepsAlive = true): Disposable {
  const round = rounds.get(milliseconds) ?? startRound(milliseconds);
  const entry = { act, keepsAlive };
  round.acts.add(entry);
  updateRef(round);
  return {
    [Symbol.dispose]() {
      if (!round.acts.delete(entry)) return;
      updateRef(round);
      if (round.acts.size > 0) return;
      clearInterval(round.timer);
      rounds.delete(milliseconds);
    },
  };
}

function startRound(milliseconds: number): Round {
  const acts: Round["acts"] = new Set();
  const timer = setInterval(() => {
    for (const { act } of acts) act();
  }, milliseconds);
  const round = { timer, acts };
  rounds.set(milliseconds, round);
  return round;
}

/** The timer keeps the process alive while one of its acts should. */
function updateRef({ timer, acts }: Round): void {
  if ([...acts].some(({ keepsAlive }) => keepsAlive)) timer.ref();
  else timer.unref();
}

/** Resolves after this time, or when the signal aborts. */
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

const FIRST_MS = 100;
const MAX_MS = 5_000;

/** Exponential waits with jitter, so that clients don't overwhelm a server that comes back. */
export interface Backoff {
  reset(): void;
  wait(): Promise<void>;
}

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
