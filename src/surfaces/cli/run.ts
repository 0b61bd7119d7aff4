import { askerOf, createSigner, type KnownServers, tokenFor } from "../../client/signer.ts";
import { IpcError, invalid, isIpcError, publicError, type Reason, unauthorized } from "../../core/errors.ts";
import { joinWords, parseInput } from "../../operations/fields.ts";
import { isStream, isWaiting, type Operation, type Signer } from "../../operations/operation.ts";
import type { Ask } from "../../operations/perform.ts";
import { showHealth } from "../../operations/watching.ts";
import { deliver, giveBack, readKey, withTexts } from "./answer.ts";
import { type Arguments, flagOf, isOperation, parseArguments, positionalsOf, type Verb } from "./arguments.ts";
import { familyHelp, helpOf, overview, usageOf } from "./help.ts";
import { createLifetime, type Lifetime } from "./lifetime.ts";
import { ClosedOutput, print, printNote } from "./terminal.ts";

export interface Shell {
  readonly verbs: readonly Verb[];
  readonly version: string;
  /** The door to the bus: on this machine's database, or behind the server at `url`. */
  readonly open: (operation: Operation, where: Where, token: TokenSource) => Promise<Ask & AsyncDisposable>;
  readonly pins: KnownServers;
  /** What the environment says for those who leave it out. */
  readonly self: string | undefined;
  readonly keyFile: string | undefined;
  /** A token to show to a server, where none is to be made. */
  readonly token: string | undefined;
  readonly url: string | undefined;
  /** Whether a fault is shown with all that is known of it. */
  readonly debug: boolean;
}

/** At which server, or in which store; neither where that is this machine's database. */
export interface Where {
  readonly url: string | undefined;
  readonly store: string | undefined;
  /** While it is away it is waited for. */
  readonly retry: boolean;
  readonly signal: AbortSignal;
}

export type TokenSource = () => Promise<string | undefined>;

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

/** Those that begin with the same word. */
function familyOf(verbs: readonly Verb[], first: string): readonly Verb[] {
  return verbs.filter(({ name }) => name.startsWith(`${first} `));
}

function helpFor(shell: Shell, typed: readonly string[]): string {
  const [first] = typed;
  if (first === undefined || first === "help" || isHelp(first)) return overview(shell.verbs, shell.version);
  const family = familyOf(shell.verbs, first);
  return family.length > 0 && typed.length === 1 ? familyHelp(first, family) : helpOf(findVerb(shell, typed).verb);
}

/** The verb that was typed, of one word or of two, and what was typed behind it. */
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
  if (first.startsWith("-")) throw invalid(`options stand behind the command: el-ipc COMMAND ${first} …`);
  const known = family.length > 0 ? family : [...new Set(verbs.map(({ name }) => name.split(" ")[0] ?? "")), "help"];
  const unknown = family.length > 0 ? `${first} ${second}` : first;
  const meant = known.filter((name) => isNear(name, unknown));
  const hint =
    meant.length > 0
      ? `did you mean ${meant.join(" or ")}?`
      : `the commands are ${known.slice(0, -1).join(", ")} and ${known.at(-1)}`;
  throw invalid(`unknown command ${JSON.stringify(unknown)}; ${hint}`);
}

/** Whether one slip of a finger lies between two words: a letter too many, too few or another one, or two swapped. */
function isNear(word: string, typed: string): boolean {
  let at = 0;
  while (at < word.length && word[at] === typed[at]) at++;
  const [right, wrong] = [word.slice(at), typed.slice(at)];
  const swapped = right.charAt(1) + right.charAt(0) + right.slice(2);
  return [right.slice(1), swapped].includes(wrong) || wrong.slice(1) === right || wrong.slice(1) === right.slice(1);
}

