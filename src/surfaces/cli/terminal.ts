import { fstatSync, readFileSync, readSync, statSync, writeSync } from "node:fs";
import { hasCode, IpcError, invalid } from "../../core/errors.ts";
import { CONTENT_BYTES } from "../../core/limits.ts";
import { printable } from "../../wire/printable.ts";

/** Whoever read our output has gone: nothing more can be delivered, and nothing counts as delivered that wasn't. */
export class ClosedOutput extends Error {}

const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;
const cell = new Int32Array(new SharedArrayBuffer(4));

/** Writes it all, or throws; when it returns, the operating system has every byte. */
export function print(text: string): true {
  write(STDOUT, text);
  return true;
}

/** Says something beside the answer. Where nobody can hear it, the answer still stands. */
export function printNote(text: string): void {
  try {
    write(STDERR, text);
  } catch {
    // As above.
  }
}

const BAR = 30;
let drawn = false;

/** A bar on a terminal; nothing where standard error goes elsewhere. */
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

/** Text as editors and shell commands leave it, without the line end that they put behind it. */
export function withoutLineEnd(text: string): string {
  return text.replace(/\r?\n$/, "");
}

/** A message's text from standard input. */
export function readStandardInput(): string {
  const chunks: Buffer[] = [];
  for (let length = 0; length <= CONTENT_BYTES + 2; ) {
    const chunk = Buffer.alloc(64 * 1024);
    const count = readSome(chunk);
    if (count === 0) break;
    chunks.push(chunk.subarray(0, count));
    length += count;
  }
  return utf8(Buffer.concat(chunks), "standard input");
}

function readSome(chunk: Buffer): number {
  for (;;) {
    try {
      return readSync(STDIN, chunk);
    } catch (error) {
      if (hasCode(error, "EOF")) return 0;
      if (!hasCode(error, "EAGAIN")) throw invalid("standard input can't be read");
      Atomics.wait(cell, 0, 0, 5);
    }
  }
}

export function readFile(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const why = hasCode(error, "ENOENT")
      ? "there is no such file"
      : error instanceof Error
        ? error.message
        : String(error);
    throw invalid(`${path} can't be read: ${why}`);
  }
}

export function othersCanRead(path: string): boolean {
  return process.platform !== "win32" && (statSync(path).mode & 0o077) !== 0;
}

/** Whether what is printed goes to a file that others can read. */
export function othersCanReadOutput(): boolean {
  const output = fstatSync(STDOUT);
  return process.platform !== "win32" && output.isFile() && (output.mode & 0o077) !== 0;
}

export function readTextFile(path: string): string {
  return utf8(readFile(path), path);
}

function utf8(bytes: Uint8Array, from: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw invalid(`${from} is not UTF-8 text`);
  }
}
