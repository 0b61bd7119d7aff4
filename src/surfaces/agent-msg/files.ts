import {
  closeSync,
  constants,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  statSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { conflict, hasCode } from "../../core/errors.ts";

/** Puts a file in place at once and whole: who looks sees all of it, or what was there before. */
export function writeWhole(file: string, text: string): void {
  const folder = dirname(file);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const draft = join(folder, `.${basename(file)}.${unique()}`);
  try {
    const opened = openSync(draft, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
    try {
      const bytes = Buffer.from(text);
      for (let done = 0; done < bytes.length; ) done += writeSync(opened, bytes, done);
      fsyncSync(opened);
    } finally {
      closeSync(opened);
    }
    renameSync(draft, file);
  } catch (error) {
    remove(draft);
    throw error;
  }
}

const LOCK_MS = 5_000;
const cell = new Int32Array(new SharedArrayBuffer(4));

/** Does something that two must not do at once. A lock that is older than all such work was left by someone who died. */
export function underLock(file: string, act: () => void): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  for (const end = Date.now() + 2 * LOCK_MS; !made(file); Atomics.wait(cell, 0, 0, 2 + Math.random() * 10)) {
    const since = statSync(file, { throwIfNoEntry: false })?.mtimeMs;
    if (since !== undefined && Date.now() - since > LOCK_MS) remove(file);
    if (Date.now() >= end) throw conflict(`somebody else is changing the list of agents: remove ${file} if nobody is`);
  }
  try {
    act();
  } finally {
    remove(file);
  }
}

function made(file: string): boolean {
  try {
    closeSync(openSync(file, "wx", 0o600));
    return true;
  } catch (error) {
    if (hasCode(error, "EEXIST")) return false;
    throw error;
  }
}

/** Removes a file, if nobody else did. */
export function remove(file: string): void {
  try {
    unlinkSync(file);
  } catch (error) {
    if (!hasCode(error, "ENOENT")) throw error;
  }
}

/** Sorts by when it was made. */
export function unique(): string {
  return Date.now().toString(36) + Math.random().toString(36).slice(2, 14).padEnd(12, "0");
}
