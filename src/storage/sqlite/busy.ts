import { elapsed } from "../../core/clock.ts";
import { IpcError } from "../../core/errors.ts";
import { isBusy } from "./driver.ts";

const LONGEST_MS = 10_000;
const cell = new Int32Array(new SharedArrayBuffer(4));

/**
 * Does one step on the file, again and again while other processes hold it. SQLite's own busy handler backs off so far
 * that one of several writers can starve; short, uneven pauses give everybody a turn. Between two tries the event loop
 * runs, so that a server goes on answering. Free as it mostly is, it answers without a promise.
 */
export function whileBusy<T>(step: () => T): T | Promise<T> {
  try {
    return step();
  } catch (error) {
    if (!isBusy(error)) throw error;
    return again(step);
  }
}

async function again<T>(step: () => T): Promise<T> {
  for (const end = elapsed() + LONGEST_MS; ; ) {
    Atomics.wait(cell, 0, 0, 0.05 + Math.random() * 0.95);
    await new Promise(setImmediate);
    try {
      return step();
    } catch (error) {
      if (!isBusy(error)) throw error;
      if (elapsed() > end) {
        throw new IpcError("internal", "The database is busy: another program has held it for 10 seconds", undefined, {
          cause: error,
        });
      }
    }
  }
}
