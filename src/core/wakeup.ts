/**
 * How a waiter learns that it should look again. A wake-up carries no data; it may be lost, or come twice, and
 * nothing breaks: whoever wakes reads the store. test/contracts/wakeup.ts holds what every kind promises.
 */
export interface Wakeup extends AsyncDisposable {
  /** Called after the commit. Never throws: a bell that can't be rung is heard by the next look at the clock. */
  ring(channel: string): void;

  /** What was rung after this returns is heard by the bell's next `rung`, even if it came before that call. */
  arm(channel: string): Bell;
}

export interface Bell extends Disposable {
  /** Ends when the bell was rung, when `signal` aborts, or after `milliseconds`, whichever is first. */
  rung(signal: AbortSignal, milliseconds?: number): Promise<void>;
}
