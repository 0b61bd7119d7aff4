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

/** Replaces file names in the typed input by the files' contents. */
export function withTexts(operation: Operation, given: Arguments): Record<string, unknown> {
  const input = { ...given.input };
  // A signature made elsewhere covers the text to its last byte.
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

/** Reads a public key. A file of raw bytes is returned as base64. */
function readKeyText(path: string): string {
  const bytes = readFile(path);
  return bytes.length === KEY_BYTES ? bytes.toString("base64") : readTextFile(path).trim();
}

/** Warns about a key that others can read. It is still used: the documented steps create a key before they protect it. */
export function readKey(path: string, warn: boolean): KeyObject {
  const key = readPrivateKey(readFile(path));
  const named = onOneLine(path);
  if (warn && othersCanRead(path)) printNote(`Warning: others can read the private key ${named}; chmod 600 ${named}`);
  return key;
}

/** Never overwrites a file: a lost key can't be recreated. */
function writeFiles(files: readonly AnswerFile[]): void {
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

/** Prints an answer, and then runs its follow-up. */
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
  // Settled only now, so that an answer that couldn't be printed is not consumed.
  await bus.settle(request, answer, true, signal);
  if (signal.aborted) return;
  await deliverNext(bus, operation.after?.next?.(answer, input) ?? [], given, signal);
}

/** Returns an answer that couldn't be printed to the bus. If that fails, its lease ends by itself. */
export async function giveBack(bus: Endpoint, request: Request, answer: unknown): Promise<void> {
  try {
    await bus.settle(request, answer, false, new AbortController().signal);
  } catch {
    // The lease ends by itself.
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
