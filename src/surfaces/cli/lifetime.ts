import { monotonicMs, repeatEvery } from "../../core/time.ts";

export interface Lifetime extends Disposable {
  /** From now on, a signal aborts `signal` instead of ending the process at once. */
  begin(): void;
  readonly signal: AbortSignal;
  /** The exit code, once `signal` has aborted. */
  readonly code: number | undefined;
  /** From now on, the process may outlive its parent, and a terminal that it doesn't write to. */
  outlive(): void;
}

/** These numbers are the same on every platform. Looking them up would load node:os. */
const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;
type Signal = keyof typeof SIGNALS;

const STDERR = 2;
const PARENT_MS = 500;

/** Signals this close together are one: the terminal sends it, and so does the parent process. */
const ECHO_MS = 500;

/** Ends at a signal, or when the parent process ends, so that no waiter stays behind. A second signal ends at once. */
export function createLifetime(): Lifetime {
  const controller = new AbortController();
  const parent = process.ppid;
  let code: number | undefined;
  let since = 0;
  let hangsUp = true;
  let parentCheck: Disposable | undefined;

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
  const checkParent = () => {
    if (process.ppid !== parent && code === undefined) end("SIGHUP");
  };
  const signals: readonly Signal[] = ["SIGINT", "SIGTERM", "SIGHUP"];
  return {
    signal: controller.signal,
    begin() {
      for (const signal of signals) process.on(signal, end);
      parentCheck = repeatEvery(PARENT_MS, checkParent, false);
    },
    get code() {
      return code;
    },
    outlive() {
      parentCheck?.[Symbol.dispose]();
      // Node ignores nohup: it restores the default action of SIGHUP, which ends the process.
      hangsUp = process.getBuiltinModule("node:tty").isatty(STDERR);
    },
    [Symbol.dispose]() {
      parentCheck?.[Symbol.dispose]();
      for (const signal of signals) process.off(signal, end);
    },
  };
}
