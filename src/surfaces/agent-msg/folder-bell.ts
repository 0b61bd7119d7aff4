import { type FSWatcher, watch } from "node:fs";

export interface FolderBell extends Disposable {
  /** Ends when something in the folder has changed since it was last heard, after so long at the latest. */
  rung(milliseconds: number, signal: AbortSignal): Promise<void>;
}

/** Hears what others put into a folder. Where nothing can be watched, whoever waits looks by the clock. */
export function createFolderBell(folder: string): FolderBell {
  let heard = false;
  let wake = () => {};
  const watcher = watching(folder, () => {
    heard = true;
    wake();
  });
  return {
    rung: (milliseconds, signal) =>
      new Promise((resolve) => {
        const done = () => {
          clearTimeout(timer);
          signal.removeEventListener("abort", done);
          wake = () => {};
          heard = false;
          resolve();
        };
        const timer = setTimeout(done, milliseconds);
        if (heard || signal.aborted) return done();
        signal.addEventListener("abort", done, { once: true });
        wake = done;
      }),
    [Symbol.dispose]: () => watcher?.close(),
  };
}

function watching(folder: string, hear: () => void): FSWatcher | undefined {
  try {
    return watch(folder, { persistent: false }, hear).on("error", () => {});
  } catch {
    return undefined;
  }
}
