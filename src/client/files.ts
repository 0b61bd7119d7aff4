import { closeSync, openSync, readSync, statSync } from "node:fs";
import { hasCode, invalid, isIpcError } from "../core/errors.ts";
import { CONTENT_BYTES } from "../core/limits.ts";
import { onOneLine } from "../wire/printable.ts";

const STDIN = 0;
const sleepCell = new Int32Array(new SharedArrayBuffer(4));

export function withoutLineEnd(text: string): string {
  return text.replace(/\r?\n$/, "");
}

export function readStandardInput(): string {
  try {
    return decodeUtf8(readAll(STDIN, MAX_TEXT_BYTES), "standard input");
  } catch (error) {
    throw isIpcError(error) ? error : invalid(`standard input can't be read: ${explainFileError(error)}`);
  }
}

/** One byte more than the longest message with its line end. */
const MAX_TEXT_BYTES = CONTENT_BYTES + 3;

/** Longer than any key file, comments included. */
const MAX_KEY_BYTES = 64 * 1024;

/** Reads up to `max` bytes of an open file, which may be an endless pipe. */
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
    // A text that is too long was cut, perhaps within a character. Its length is refused later.
    const stream = bytes.length >= MAX_TEXT_BYTES;
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes, { stream });
  } catch {
    throw invalid(`${from} is not UTF-8 text`);
  }
}
