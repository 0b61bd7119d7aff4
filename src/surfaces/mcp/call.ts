import { invalid, isIpcError, publicError } from "../../core/errors.ts";
import { MAX_WAIT_SECONDS } from "../../core/limits.ts";
import { parseTexts } from "../../operations/fields.ts";
import {
  failureOf,
  formatAnswer,
  type Operation,
  parseRequest,
  type Request,
  type Signer,
  signRequest,
} from "../../operations/operation.ts";
import type { Endpoint } from "../../operations/perform.ts";
import { sendHeartbeat } from "../../operations/sessions.ts";
import { argumentsOf, createQuote, SESSION_ARGUMENT, type ToolOperation } from "./tools.ts";

/** Under the 60 s after which many a client gives up on a call. */
const USUAL_WAIT_SECONDS = 50;

/** Who calls, as far as one call is concerned. */
export interface Client {
  /** The bus, asked as this client. */
  readonly endpoint: Endpoint;
  /** The agent that it is known as, by a token, by its key or by its environment. */
  readonly agent: string | undefined;
  /** What signs its messages, where it has a key. */
  readonly signer: (() => Signer) | undefined;
  /** What a model can tell its user where the bus wants to know who asks. */
  readonly help: string;
}

/** What one conversation remembers, where the protocol has such a thing. */
export interface Memory {
  /** The session of the bus that it speaks for. */
  peer: string | undefined;
}

export interface Calling {
  readonly client: Client;
  readonly memory: Memory;
  /** Aborts when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
  /** Hears of what nobody expected. */
  readonly failed: (error: unknown) => void;
}

export interface Called {
  readonly text: string;
  readonly isError: boolean;
  /** Sees to what follows once it is known whether the answer arrived. */
  settle(delivered: boolean): Promise<void>;
}

type Values = Readonly<Record<string, unknown>>;

const nothingFollows = async () => {};

/** Does what a model asked for. Whatever goes wrong is an answer too: a sentence that it can act on. */
export async function callTool(operation: ToolOperation, given: Values, calling: Calling): Promise<Called> {
  try {
    return await called(operation, given, calling);
  } catch (error) {
    if (!isIpcError(error) && !calling.signal.aborted) calling.failed(error);
    return { text: sentence(error, operation, calling.client), isError: true, settle: nothingFollows };
  }
}

async function called(asked: ToolOperation, given: Values, calling: Calling): Promise<Called> {
  const { client, memory, signal } = calling;
  const own = sessionIn(given) ?? memory.peer;
  const request = await requestFor(asked, given, own, client);
  const answer = await client.endpoint.ask(request, signal);
  const settle = (isDelivered: boolean) => settleQuietly(client, request, answer, isDelivered);
  const { operation, input } = request;
  if (operation === asked && asked.tool.openedSession !== undefined) memory.peer = asked.tool.openedSession(answer);
  else if (own !== undefined) await seen(client, memory, own);
  // From here to the transport nothing waits, so an answer is either put back here or sent.
  if (signal.aborted) {
    await settle(false);
    return { text: "The call was broken off", isError: true, settle: nothingFollows };
  }
  const { output } = operation;
  const text = answer === null ? failureOf(request, answer) : output?.model?.(answer, input, createQuote());
  return { text: text ?? formatAnswer(request, answer), isError: false, settle };
}

function sessionIn(given: Values): string | undefined {
  const named = given[SESSION_ARGUMENT];
  if (named === undefined || named === null || named === "") return undefined;
  if (typeof named === "string") return named;
  throw invalid(`${SESSION_ARGUMENT} must be text`);
}