async function perform(shell: Shell, operation: Operation, given: Arguments, lifetime: Lifetime): Promise<boolean> {
  const { signal } = lifetime;
  let input = withTexts(operation, given);
  const { store, retry } = given;
  if (store !== undefined && given.url !== undefined) throw invalid("--url and --store name two buses: give one");
  // What was typed wins over the environment.
  const url = given.url ?? (store === undefined ? shell.url : undefined);
  if (retry && url !== undefined) throw invalid("--retry waits for a NATS server, and --url asks another");
  const where = { url, store, retry, signal };
  const keyFile = given.key ?? shell.keyFile;
  refuseMissing(operation, input);
  await helpfully(operation, false, async () => parseInput(operation.input.fields, input));
  if (operation.signature?.required && keyFile === undefined) throw keyNeeded(operation);
  const key = keyFile === undefined ? undefined : readKey(keyFile, operation.signature !== undefined);
  // Until here a file or standard input may have been slow: a signal then ended it at once.
  lifetime.begin();
  let signer: Signer | undefined;
  const reader = () => askerOf(operation, input, shell.self);
  const token = async () => shell.token ?? (await tokenFor(reader(), signer));
  await using door = await shell.open(operation, operation.storeless ? { ...where, url: undefined } : where, token);
  // What works on nothing stored may still have to know for which bus it signs.
  await using other = key && operation.storeless ? await shell.open(showHealth, where, token) : undefined;
  // An event source hands on what a waiter says beside its answer as part of the event.
  const warn = operation.stream || isWaiting(operation, input) ? () => {} : printNote;
  signer = key && createSigner({ key, door: other ?? door, url, pins: shell.pins, warn, signal });
  if (operation.signature && signer) input = { ...(await operation.signature.add(input, signer)) };
  const unnamed = signer !== undefined && reader() === undefined;
  // Whoever prints an answer settles it; a server must not do so before.
  const unsettled = "ack" in operation.input.fields ? { ...input, ack: "manual" } : input;
  const answer = await helpfully(operation, unnamed, () =>
    door(operation, unsettled, signal).catch((error) => {
      throw signer && operation.signature ? aboutKey(error) : error;
    }),
  );
  const answers = isStream(answer) ? answer : [answer];
  for await (const one of answers) {
    if (signal.aborted) {
      await giveBack(door, operation, one, input);
      return false;
    }
    await deliver(door, operation, one, input, given, signal);
  }
  return !signal.aborted;
}

function keyNeeded(operation: Operation): Error {
  return invalid(`${operation.name} is signed: give --key FILE, or set IPC_KEY\nUsage: ${usageOf(operation)}`);
}

/** What was signed here can only be wrong by its key. */
function aboutKey(error: unknown): unknown {
  if (!isIpcError(error) || error.message !== "invalid signature") return error;
  const hint = "is this the key that is registered for that name? `el-ipc agents --keys` shows it";
  return unauthorized(`${error.message}: ${hint}`, error.reason);
}

/** Adds what a person at a command line can do about an error. */
async function helpfully<T>(operation: Operation, unnamed: boolean, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (!isIpcError(error)) throw error;
    if (unnamed && error.reason === "unauthenticated") {
      const [needed] = error.message.split(": ");
      throw unauthorized(`${needed}: set IPC_AGENT to the agent whose key this is`);
    }
    const typed = asTyped(operation, error.message);
    throw typed === error.message ? error : new IpcError(error.code, typed, error.reason, { cause: error });
  }
}

function refuseMissing(operation: Operation, input: Readonly<Record<string, unknown>>): void {
  const missing = Object.entries(operation.input.fields).filter(
    ([name, { optional }]) => !optional && (input[name] === undefined || input[name] === ""),
  );
  if (missing.length === 0) return;
  const names = missing.map(([name]) => typedAs(operation, name));
  throw invalid(`${joinWords(names)} required\nUsage: ${usageOf(operation)}`);
}

/** How a field is given at a command line. */
function typedAs(operation: Operation, name: string): string {
  const { fields } = operation.input;
  const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
  return field === undefined || positionalsOf(operation).includes(name) ? name : `--${flagOf(name, field)}`;
}

/** A sentence about fields, at its beginning or in a list at its end, in the words of a command line. */
function asTyped(operation: Operation, sentence: string): string {
  return sentence.replace(/^\w+(?= must )|(?<=: )\w+(?:, \w+)* (?:and|or) \w+$/g, (names) =>
    names.replace(/\w+/g, (name) => typedAs(operation, name)),
  );
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
