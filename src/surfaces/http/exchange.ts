import type { ClientRequest, IncomingMessage, RequestOptions } from "node:http";
import { isLoopback } from "../../core/access.ts";
import { elapsed } from "../../core/clock.ts";
import { errorCodes, IpcError, invalid, isIpcError, reasons } from "../../core/errors.ts";
import type { Operation } from "../../operations/operation.ts";
import { provesWithToken } from "../../operations/proof.ts";

export interface Server {
  readonly url: string;
  readonly apiKey: string | undefined;
  /** A token for what asks for one, where there is a way to make it. */
  readonly token: (operation: Operation, input: Readonly<Record<string, unknown>>) => Promise<string | undefined>;
}

/** Only a server that was there once is waited for; an address that never answered is more likely wrong. */
export interface Reached {
  once: boolean;
  /** When it first took a connection and broke it. */
  hungUpAt?: number;
}

export interface Asked {
  readonly base: URL;
  readonly server: Server;
  readonly reached: Reached;
  readonly operation: Operation;
  readonly input: Readonly<Record<string, unknown>>;
  readonly signal: AbortSignal;
}

/** A failure that may pass, where a server was. */
class ConnectionError extends IpcError {}

/** The connection was made, and broke: that may have been a server in the moment of its end. */
class HangUp extends ConnectionError {}

const PATIENCE_MS = 10_000;

/** Whether to ask again. What has only ever hung up is given a while to answer once. */
export function isPassing(error: unknown, { reached }: Asked): boolean {
  if (!(error instanceof ConnectionError)) return false;
  if (error instanceof HangUp) reached.hungUpAt ??= elapsed();
  return reached.once || (reached.hungUpAt !== undefined && elapsed() - reached.hungUpAt < PATIENCE_MS);
}

export async function request(asked: Asked): Promise<IncomingMessage> {
  const { base, reached, operation, input, signal } = asked;
  const { method, path, query, body } = asHttp(operation, input);
  const shown = await credential(asked);
  const options: RequestOptions = {
    method,
    path: base.pathname.replace(/\/$/, "") + path + query,
    signal,
    headers: {
      ...(body === undefined ? {} : { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) }),
      ...(shown === undefined ? {} : { Authorization: `Bearer ${shown}` }),
    },
  };
  const { request: open } = base.protocol === "https:" ? await import("node:https") : await import("node:http");
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const outgoing: ClientRequest = open(base, options, resolve);
    outgoing.on("response", () => {
      reached.once = true;
    });
    outgoing.on("error", (cause) => reject(unreachable(base, cause)));
    outgoing.end(body);
  });
  if (response.statusCode === 200 || (response.statusCode === 408 && operation.waits !== undefined)) return response;
  throw failureOf(parseAnswer(await textOf(response)), response.statusCode ?? 0);
}

/** A token says more than the server's key, and stands in its place. It is shown to nobody who could be overheard. */
async function credential({ base, server, operation, input }: Asked): Promise<string | undefined> {
  const token = provesWithToken(operation, input) ? await server.token(operation, input) : undefined;
  if (token !== undefined && base.protocol !== "https:" && !isLoopback(base.hostname)) {
    throw invalid(`a token is sent over https, or to this machine, and not to ${base.origin}`);
  }
  return token ?? server.apiKey;
}

function asHttp(operation: Operation, input: Readonly<Record<string, unknown>>) {
  const [method = "", pattern = ""] = operation.http?.split(" ") ?? [];
  const told = Object.entries(input).filter(
    ([name, value]) => value !== undefined && !operation.input[name]?.callerOnly,
  );
  const rest = new Map(
    told.map(([name, value]) => [name, operation.input[name]?.httpMilliseconds ? Number(value) * 1_000 : value]),
  );
  const path = pattern.replace(/:(\w+)/g, (_, name: string) => {
    const value = String(rest.get(name) ?? "");
    rest.delete(name);
    return encodeURIComponent(value);
  });
  if (method === "POST" && operation.body === undefined) {
    return { method, path, query: "", body: JSON.stringify(Object.fromEntries(rest)) };
  }
  const body = operation.body === undefined ? undefined : JSON.stringify(rest.get(operation.body));
  if (operation.body !== undefined) rest.delete(operation.body);
  const pairs = [...rest].map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(String(value))}`);
  return { method, path, query: pairs.length === 0 ? "" : `?${pairs.join("&")}`, body };
}

export async function textOf(response: IncomingMessage): Promise<string> {
  return Buffer.concat(await Array.fromAsync(bodyOf(response))).toString();
}

export async function* bodyOf(response: IncomingMessage): AsyncGenerator<Buffer, void, void> {
  try {
    yield* response;
  } catch (cause) {
    throw new ConnectionError("internal", "The server's answer broke off", undefined, { cause });
  }
}

export function parseAnswer(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw notOurs("JSON", cause);
  }
}

export function notOurs(what: string, cause?: unknown): IpcError {
  const sentence = `The server's answer is not ${what}; is that an el-ipc server?`;
  return new IpcError("internal", sentence, undefined, { cause });
}

export function failureOf(answer: unknown, status: number): IpcError {
  const said = isRecord(answer) ? answer : {};
  const code = errorCodes.find((known) => known === said.code) ?? "internal";
  const sentence = typeof said.error === "string" ? said.error : `The server answered with status ${status}`;
  const reason = reasons.find((known) => known === said.reason);
  const hint = sentence === "unauthorized" ? ": set IPC_API_KEY to the server's key" : "";
  return new IpcError(code, sentence + hint, reason);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

function unreachable(base: URL, cause: Error): Error {
  if (isIpcError(cause)) return cause;
  const code = "code" in cause ? String(cause.code) : "";
  if (/^(EPROTO|ERR_SSL_(WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG))$/.test(code)) {
    const sentence = `The server at ${base.host} doesn't speak https: use http://${base.host}`;
    return new IpcError("internal", sentence, undefined, { cause });
  }
  const Failure = code.startsWith("HPE_") ? IpcError : code === "ECONNRESET" ? HangUp : ConnectionError;
  return new Failure("internal", `No server answers at ${base.origin} (${cause.message})`, undefined, { cause });
}
