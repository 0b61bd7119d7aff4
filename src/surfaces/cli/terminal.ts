import { fstatSync, writeSync } from "node:fs";
import { hasCode, IpcError } from "../../core/errors.ts";
import { printable } from "../../wire/printable.ts";

/** The reader of our output has closed it. An answer that wasn't written doesn't count as delivered. */
export class ClosedOutput extends Error {}

const STDOUT = 1;
const STDERR = 2;
const cell = new Int32Array(new SharedArrayBuffer(4));

/** Writes the whole text or throws. When this returns, the operating system has every byte. */
export function print(text: string): true {
  write(STDOUT, text);
  return true;
}

/** Prints to standard error, and ignores failures: only the answer counts. */
export function printNote(text: string): void {
  try {
    write(STDERR, text);
  } catch {
    // Standard error is closed.
  }
}

const BAR = 30;
let drawn = false;

/** Draws a progress bar, if standard error is a terminal. */
export function showProgress({ done, of }: { readonly done: number; readonly of: number }): void {
  if (!process.getBuiltinModule("node:tty").isatty(STDERR)) return;
  const full = of === 0 ? BAR : Math.floor((done / of) * BAR);
  writeSync(STDERR, `\r[${"#".repeat(full)}${" ".repeat(BAR - full)}] ${done} of ${of}`);
  drawn = true;
}

export function clearProgress(): void {
  if (drawn) writeSync(STDERR, "\r\u001b[K");
  drawn = false;
}

function write(file: number, text: string): void {
  const bytes = Buffer.from(`${printable(text)}\n`);
  for (let done = 0; done < bytes.length; ) {
    try {
      done += writeSync(file, bytes, done);
    } catch (error) {
      if (!hasCode(error, "EAGAIN")) throw unwritable(error);
      Atomics.wait(cell, 0, 0, 1);
    }
  }
}

function unwritable(cause: unknown): Error {
  if (hasCode(cause, "EPIPE") || hasCode(cause, "EBADF")) return new ClosedOutput();
  const why = hasCode(cause, "ENOSPC") ? "no space is left on the device" : String(cause);
  return new IpcError("internal", `standard output can't be written: ${why}`, undefined, { cause });
}

/** Whether standard output is a file that other users can read. */
export function othersCanReadOutput(): boolean {
  const output = fstatSync(STDOUT);
  return process.platform !== "win32" && output.isFile() && (output.mode & 0o077) !== 0;
}
