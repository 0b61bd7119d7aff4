import { closeSync, fstatSync, openSync, readSync, statSync, writeSync } from "node:fs";
import { hasCode, IpcError, invalid, isIpcError } from "../../core/errors.ts";
import { CONTENT_BYTES } from "../../core/limits.ts";
import { onOneLine, printable } from "../../wire/printable.ts";

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
  try {
    return utf8(readAll(STDIN, MAX_TEXT_BYTES), "standard input");
  } catch (error) {
    throw isIpcError(error) ? error : invalid(`standard input can't be read: ${whyOf(error)}`);
  }
}

/** More than any message may have, with a line end. */
const MAX_TEXT_BYTES = CONTENT_BYTES + 3;

/** More than any key has, whatever is written around it. */
const MAX_KEY_BYTES = 64 * 1024;

/** What an open file holds, up to so many bytes: it may be a pipe, or have no end. */
function readAll(file: number, most: number): Buffer {
  const chunks: Buffer[] = [];
  for (let length = 0; length < most; ) {
    const chunk = Buffer.alloc(Math.min(64 * 1024, most - length));
    const count = readSome(file, chunk);
    if (count === 0) break;
    chunks.push(chunk.subarray(0, count));
    length += count;
  }
  return Buffer.concat(chunks);
}

function readSome(file: number, chunk: Buffer): number {
  for (;;) {
    try {
      return readSync(file, chunk);
    } catch (error) {
      if (hasCode(error, "EOF")) return 0;
      if (!hasCode(error, "EAGAIN")) throw error;
      Atomics.wait(cell, 0, 0, 5);
    }
  }
}

/** The file of a key. */
export function readFile(path: string, most: number = MAX_KEY_BYTES): Buffer {
  let file: number | undefined;
  try {
    file = openSync(path, "r");
    return readAll(file, most);
  } catch (error) {
    throw invalid(`${onOneLine(path)} can't be read: ${whyOf(error)}`);
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

const WHY: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file or folder",
  EISDIR: "it is a folder",
  ENOTDIR: "a part of its path is no folder",
  EACCES: "you may not",
  EPERM: "you may not",
  EROFS: "its disk is read-only",
  ENOSPC: "its disk is full",
};

/** Why a file can't be read or written, in words. */
export function whyOf(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return WHY[code] ?? onOneLine(error instanceof Error ? error.message : String(error));
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
  return utf8(readFile(path, MAX_TEXT_BYTES), onOneLine(path));
}

function utf8(bytes: Uint8Array, from: string): string {
  try {
    // What is too long was cut off anywhere, and is refused for its length.
    const stream = bytes.length >= MAX_TEXT_BYTES;
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes, { stream });
  } catch {
    throw invalid(`${from} is not UTF-8 text`);
  }
}
