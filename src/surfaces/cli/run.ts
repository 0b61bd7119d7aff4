import { conflict, invalid, isIpcError, publicError, type Reason, unauthorized } from "../../core/errors.ts";
import { showHealth } from "../../operations/health.ts";
import { parseInput } from "../../operations/input.ts";
import { isStream, type Operation, type Signer } from "../../operations/operation.ts";
import type { Door } from "../../operations/perform.ts";
import { askerIn, createSigner, type Pins, tokenFor } from "../../operations/signer.ts";
import { type Arguments, parseArguments } from "./arguments.ts";
import { isOperation, type Verb } from "./command.ts";
import { readKey, withTexts, writeFiles } from "./files.ts";
import { familyHelp, helpOf, overview, usageOf } from "./help.ts";
import { createLifetime, type Lifetime } from "./lifetime.ts";
import { ClosedOutput, clearProgress, othersCanReadOutput, print, printNote, showProgress } from "./terminal.ts";

export interface Shell {
  readonly verbs: readonly Verb[];
  readonly version: string;
  /** The door to the bus: on this machine's database, or behind the server at `url`. */
  readonly open: (operation: Operation, where: Where, token: TokenSource) => Promise<Door & AsyncDisposable>;
  readonly pins: Pins;
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
  if (isOperation(verb)) return await perform(shell, verb, given, lifetime.signal);
  if (verb.outlives) lifetime.outlive();
  await verb.run(parseInput(verb.input, given.input), lifetime.signal);
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
  if (first === undefined) return overview(shell.verbs, shell.version);
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
  const known = family.length > 0 ? family : [...new Set(verbs.map(({ name }) => name.split(" ")[0]))];
  const unknown = family.length > 0 ? `${first} ${second}` : first;
  throw invalid(`unknown command ${JSON.stringify(unknown)}; the commands are ${known.join(", ")} and help`);
}

async function perform(shell: Shell, operation: Operation, given: Arguments, signal: AbortSignal): Promise<boolean> {
  let input = withTexts(operation, given);
  const { store } = given;
  if (store !== undefined && given.url !== undefined) throw invalid("--url and --store name two buses: give one");
  // What was typed wins over the environment.
  const url = given.url ?? (store === undefined ? shell.url : undefined);
  const where = { url, store };
  const keyFile = given.key ?? shell.keyFile;
  if (operation.sign) await helpfully(operation, false, async () => parseInput(operation.input, input));
  if (operation.mustSign && keyFile === undefined) throw keyNeeded(operation);
  const key = keyFile === undefined ? undefined : readKey(keyFile, operation.sign !== undefined);
  let signer: Signer | undefined;
  const reader = () => askerIn(operation, input, shell.self);
  const token = async () => shell.token ?? (await tokenFor(reader(), signer));
  await using door = await shell.open(operation, operation.detached ? { ...where, url: undefined } : where, token);
  // What works on nothing stored may still have to know for which bus it signs.
  await using other = key && operation.detached ? await shell.open(showHealth, where, token) : undefined;
  // An event source hands on what a waiter says beside its answer as part of the event.
  const warn = operation.stream || operation.waits?.(input) ? () => {} : printNote;
  signer = key && createSigner({ key, door: other ?? door, url, pins: shell.pins, warn, signal });
  if (operation.sign && signer) input = { ...(await operation.sign(input, signer)) };
  const unnamed = signer !== undefined && reader() === undefined;
  // Whoever prints an answer settles it; a server must not do so before.
  const unsettled = "ack" in operation.input ? { ...input, ack: "manual" } : input;
  const answer = await helpfully(operation, unnamed, () =>
    door(operation, unsettled, signal).catch((error) => {
      throw signer && operation.sign ? aboutKey(error) : error;
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

const READABLE =
  "Warning: others can read the file that this private key went to; chmod 600 it, or begin with `umask 077`";

function keyNeeded(operation: Operation): Error {
  return invalid(`${operation.name} is signed: give --key FILE, or set IPC_KEY\nUsage: ${usageOf(operation)}`);
}

/** Prints an answer and, once it is printed, sees to what follows from it. */
async function deliver(
  door: Door,
  operation: Operation,
  answer: unknown,
  input: Readonly<Record<string, unknown>>,
  given: Arguments,
  signal: AbortSignal,
): Promise<void> {
  writeFiles(operation.files?.(answer, input) ?? []);
  const progress = operation.progress?.(answer);
  if (progress === undefined) clearProgress();
  else showProgress(progress);
  try {
    showAnswer(operation, answer, input, given);
  } catch (error) {
    await giveBack(door, operation, answer, input);
    throw error;
  }
  const note = operation.note?.(answer, input);
  if (note !== undefined) printNote(note);
  if (operation.secret?.(input) && othersCanReadOutput()) printNote(READABLE);
  const own = operation.failure?.(answer, input);
  if (own !== undefined) throw conflict(own);
  // Only now: what couldn't be written is not consumed.
  const settlement = operation.settle?.(answer, input);
  if (settlement === undefined) return;
  const settled = await door(settlement.operation, settlement.input, signal);
  if (signal.aborted) return;
  if (settlement.shown) showAnswer(settlement.operation, settled, Object(settlement.input), given);
  const failure = settlement.operation.failure?.(settled, Object(settlement.input));
  if (failure !== undefined && !signal.aborted) throw conflict(failure);
}

/** What couldn't be printed is there for others at once; a server that was asked for it waits for its lease to end. */
async function giveBack(
  door: Door,
  operation: Operation,
  answer: unknown,
  input: Readonly<Record<string, unknown>>,
): Promise<void> {
  const settlement = operation.undelivered?.(answer, input);
  if (settlement === undefined) return;
  try {
    await door(settlement.operation, settlement.input, new AbortController().signal);
  } catch {
    // As above.
  }
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
    if (error.message.endsWith(" required")) throw invalid(`${error.message}\nUsage: ${usageOf(operation)}`);
    if (unnamed && error.reason === "unauthenticated") {
      throw unauthorized(`${error.message}; set IPC_AGENT to the agent whose key this is`);
    }
    throw error;
  }
}

function showAnswer(
  operation: Operation,
  answer: unknown,
  input: Readonly<Record<string, unknown>>,
  { json }: Arguments,
): void {
  const shown = json ? JSON.stringify(answer) : operation.show(answer, input).replace(/\n$/, "");
  if (shown !== "") print(shown);
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
