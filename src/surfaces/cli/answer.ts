import type { KeyObject } from "node:crypto";
import { closeSync, constants, openSync, unlinkSync, writeSync } from "node:fs";
import { conflict, hasCode, invalid } from "../../core/errors.ts";
import { readPrivateKey } from "../../core/keys.ts";
import { type AnswerFile, type FollowUp, formatAnswer, type Operation } from "../../operations/operation.ts";
import type { Ask } from "../../operations/perform.ts";
import { onOneLine } from "../../wire/printable.ts";
import type { Arguments } from "./arguments.ts";
import {
  clearProgress,
  othersCanRead,
  othersCanReadOutput,
  print,
  printNote,
  readFile,
  readStandardInput,
  readTextFile,
  showProgress,
  whyOf,
  withoutLineEnd,
} from "./terminal.ts";

const KEY_BYTES = 32;

/** The typed input, with the texts that are in files. */
export function withTexts(operation: Operation, given: Arguments): Record<string, unknown> {
  const input = { ...given.input };
  // What was signed elsewhere was signed to the last byte.
  const end = input.signature === undefined ? withoutLineEnd : (text: string) => text;
  for (const [name, field] of Object.entries(operation.input.fields)) {
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

type Values = Readonly<Record<string, unknown>>;

const READABLE =
  "Warning: others can read the file that this private key went to; chmod 600 it, or begin with `umask 077`";

/** Prints an answer and, once it is printed, sees to what follows from it. */
export async function deliver(
  door: Ask,
  operation: Operation,
  answer: unknown,
  input: Values,
  given: Arguments,
  signal: AbortSignal,
): Promise<void> {
  writeFiles(operation.output?.files?.(answer, input) ?? []);
  const progress = operation.output?.progress?.(answer);
  if (progress === undefined) clearProgress();
  else showProgress(progress);
  try {
    showAnswer(operation, answer, input, given);
  } catch (error) {
    await giveBack(door, operation, answer, input);
    throw error;
  }
  const note = operation.output?.note?.(answer, input);
  if (note !== undefined) printNote(note);
  if (operation.output?.isSecret?.(input) && othersCanReadOutput()) printNote(READABLE);
  refuseFailed([{ operation, answer, input }]);
  // Only now: what couldn't be written is not consumed.
  const settlement = operation.after?.delivered?.(answer, input);
  const settled = settlement === undefined ? [] : await answersTo(door, [settlement], signal);
  if (signal.aborted) return;
  refuseFailed(settled);
  const awaited = await answersTo(door, operation.after?.next?.(answer, input) ?? [], signal);
  if (signal.aborted) return;
  for (const next of awaited) showAnswer(next.operation, next.answer, next.input, given);
  refuseFailed(awaited);
}

/** What couldn't be printed is there for others at once; a server that was asked for it waits for its lease to end. */
export async function giveBack(door: Ask, operation: Operation, answer: unknown, input: Values): Promise<void> {
  const settlement = operation.after?.lost?.(answer, input);
  if (settlement === undefined) return;
  try {
    await door(settlement.operation, settlement.input, new AbortController().signal);
  } catch {
    // As above.
  }
}

interface Answered {
  readonly operation: Operation;
  readonly answer: unknown;
  readonly input: Values;
}

function answersTo(door: Ask, asked: readonly FollowUp[], signal: AbortSignal): Promise<Answered[]> {
  return Promise.all(
    asked.map(async ({ operation, input }) => {
      return { operation, input: Object(input), answer: await door(operation, input, signal) };
    }),
  );
}

function refuseFailed(all: readonly Answered[]): void {
  const failures = all.flatMap(({ operation, answer, input }) => operation.output?.failure?.(answer, input) ?? []);
  if (failures.length > 0) throw conflict(failures.join("; "));
}

function showAnswer(operation: Operation, answer: unknown, input: Values, { json }: Arguments): void {
  const shown = json ? JSON.stringify(answer) : formatAnswer(operation, answer, input).replace(/\n$/, "");
  if (shown !== "") print(shown);
}