/** The request that a call makes, signed where a client signs. */
async function requestFor(
  operation: ToolOperation,
  given: Values,
  own: string | undefined,
  client: Client,
): Promise<Request> {
  const { tool } = operation;
  const { fields } = operation.input;
  const input: Record<string, unknown> = {};
  for (const argument of takenFrom(operation, given)) {
    const value = given[argument.name] ?? argument.default;
    if (value !== undefined) input[argument.field] = plain(operation, argument, value);
  }
  const missing = argumentsOf(operation).filter(
    ({ field }) => !fields[field]?.optional && (input[field] === undefined || input[field] === ""),
  );
  if (missing.length > 0) {
    if (tool.fallback !== undefined) return parseRequest(tool.fallback, {});
    throw invalid(`${missing.map(({ name }) => name).join(" and ")} required`);
  }
  if (operation.waits?.isWaiting(input) && "timeout" in fields) {
    const { timeout = USUAL_WAIT_SECONDS } = input;
    input.timeout = typeof timeout === "number" ? Math.min(timeout, MAX_WAIT_SECONDS) : timeout;
  }
  if (tool.session === undefined) return parseRequest(operation, input);
  input[tool.session] = ownOrAgent(operation, own, client);
  return await signedRequest(operation, tool.session, input, client);
}

/** In secure mode a signed request is signed as the agent, since a session's id is nobody's name. */
async function signedRequest(
  operation: ToolOperation,
  session: string,
  input: Values,
  { agent, signer }: Client,
): Promise<Request> {
  const made = operation.signature === undefined ? undefined : signer?.();
  const signs = made !== undefined && agent !== undefined && (await made.audience()) !== "";
  if (!signs) return parseRequest(operation, input);
  return await signRequest(parseRequest(operation, { ...input, [session]: agent }), made);
}

function takenFrom(operation: ToolOperation, given: Values) {
  const taken = argumentsOf(operation);
  const names = [...taken.map(({ name }) => name), SESSION_ARGUMENT];
  const unknown = Object.keys(given).find((name) => !names.includes(name));
  if (unknown === undefined) return taken;
  throw invalid(`unknown argument ${JSON.stringify(unknown)}; ${operation.tool.name} takes ${names.join(", ")}`);
}

/** Models write "5" for 5 now and then, and an object as its JSON. Any other text is what it is, though it read as JSON. */
function plain(
  { input: { fields } }: Operation,
  { field, type }: { field: string; type?: string },
  value: unknown,
): unknown {
  if (typeof value !== "string") return value;
  const kind = fields[field]?.kind;
  const isWritten = kind === "number" || kind === "flag" || kind === "list" || (type !== undefined && isObject(value));
  return isWritten ? parseTexts(fields, { [field]: value })[field] : value;
}

function isObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null;
  } catch {
    return false;
  }
}

function ownOrAgent({ input, tool }: ToolOperation, own: string | undefined, { agent }: Client): string {
  const known = own ?? (input.fields[tool.session ?? ""]?.optional ? agent : undefined);
  if (known !== undefined) return known;
  throw invalid(`You are not connected: call connect with a role, or give the ${SESSION_ARGUMENT} that it gave you`);
}

/** Notes that the calling session lives; a conversation that had no session now has this one. */
async function seen({ endpoint }: Client, memory: Memory, peer: string): Promise<void> {
  try {
    await endpoint.ask(parseRequest(sendHeartbeat, { id: peer }), new AbortController().signal);
    memory.peer ??= peer;
  } catch {
    // The call itself went well, even where the caller may not be seen as this session.
  }
}

/** Settles an answer. A lease does what fails in an expected way, so only faults are thrown. */
async function settleQuietly(
  { endpoint }: Client,
  request: Request,
  answer: unknown,
  isDelivered: boolean,
): Promise<void> {
  try {
    await endpoint.settle(request, answer, isDelivered, new AbortController().signal);
  } catch (error) {
    if (!isIpcError(error)) throw error;
  }
}

function sentence(error: unknown, operation: ToolOperation, { help }: Client): string {
  const { message, reason } = publicError(error);
  if (reason === "unauthenticated" || reason === "unsigned_message") return `Refused: secure mode is on. ${help}`;
  if (!isIpcError(error) || error.sentence === undefined) return message;
  const args = argumentsOf(operation);
  return error.sentence((field) => args.find((argument) => argument.field === field)?.name ?? field);
}
