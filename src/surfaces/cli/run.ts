import { closeSync, constants, openSync, unlinkSync, writeSync } from "node:fs";
import { invalid, isIpcError, publicError } from "../../core/errors.ts";
import { readPrivateKey } from "../../core/keys.ts";
import { parseInput } from "../../operations/input.ts";
import { type AnswerFile, isStream, type Operation } from "../../operations/operation.ts";
import type { Door } from "../../operations/perform.ts";
import { type Arguments, parseArguments } from "./arguments.ts";
import { isOperation, type Verb } from "./command.ts";
import { helpOf, overview, usageOf } from "./help.ts";
import { createLifetime, type Lifetime } from "./lifetime.ts";
import { ClosedOutput, hasCode, print, printNote, readFile, readStandardInput, readTextFile } from "./terminal.ts";

export interface Shell {
  readonly verbs: readonly Verb[];
  readonly version: string;
  /** The door to the bus: on this machine's database, or behind the server at `url`. */
  readonly open: (operation: Operation, url: string | undefined) => Promise<Door & AsyncDisposable>;
  /** What the environment says for those who leave it out. */
  readonly self: string | undefined;
  readonly keyFile: string | undefined;
  readonly url: string | undefined;
  /** Whether a fault is shown with all that is known of it. */
  readonly debug: boolean;
}

/** Does what was typed. Answers with the exit code; standard output holds the answer and nothing else. */
export async function run(shell: Shell, typed: readonly string[]): Promise<number> {
  using lifetime = createLifetime();
  try {
    const finished = await dispatch(shell, typed, lifetime);
    return finished ? 0 : (lifetime.code ?? 0);
  } catch (error) {
    if (error instanceof ClosedOutput) return CLOSED_OUTPUT;
    if (lifetime.code !== undefined) return lifetime.code;
    report(error, shell.debug);
    return 1;
  }
}

/** As a program that SIGPIPE ended. */
const CLOSED_OUTPUT = 141;

/** Answers whether it came to its own end, and not to that of the process. */
async function dispatch(shell: Shell, typed: readonly string[], lifetime: Lifetime): Promise<boolean> {
  const [first, ...rest] = typed;
  if (first === undefined) throw invalid(`no command given\n\n${overview(shell.verbs, shell.version)}`);
  if (first === "--version" || first === "-v") return print(shell.version);
  if (first === "help" || first === "--help" || first === "-h") return print(helpFor(shell, rest[0]));
  const verb = findVerb(shell, first);
  const given = parseArguments(verb, rest, shell.self);
  if (given.help) return print(helpOf(verb));
  if (isOperation(verb)) return await perform(shell, verb, given, lifetime.signal);
  if (verb.outlives) lifetime.outlive();
  await verb.run(parseInput(verb.input, given.input), lifetime.signal);
  return true;
}

function helpFor(shell: Shell, name: string | undefined): string {
  return name === undefined ? overview(shell.verbs, shell.version) : helpOf(findVerb(shell, name));
}

function findVerb({ verbs }: Shell, name: string): Verb {
  const verb = verbs.find((known) => known.name === name);
  if (verb !== undefined) return verb;
  const known = verbs.map((one) => one.name).join(", ");
  throw invalid(`unknown command ${JSON.stringify(name)}; the commands are ${known} and help`);
}

async function perform(shell: Shell, operation: Operation, given: Arguments, signal: AbortSignal): Promise<boolean> {
  const input = prepared(shell, operation, given);
  await using door = await shell.open(operation, operation.detached ? undefined : (given.url ?? shell.url));
  const answer = await asked(door, operation, input, signal);
  const answers = isStream(answer) ? answer : [answer];
  for await (const one of answers) {
    if (signal.aborted) return false;
    writeFiles(operation.files?.(one, input) ?? []);
    const shown = given.json ? JSON.stringify(one) : operation.show(one, input).replace(/\n$/, "");
    if (shown !== "") print(shown);
    const note = operation.note?.(one, input);
    if (note !== undefined) printNote(note);
    // Only now: what couldn't be written is not consumed.
    const settlement = operation.settle?.(one, input);
    if (settlement !== undefined) await door(settlement.operation, settlement.input, signal);
  }
  return !signal.aborted;
}

async function asked(door: Door, operation: Operation, input: object, signal: AbortSignal): Promise<unknown> {
  try {
    // Whoever prints an answer settles it; a server must not do so before.
    return await door(operation, "ack" in operation.input ? { ...input, ack: "manual" } : input, signal);
  } catch (error) {
    if (isIpcError(error) && error.message.endsWith(" required"))
      throw invalid(`${error.message}\nUsage: ${usageOf(operation)}`);
    throw error;
  }
}

/** The typed input with the texts that are in files, signed where it can be. */
function prepared(shell: Shell, operation: Operation, given: Arguments): Record<string, unknown> {
  const input = { ...given.input };
  for (const [name, field] of Object.entries(operation.input)) {
    const value = input[name];
    if (field.given === "file" && typeof value === "string") input[name] = readTextFile(value).trim();
    if (field.given !== "text") continue;
    if (given.file !== undefined) input[name] = readTextFile(given.file);
    else if (value === "-") input[name] = readStandardInput();
  }
  const keyFile = given.key ?? shell.keyFile;
  if (operation.sign === undefined || keyFile === undefined) return input;
  return { ...operation.sign(input, readPrivateKey(readFile(keyFile))) };
}

/** Never over a file that is there already: a key that is gone can't be made again. */
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
    throw invalid(`${nextOf(files, made)} can't be written: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function nextOf(files: readonly AnswerFile[], made: readonly string[]): string {
  return files[made.length]?.path ?? files.at(-1)?.path ?? "";
}

function report(error: unknown, debug: boolean): void {
  const { code, message, reason } = publicError(error);
  const hint = reason === "unsigned_message" ? ": give --key <private-key-file>, or set IPC_KEY" : "";
  printNote(`Error: ${message}${hint}`);
  if (code === "internal" && debug) console.error(error);
}
