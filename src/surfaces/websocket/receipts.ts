/** Whoever said that it would say what it has received, and doesn't for so long, hasn't received it. */
const RECEIVED_MS = 60_000;

/** What the other end says that it has received. */
export interface Receipts {
  note(ids: readonly unknown[]): void;
  /** Ends once all of these were noted; false when that can't be any more. */
  of(ids: readonly number[]): Promise<boolean>;
  stop(): void;
}

export function createReceipts(): Receipts {
  let waiting: { readonly missing: Set<number>; readonly settle: (all: boolean) => void } | undefined;
  let stopped = false;
  return {
    note(ids) {
      if (waiting === undefined) return;
      for (const id of ids) if (typeof id === "number") waiting.missing.delete(id);
      if (waiting.missing.size === 0) waiting.settle(true);
    },
    of: (ids) =>
      new Promise((resolve) => {
        if (stopped) return resolve(false);
        const timer = setTimeout(resolve, RECEIVED_MS, false);
        const settle = (all: boolean) => {
          clearTimeout(timer);
          resolve(all);
        };
        waiting = { missing: new Set(ids), settle };
      }),
    stop() {
      stopped = true;
      waiting?.settle(false);
    },
  };
}
