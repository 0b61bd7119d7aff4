import type { ClientRequest, IncomingMessage, RequestOptions } from "node:http";
import { isLoopback } from "../../core/access.ts";
import { elapsed } from "../../core/clock.ts";
import { errorCodes, IpcError, invalid, isIpcError, reasons } from "../../core/errors.ts";
import { LONGEST_WAIT_SECONDS, WAIT_SECONDS } from "../../core/limits.ts";
import type { Operation } from "../../operations/operation.ts";
import type { Door } from "../../operations/perform.ts";
import { decodeEvents } from "../../wire/sse.ts";

export interface Server {
  readonly url: string;
  readonly apiKey: string | undefined;
  /** A token for what asks for one, where there is a way to make it. */
  readonly token: () => Promise<string | undefined>;
}

/** The door to a bus behind a server: the same operations, asked over HTTP. */
export function httpDoor(server: Server): Door {
  const base = parseUrl(server.url);
  return async (operation, input, signal) => {
    if (operation.http === undefined) {
      throw invalid(`${operation.name} works on the database itself: leave out --url and IPC_URL`);
    }
    const asked: Asked = { base, server, operation, input: Object(input), signal };
    if (operation.stream) return streamed(asked);
    return operation.nothing !== undefined && asked.input.wait === true ? waited(asked) : once(asked);
  };
}

interface Asked {
  readonly base: URL;
  readonly server: Server;
  readonly operation: Operation;
  readonly input: Readonly<Record<string, unknown>>;
  readonly signal: AbortSignal;
}

async function once(asked: Asked): Promise<unknown> {
  const response = await request(asked);
  const answer = parseAnswer(await textOf(response));
  return response.statusCode === 408 ? null : answer;
}

/** A wait of any length as long-polls of a length that all between will let live; a server that restarts is asked again. */
async function waited(asked: Asked): Promise<unknown> {
  const seconds = asked.input.timeout;
  const end = typeof seconds === "number" ? elapsed() + seconds * 1_000 : Number.POSITIVE_INFINITY;
  const pause = createPause(asked.signal);
  for (;;) {
    const left = Math.max(0, (end - elapsed()) / 1_000);
    const input = { ...asked.input, timeout: Math.min(left, WAIT_SECONDS, LONGEST_WAIT_SECONDS) };
    try {
      const answer = await once({ ...asked, input });
      pause.reset();
      const nothing = answer === null || asked.operation.nothing?.(answer, asked.input);
      if (!nothing || elapsed() >= end || asked.signal.aborted) return answer;
    } catch (error) {
      if (asked.signal.aborted) return [];
      if (!isPassing(error) || !pause.wasConnected() || elapsed() >= end) throw error;
      await pause.wait();
    }
  }
}

/** A stream for as long as anybody reads it; after a break it goes on behind the last answer that came. */
async function* streamed(asked: Asked): AsyncGenerator<unknown, void, void> {
  const pause = createPause(asked.signal);
  let input = asked.input;
  while (!asked.signal.aborted) {
    try {
      const response = await request({ ...asked, input });
      pause.reset();
      for await (const { id, event, data } of decodeEvents(bodyOf(response))) {
        if (event === "error") throw failureOf(parseAnswer(data), 500);
        yield parseAnswer(data);
        if (id !== undefined) input = { ...input, since: id };
      }
    } catch (error) {
      if (asked.signal.aborted) return;
      if (!isPassing(error) || !pause.wasConnected()) throw error;
    }
    await pause.wait();
  }
}

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;

/** Longer and longer, so that a server which comes back isn't trampled. */
function createPause(signal: AbortSignal) {
  let milliseconds = FIRST_PAUSE_MS;
  let connected = false;
  return {
    reset() {
      milliseconds = FIRST_PAUSE_MS;
      connected = true;
    },
    /** Only who was there once is waited for; an address that never answered is more likely wrong. */
    wasConnected: () => connected,
    async wait() {
      await sleep(milliseconds * (0.5 + Math.random()), signal);
      milliseconds = Math.min(milliseconds * 2, LONGEST_PAUSE_MS);
    },
  };
}

function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => resolve(clearTimeout(timer)), { once: true });
  });
}

class ConnectionError extends IpcError {
  readonly passing = true;
}

function isPassing(error: unknown): boolean {
  return error instanceof ConnectionError;
}

async function request({ base, server, operation, input, signal }: Asked): Promise<IncomingMessage> {
  const { method, path, query, body } = asHttp(operation, input);
  const shown = await credential(base, server, operation);
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
    outgoing.on("error", (cause) => reject(unreachable(base, cause)));
    outgoing.end(body);
  });
  if (response.statusCode === 200 || (response.statusCode === 408 && operation.waits !== undefined)) return response;
  throw failureOf(parseAnswer(await textOf(response)), response.statusCode ?? 0);
}

/** A token says more than the server's key, and stands in its place. It is shown to nobody who could be overheard. */
async function credential(base: URL, server: Server, { access }: Operation): Promise<string | undefined> {
  const token = access === "reader" || access === "keeper" ? await server.token() : undefined;
  if (token !== undefined && base.protocol !== "https:" && !isLoopback(base.hostname)) {
    throw invalid(`a token is sent over https, or to this machine, and not to ${base.origin}`);
  }
  return token ?? server.apiKey;
}

function asHttp(operation: Operation, input: Readonly<Record<string, unknown>>) {
  const [method = "", pattern = ""] = operation.http?.split(" ") ?? [];
  const told = Object.entries(input)
    .filter(([name, value]) => value !== undefined && !operation.input[name]?.callerOnly)
    .map(([name, value]): [string, unknown] => {
      const milliseconds = operation.input[name]?.httpMilliseconds && typeof value === "number";
      return [name, milliseconds ? value * 1_000 : value];
    });
  const rest = new Map(told);
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

async function textOf(response: IncomingMessage): Promise<string> {
  return Buffer.concat(await Array.fromAsync(bodyOf(response))).toString();
}

async function* bodyOf(response: IncomingMessage): AsyncGenerator<Buffer, void, void> {
  try {
    yield* response;
  } catch (cause) {
    throw new ConnectionError("internal", "The server's answer broke off", undefined, { cause });
  }
}

function parseAnswer(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new IpcError("internal", "The server's answer is not JSON; is that an el-ipc server?", undefined, { cause });
  }
}

function failureOf(answer: unknown, status: number): IpcError {
  const said = isRecord(answer) ? answer : {};
  const code = errorCodes.find((known) => known === said.code) ?? "internal";
  const sentence = typeof said.error === "string" ? said.error : `The server answered with status ${status}`;
  const reason = reasons.find((known) => known === said.reason);
  return new IpcError(code, status === 401 ? `${sentence}: set IPC_API_KEY to the server's key` : sentence, reason);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

function unreachable(base: URL, cause: Error): Error {
  if (isIpcError(cause)) return cause;
  return new ConnectionError("internal", `No server answers at ${base.origin} (${cause.message})`, undefined, {
    cause,
  });
}

function parseUrl(url: string): URL {
  const base = URL.canParse(url) ? new URL(url) : undefined;
  if (base?.protocol === "http:" || base?.protocol === "https:") return base;
  throw invalid(`${JSON.stringify(url)} is not the address of a server: http://host:port or https://host`);
}
