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
import type { Deliver } from "../../server/deliver.ts";
import { argumentsOf, createQuote, SESSION_ARGUMENT, type ToolOperation } from "./tools.ts";

/** Below the 60 s after which many clients give up on a call. */
const USUAL_WAIT_SECONDS = 50;

export interface Client extends ClientIdentity {
  readonly endpoint: Endpoint;
  readonly deliver: Deliver;
}

export interface ClientIdentity {
  /** The agent that the client's token, key or environment names. */
  readonly agent: string | undefined;
  /** Makes a signer for the client's messages, if it has a key. */
  readonly signer: (() => Signer) | undefined;
  /** Tells a model's user how to prove who asks. */
  readonly help: string;
}

/** The state of a conversation. */
export interface Memory {
  /** The client's session on the bus. */
  session: string | undefined;
}

export interface Call {
  readonly client: Client;
  readonly memory: Memory;
  /** Aborts when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
  readonly reportFault: (error: unknown) => void;
}

/** Called once it is known whether an answer has reached the client. */
export type ReportArrival = (hasArrived: boolean) => void;

export interface CallResult {
  readonly text: string;
  readonly isError: boolean;
  readonly reportArrival: ReportArrival;
}

type Values = Readonly<Record<string, unknown>>;

/** Performs a model's call. An error is an answer, too: a sentence that the model can act on. */
export async function callTool(operation: ToolOperation, given: Values, call: Call): Promise<CallResult> {
  try {
    return await performTool(operation, given, call);
  } catch (error) {
    if (!isIpcError(error) && !call.signal.aborted) call.reportFault(error);
    return failedResult(describeError(error, operation, call.client));
  }
}

function failedResult(text: string): CallResult {
  return { text, isError: true, reportArrival: () => {} };
}

async function performTool(tool: ToolOperation, given: Values, call: Call): Promise<CallResult> {
  const { client, memory, signal } = call;
  const session = sessionIn(given) ?? memory.session;
  const request = await parseCall(tool, given, session, client);
  return await new Promise((resolve, reject) => {
    let isAnswered = false;
    const handOver = async (answer: unknown): Promise<boolean> => {
      const { openedSession } = request.operation === tool ? tool.tool : {};
      if (openedSession !== undefined) memory.session = openedSession(answer);
      else if (await keepAlive(client, session)) memory.session ??= session;
      const arrival = Promise.withResolvers<boolean>();
      // No await separates this from the transport, so an aborted call gets no answer and any other is sent.
      if (signal.aborted) arrival.resolve(false);
      const result = signal.aborted
        ? failedResult("The call was broken off")
        : { text: textOf(request, answer), isError: false, reportArrival: arrival.resolve };
      isAnswered = true;
      resolve(result);
      return await arrival.promise;
    };
    client.deliver(client.endpoint, request, signal, handOver).catch((error: unknown) => {
      if (!isAnswered) reject(error);
      // A refused follow-up needs nothing: the lease on the messages expires.
      else if (!isIpcError(error)) call.reportFault(error);
    });
  });
}

function textOf(request: Request, answer: unknown): string {
  const { operation, input } = request;
  const text = answer === null ? failureOf(request, answer) : operation.output?.model?.(answer, input, createQuote());
  return text ?? formatAnswer(request, answer);
}

function sessionIn(given: Values): string | undefined {
  const named = given[SESSION_ARGUMENT];
  if (named === undefined || named === null || named === "") return undefined;
  if (typeof named === "string") return named;
  throw invalid(`${SESSION_ARGUMENT} must be text`);
}

async function parseCall(
  operation: ToolOperation,
  given: Values,
  session: string | undefined,
  client: Client,
): Promise<Request> {
  const { tool } = operation;
  const { fields } = operation.input;
  const input: Record<string, unknown> = {};
  for (const argument of knownArguments(operation, given)) {
    const value = given[argument.name] ?? argument.default;
    if (value !== undefined) input[argument.field] = parseArgument(operation, argument, value);
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
  input[tool.session] = sessionOrAgent(operation, session, client);
  return await parseSigned(operation, tool.session, input, client);
}

/** In secure mode a request is signed as the agent, since no agent is named by a session's id. */
async function parseSigned(
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

/** Throws for an argument that the tool doesn't have. */
function knownArguments(operation: ToolOperation, given: Values) {
  const known = argumentsOf(operation);
  const names = [...known.map(({ name }) => name), SESSION_ARGUMENT];
  const unknown = Object.keys(given).find((name) => !names.includes(name));
  if (unknown === undefined) return known;
  throw invalid(`unknown argument ${JSON.stringify(unknown)}; ${operation.tool.name} takes ${names.join(", ")}`);
}

/** Models sometimes write "5" for 5, or an object as JSON text. Other text stays text, even if it reads as JSON. */
function parseArgument(
  { input: { fields } }: Operation,
  { field, type }: { field: string; type?: string },
  value: unknown,
): unknown {
  if (typeof value !== "string") return value;
  const kind = fields[field]?.kind;
  const isEncoded = kind === "number" || kind === "flag" || kind === "list" || (type !== undefined && isObject(value));
  return isEncoded ? parseTexts(fields, { [field]: value })[field] : value;
}

function isObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null;
  } catch {
    return false;
  }
}

function sessionOrAgent({ input, tool }: ToolOperation, session: string | undefined, { agent }: Client): string {
  const known = session ?? (input.fields[tool.session ?? ""]?.optional ? agent : undefined);
  if (known !== undefined) return known;
  throw invalid(`You are not connected: call connect with a role, or give the ${SESSION_ARGUMENT} that it gave you`);
}

/** Keeps a session alive on the bus. False if it has ended, or may not be used any more. */
export async function keepAlive({ endpoint }: Client, session: string | undefined): Promise<boolean> {
  if (session === undefined) return false;
  try {
    await endpoint.ask(parseRequest(sendHeartbeat, { id: session }), new AbortController().signal);
    return true;
  } catch {
    return false;
  }
}

function describeError(error: unknown, operation: ToolOperation, { help }: Client): string {
  const { message, reason } = publicError(error);
  if (reason === "unauthenticated" || reason === "unsigned_message") return `Refused: secure mode is on. ${help}`;
  if (!isIpcError(error) || error.sentence === undefined) return message;
  const args = argumentsOf(operation);
  return error.sentence((field) => args.find((argument) => argument.field === field)?.name ?? field);
}
