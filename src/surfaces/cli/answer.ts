import type { KeyObject } from "node:crypto";
import { closeSync, constants, openSync, unlinkSync, writeSync } from "node:fs";
import {
  explainFileError,
  othersCanRead,
  readFile,
  readStandardInput,
  readTextFile,
  withoutLineEnd,
} from "../../client/files.ts";
import { conflict, hasCode, invalid } from "../../core/errors.ts";
import { readPrivateKey } from "../../core/keys.ts";
import {
  type AnswerFile,
  failureOf,
  formatAnswer,
  type NextRequest,
  type Operation,
  type Request,
} from "../../operations/operation.ts";
import type { Endpoint } from "../../operations/perform.ts";
import { onOneLine } from "../../wire/printable.ts";
import type { Arguments } from "./arguments.ts";
import { clearProgress, othersCanReadOutput, print, printNote, showProgress } from "./terminal.ts";

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
    throw invalid(`${nextOf(files, made)} can't be written: ${explainFileError(error)}`);
  }
}

function nextOf(files: readonly AnswerFile[], made: readonly string[]): string {
  return onOneLine(files[made.length]?.path ?? files.at(-1)?.path ?? "");
}

const READABLE =
  "Warning: others can read the file that this private key went to; chmod 600 it, or begin with `umask 077`";

/** Prints an answer and, once it is printed, does what follows from it. */
export async function deliver(
  bus: Endpoint,
  request: Request,
  answer: unknown,
  given: Arguments,
  signal: AbortSignal,
): Promise<void> {
  const { operation, input } = request;
  const { output } = operation;
  writeFiles(output?.files?.(answer, input) ?? []);
  const progress = output?.progress?.(answer);
  if (progress === undefined) clearProgress();
  else showProgress(progress);
  try {
    printAnswer(request, answer, given);
  } catch (error) {
    await giveBack(bus, request, answer);
    throw error;
  }
  const note = output?.note?.(answer, input);
  if (note !== undefined) printNote(note);
  if (output?.isSecret?.(input) && othersCanReadOutput()) printNote(READABLE);
  refuseFailures([failureOf(request, answer)]);
  // Only now: what couldn't be written is not consumed.
  await bus.settle(request, answer, true, signal);
  if (signal.aborted) return;
  await deliverNext(bus, operation.after?.next?.(answer, input) ?? [], given, signal);
}

/** Offers to others what couldn't be printed. Where that fails, its lease ends. */
export async function giveBack(bus: Endpoint, request: Request, answer: unknown): Promise<void> {
  try {
    await bus.settle(request, answer, false, new AbortController().signal);
  } catch {
    // As above.
  }
}

async function deliverNext(
  bus: Endpoint,
  next: readonly NextRequest[],
  given: Arguments,
  signal: AbortSignal,
): Promise<void> {
  const answers = await Promise.all(
    next.map(async ({ request, isShown }) => ({ request, isShown, answer: await bus.ask(request, signal) })),
  );
  if (signal.aborted) return;
  for (const { request, isShown, answer } of answers) if (isShown) printAnswer(request, answer, given);
  refuseFailures(answers.map(({ request, answer }) => failureOf(request, answer)));
}

function refuseFailures(found: readonly (string | undefined)[]): void {
  const failures = found.filter((failure) => failure !== undefined);
  if (failures.length > 0) throw conflict(failures.join("; "));
}

function printAnswer(request: Request, answer: unknown, { json }: Arguments): void {
  const text = json ? JSON.stringify(answer) : formatAnswer(request, answer).replace(/\n$/, "");
  if (text !== "") print(text);
}
