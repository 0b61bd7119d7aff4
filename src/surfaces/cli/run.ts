import type { KeyObject } from "node:crypto";
import type { Client } from "../../client/client.ts";
import { askerOf } from "../../client/signer.ts";
import { IpcError, invalid, isIpcError, publicError, type Reason, unauthorized } from "../../core/errors.ts";
import { joinWords, parseInput } from "../../operations/fields.ts";
import { isStream, isWaiting, type Operation, parseRequest, type Request } from "../../operations/operation.ts";
import { deliver, giveBack, readKey, withTexts } from "./answer.ts";
import { type Arguments, flagOf, isOperation, parseArguments, positionalsOf, type Verb } from "./arguments.ts";
import { familyHelp, helpOf, overview, usageOf } from "./help.ts";
import { createLifetime, type Lifetime } from "./lifetime.ts";
import { ClosedOutput, print, printNote } from "./terminal.ts";

export interface Shell {
  readonly verbs: readonly Verb[];
  readonly version: string;
  readonly connect: (target: Target) => Client;
  /** From the environment, used where no option overrides them. */
  readonly self: string | undefined;
  readonly keyFile: string | undefined;
  readonly url: string | undefined;
  /** Whether unexpected errors are printed with their details. */
  readonly debug: boolean;
}

/** The bus to ask: behind the server at `url`, on the NATS server `store`, or else in this machine's database. */
interface Where {
  readonly url: string | undefined;
  readonly store: string | undefined;
  /** Whether to wait for a NATS server that isn't reachable. */
  readonly retry: boolean;
}

export interface Target extends Where {
  /** The first operation that the bus is opened for. */
  readonly operation: Operation;
  readonly key: KeyObject | undefined;
  readonly warn: (sentence: string) => void;
  readonly signal: AbortSignal;
}

/** Returns the exit code. Standard output holds the answer and nothing else. */
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

/** The exit code of a program that SIGPIPE ended. */
const CLOSED_OUTPUT = 141;

/** Returns false where a signal ended the command. */
async function dispatch(shell: Shell, typed: readonly string[], lifetime: Lifetime): Promise<boolean> {
  const [first, ...others] = typed;
  if (first === undefined) throw invalid(`no command given\n\n${overview(shell.verbs, shell.version)}`);
  if (first === "--version" || first === "-v") return print(shell.version);
  if (first === "help" || isHelp(first)) return print(helpFor(shell, others));
  const [second] = others;
  if (isHelp(second) && familyOf(shell.verbs, first).length > 0) return print(helpFor(shell, [first]));
  const { verb, rest } = findVerb(shell, typed);
  const given = parseArguments(verb, rest, shell.self);
  if (given.help) return print(helpOf(verb));
  if (isOperation(verb)) return await perform(shell, verb, given, lifetime);
  lifetime.begin();
  if (verb.outlives) lifetime.outlive();
  await verb.run(parseInput(verb.input.fields, given.input), lifetime.signal);
  return true;
}

function isHelp(word: string | undefined): boolean {
  return word === "--help" || word === "-h";
}

function familyOf(verbs: readonly Verb[], first: string): readonly Verb[] {
  return verbs.filter(({ name }) => name.startsWith(`${first} `));
}

function helpFor(shell: Shell, typed: readonly string[]): string {
  const [first] = typed;
  if (first === undefined || first === "help" || isHelp(first)) return overview(shell.verbs, shell.version);
  const family = familyOf(shell.verbs, first);
  return family.length > 0 && typed.length === 1 ? familyHelp(first, family) : helpOf(findVerb(shell, typed).verb);
}

/** Finds a verb of one or two words, and the arguments behind it. */
function findVerb(
  { verbs }: Shell,
  [first = "", second, ...others]: readonly string[],
): { verb: Verb; rest: readonly string[] } {
  const two = verbs.find(({ name }) => name === `${first} ${second}`);
  if (two !== undefined) return { verb: two, rest: others };
  const one = verbs.find(({ name }) => name === first);
  if (one !== undefined) return { verb: one, rest: second === undefined ? [] : [second, ...others] };
  const family = familyOf(verbs, first).map(({ name }) => name);
  if (family.length > 0 && second === undefined) throw invalid(`${first} what? The commands are ${family.join(", ")}`);
  if (first.startsWith("-")) throw invalid(`options come after the command: el-ipc COMMAND ${first} …`);
  const known = family.length > 0 ? family : [...new Set(verbs.map(({ name }) => name.split(" ")[0] ?? "")), "help"];
  const unknown = family.length > 0 ? `${first} ${second}` : first;
  const meant = known.filter((name) => isNear(name, unknown));
  const hint =
    meant.length > 0
      ? `did you mean ${meant.join(" or ")}?`
      : `the commands are ${known.slice(0, -1).join(", ")} and ${known.at(-1)}`;
  throw invalid(`unknown command ${JSON.stringify(unknown)}; ${hint}`);
}

