import { monotonicMs, repeatEvery } from "../../core/time.ts";

export interface Lifetime extends Disposable {
  /** From now on what ends the process lets it finish first; before, it ends at once. */
  begin(): void;
  /** Aborts when the process should end. */
  readonly signal: AbortSignal;
  /** The exit code that says why, once it did. */
  readonly code: number | undefined;
  /** From now on it may outlive whoever started it, and the terminal that it doesn't write to. */
  outlive(): void;
}

/** Their numbers everywhere; node:os would be loaded to look them up. */
const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;
type Signal = keyof typeof SIGNALS;

const STDERR = 2;
const PARENT_MS = 500;

/** A signal that comes twice at once is one: from the terminal, and passed on by the process that started us. */
const ECHO_MS = 500;

/** Ends with Ctrl-C and its kin, and when whoever started us is gone, so that no waiter stays behind. A second signal ends at once. */
export function createLifetime(): Lifetime {
  const controller = new AbortController();
  const parent = process.ppid;
  let code: number | undefined;
  let since = 0;
  let hangsUp = true;
  let looking: Disposable | undefined;

  const end = (signal: Signal) => {
    if (signal === "SIGHUP" && !hangsUp) return;
    const ended = 128 + SIGNALS[signal];
    if (code !== undefined) {
      if (monotonicMs() - since > ECHO_MS) process.exit(ended);
      return;
    }
    code = ended;
    since = monotonicMs();
    controller.abort();
  };
  const lookForParent = () => {
    if (process.ppid !== parent && code === undefined) end("SIGHUP");
  };
  const signals: readonly Signal[] = ["SIGINT", "SIGTERM", "SIGHUP"];
  return {
    signal: controller.signal,
    begin() {
      for (const signal of signals) process.on(signal, end);
      looking = repeatEvery(PARENT_MS, lookForParent, false);
    },
    get code() {
      return code;
    },
    outlive() {
      looking?.[Symbol.dispose]();
      // Node takes no notice of nohup: it makes a SIGHUP that was ignored end the process again.
      hangsUp = process.getBuiltinModule("node:tty").isatty(STDERR);
    },
    [Symbol.dispose]() {
      looking?.[Symbol.dispose]();
      for (const signal of signals) process.off(signal, end);
    },
  };
}
