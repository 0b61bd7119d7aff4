import { closeSync, openSync, readSync, statSync } from "node:fs";
import { hasCode, invalid, isIpcError } from "../core/errors.ts";
import { CONTENT_BYTES } from "../core/limits.ts";
import { onOneLine } from "../wire/printable.ts";

const STDIN = 0;
const sleepCell = new Int32Array(new SharedArrayBuffer(4));

/** Removes the line end that editors and shell commands put behind a text. */
export function withoutLineEnd(text: string): string {
  return text.replace(/\r?\n$/, "");
}

/** Reads a message's text from standard input. */
export function readStandardInput(): string {
  try {
    return decodeUtf8(readAll(STDIN, MAX_TEXT_BYTES), "standard input");
  } catch (error) {
    throw isIpcError(error) ? error : invalid(`standard input can't be read: ${explainFileError(error)}`);
  }
}

/** One byte more than the longest message with its line end. */
const MAX_TEXT_BYTES = CONTENT_BYTES + 3;

/** More than any key file has, comments included. */
const MAX_KEY_BYTES = 64 * 1024;

/** Reads an open file, which may be a pipe or endless, up to a number of bytes. */
function readAll(file: number, max: number): Buffer {
  const chunks: Buffer[] = [];
  for (let length = 0; length < max; ) {
    const chunk = Buffer.alloc(Math.min(64 * 1024, max - length));
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
      Atomics.wait(sleepCell, 0, 0, 5);
    }
  }
}

/** Reads a file, such as a key's. */
export function readFile(path: string, max: number = MAX_KEY_BYTES): Buffer {
  let file: number | undefined;
  try {
    file = openSync(path, "r");
    return readAll(file, max);
  } catch (error) {
    throw invalid(`${onOneLine(path)} can't be read: ${explainFileError(error)}`);
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

const FILE_ERRORS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file or folder",
  EISDIR: "it is a folder",
  ENOTDIR: "a part of its path is no folder",
  EACCES: "you may not",
  EPERM: "you may not",
  EROFS: "its disk is read-only",
  ENOSPC: "its disk is full",
};

/** The reason why a file can't be read or written. */
export function explainFileError(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return FILE_ERRORS[code] ?? onOneLine(error instanceof Error ? error.message : String(error));
}

export function othersCanRead(path: string): boolean {
  return process.platform !== "win32" && (statSync(path).mode & 0o077) !== 0;
}

export function readTextFile(path: string): string {
  return decodeUtf8(readFile(path, MAX_TEXT_BYTES), onOneLine(path));
}

function decodeUtf8(bytes: Uint8Array, from: string): string {
  try {
    // A text that is too long was cut, perhaps within a character. It is refused for its length later.
    const stream = bytes.length >= MAX_TEXT_BYTES;
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes, { stream });
  } catch {
    throw invalid(`${from} is not UTF-8 text`);
  }
}
