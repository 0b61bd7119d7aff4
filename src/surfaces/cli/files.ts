import type { KeyObject } from "node:crypto";
import { closeSync, constants, openSync, unlinkSync, writeSync } from "node:fs";
import { hasCode, invalid } from "../../core/errors.ts";
import { readPrivateKey } from "../../core/keys.ts";
import type { AnswerFile, Operation } from "../../operations/operation.ts";
import { onOneLine } from "../../wire/printable.ts";
import type { Arguments } from "./arguments.ts";
import {
  othersCanRead,
  printNote,
  readFile,
  readStandardInput,
  readTextFile,
  whyOf,
  withoutLineEnd,
} from "./terminal.ts";

const KEY_BYTES = 32;

/** The typed input, with the texts that are in files. */
export function withTexts(operation: Operation, given: Arguments): Record<string, unknown> {
  const input = { ...given.input };
  // What was signed elsewhere was signed to the last byte.
  const end = input.signature === undefined ? withoutLineEnd : (text: string) => text;
  for (const [name, field] of Object.entries(operation.input)) {
    const value = input[name];
    if (field.given === "file" && typeof value === "string") input[name] = readKeyText(value);
    if (field.given !== "text") continue;
    if (given.file !== undefined) input[name] = end(readTextFile(given.file));
    else if (value === "-") input[name] = end(readStandardInput());
  }
  return input;
}

/** A public key's file as text; one that holds the bare bytes says them in base64. */
function readKeyText(path: string): string {
  const bytes = readFile(path);
  return bytes.length === KEY_BYTES ? bytes.toString("base64") : readTextFile(path).trim();
}

/** A key that others can read is used, since the documented steps make one before they protect it; but not in silence. */
export function readKey(path: string, warn: boolean): KeyObject {
  const key = readPrivateKey(readFile(path));
  const named = onOneLine(path);
  if (warn && othersCanRead(path)) printNote(`Warning: others can read the private key ${named}; chmod 600 ${named}`);
  return key;
}

/** Never over a file that is there already: a key that is gone can't be made again. */
export function writeFiles(files: readonly AnswerFile[]): void {
  const made: string[] = [];
  try {
    for (const { path, text, secret } of files) {
      const file = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, secret ? 0o600 : 0o644);
      made.push(path);
      writeSync(file, text);
      closeSync(file);
    }
  } catch (error) {
    for (const path of made) unlinkSync(path);
    if (hasCode(error, "EEXIST")) throw invalid(`${nextOf(files, made)} exists already; nothing was written`);
    throw invalid(`${nextOf(files, made)} can't be written: ${whyOf(error)}`);
  }
}

function nextOf(files: readonly AnswerFile[], made: readonly string[]): string {
  return onOneLine(files[made.length]?.path ?? files.at(-1)?.path ?? "");
}