/** Whether two words are one typo apart: a letter added, missing or wrong, or two swapped. */
function isNear(word: string, typed: string): boolean {
  let at = 0;
  while (at < word.length && word[at] === typed[at]) at++;
  const [right, wrong] = [word.slice(at), typed.slice(at)];
  const swapped = right.charAt(1) + right.charAt(0) + right.slice(2);
  return [right.slice(1), swapped].includes(wrong) || wrong.slice(1) === right || wrong.slice(1) === right.slice(1);
}

async function perform(shell: Shell, operation: Operation, given: Arguments, lifetime: Lifetime): Promise<boolean> {
  const { signal } = lifetime;
  const input = withTexts(operation, given);
  const where = placeOf(shell, given);
  const parsed = readRequest(operation, input);
  const keyFile = given.key ?? shell.keyFile;
  if (operation.signature?.required && keyFile === undefined) {
    throw invalid(`${operation.name} is signed: give --key FILE, or set IPC_KEY\nUsage: ${usageOf(operation)}`);
  }
  const key = keyFile === undefined ? undefined : readKey(keyFile, operation.signature !== undefined);
  // Until here, a signal ends a slow read of a file or of standard input at once.
  lifetime.begin();
  // A program that reads events would take a waiter's warning as part of an event.
  const warn = operation.stream || isWaiting(parsed) ? () => {} : printNote;
  await using bus = shell.connect({ ...where, operation, key, warn, signal });
  const request = await bus.sign(parsed);
  const isSigned = key !== undefined && operation.signature !== undefined;
  const isUnnamed = key !== undefined && askerOf(request, shell.self) === undefined;
  const answer = await bus.ask(request, signal).catch((error) => {
    throw explain(isSigned ? withKeyHint(error) : error, operation, isUnnamed);
  });
  const items = isStream(answer) ? answer : [answer];
  for await (const item of items) {
    if (signal.aborted) {
      await giveBack(bus, request, item);
      return false;
    }
    await deliver(bus, request, item, given, signal);
  }
  return !signal.aborted;
}

/** The bus to ask. Options win over the environment. */
function placeOf(shell: Shell, { url: typedUrl, store, retry }: Arguments): Where {
  if (store !== undefined && typedUrl !== undefined) throw invalid("--url and --store name two buses: give one");
  const url = typedUrl ?? (store === undefined ? shell.url : undefined);
  if (retry && url !== undefined) throw invalid("--retry waits for a NATS server, and --url asks another");
  return { url, store, retry };
}

function readRequest(operation: Operation, input: Readonly<Record<string, unknown>>): Request {
  refuseMissing(operation, input);
  try {
    return parseRequest(operation, input);
  } catch (error) {
    throw explain(error, operation, false);
  }
}

/** A signature made here is only invalid if its key is the wrong one. */
function withKeyHint(error: unknown): unknown {
  if (!isIpcError(error) || error.message !== "invalid signature") return error;
  const hint = "is this the key that is registered for that name? `el-ipc agents --keys` shows it";
  return unauthorized(`${error.message}: ${hint}`, error.reason);
}

/** Adds what a user can do about an error, and names fields as they are typed. */
function explain(error: unknown, operation: Operation, isUnnamed: boolean): unknown {
  if (!isIpcError(error)) return error;
  if (isUnnamed && error.reason === "unauthenticated") {
    const [needed] = error.message.split(": ");
    return unauthorized(`${needed}: set IPC_AGENT to the agent whose key this is`);
  }
  if (error.sentence === undefined) return error;
  const message = error.sentence((field) => typedAs(operation, field));
  return new IpcError(error.code, message, error.reason, { cause: error });
}

function refuseMissing(operation: Operation, input: Readonly<Record<string, unknown>>): void {
  const missing = Object.entries(operation.input.fields).filter(
    ([name, { optional }]) => !optional && (input[name] === undefined || input[name] === ""),
  );
  if (missing.length === 0) return;
  const names = missing.map(([name]) => typedAs(operation, name));
  throw invalid(`${joinWords(names)} required\nUsage: ${usageOf(operation)}`);
}

function typedAs(operation: Operation, name: string): string {
  const { fields } = operation.input;
  const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
  return field === undefined || positionalsOf(operation).includes(name) ? name : `--${flagOf(name, field)}`;
}

const HINTS: Readonly<Partial<Record<Reason, string>>> = {
  unsigned_message: ": give --key <private-key-file>, or set IPC_KEY",
};

function report(error: unknown, debug: boolean): void {
  const { code, message, reason } = publicError(error);
  const hint = reason === undefined ? "" : (HINTS[reason] ?? "");
  printNote(`Error: ${message}${hint}`);
  if (code === "internal" && debug) console.error(error);
}
