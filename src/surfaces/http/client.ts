import { type ClientRequest, type IncomingMessage, type RequestOptions, request } from "node:http";
import { createRemoteEndpoint, credentialFor, type ServerTarget } from "../../client/remote.ts";
import { IpcError, invalid, isIpcError, remoteError } from "../../core/errors.ts";
import { monotonicMs } from "../../core/time.ts";
import { publicInput } from "../../operations/fields.ts";
import type { Request } from "../../operations/operation.ts";
import type { Endpoint } from "../../operations/perform.ts";
import { isLoopback, reachableHost } from "../../server/addresses.ts";
import { decodeEvents } from "../../wire/sse.ts";

class ConnectionError extends IpcError {}

/** The connection was made and then broke, perhaps because the server was stopping. */
class HangUp extends ConnectionError {}

/** How long a server that has only ever hung up is retried. */
const PATIENCE_MS = 10_000;

export function createHttpEndpoint(server: ServerTarget): Endpoint {
  const base = parseUrl(server.url);
  const isPrivate = base.protocol === "https:" || isLoopback(base.hostname);
  let reached = false;
  let hungUpAt: number | undefined;

  const ask = async (request: Request, signal: AbortSignal): Promise<IncomingMessage> => {
    const { method, path, query, body } = asHttp(request);
    const shown = await credentialFor(request, server, { name: base.origin, isPrivate });
    const options: RequestOptions = {
      method,
      path: base.pathname.replace(/\/$/, "") + path + query,
      signal,
      headers: {
        ...(body === undefined
          ? {}
          : { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) }),
        ...(shown === undefined ? {} : { Authorization: `Bearer ${shown}` }),
      },
    };
    const { request: open } = base.protocol === "https:" ? await import("node:https") : await import("node:http");
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const outgoing: ClientRequest = open(base, options, resolve);
      outgoing.on("response", () => {
        reached = true;
      });
      outgoing.on("error", (cause) => reject(unreachable(base, cause)));
      outgoing.end(body);
    });
    const timeIsUp = response.statusCode === 408 && request.operation.waits !== undefined;
    if (response.statusCode === 200 || timeIsUp) return response;
    throw failureOf(parseAnswer(await textOf(response)), response.statusCode ?? 0);
  };

  return createRemoteEndpoint({
    reached: () => reached,
    isPassing(error) {
      if (!(error instanceof ConnectionError)) return false;
      if (error instanceof HangUp) hungUpAt ??= monotonicMs();
      // A server that never answered isn't waited for: its address is more likely wrong.
      return reached || (hungUpAt !== undefined && monotonicMs() - hungUpAt < PATIENCE_MS);
    },
    async once(request, signal) {
      const response = await ask(request, signal);
      const answer = parseAnswer(await textOf(response));
      return response.statusCode === 408 ? null : answer;
    },
    async *stream(request, signal, begun) {
      const response = await ask(request, signal);
      if (!response.headers["content-type"]?.startsWith("text/event-stream")) throw notOurs("a stream of events");
      begun();
      for await (const { id, event, data } of decodeEvents(bodyOf(response))) {
        if (event === "error") throw failureOf(parseAnswer(data), 500);
        yield { value: parseAnswer(data), since: id };
      }
    },
  });
}

function asHttp(request: Request) {
  const { operation } = request;
  const [method = "", pattern = ""] = operation.http?.split(" ") ?? [];
  const rest = new Map(
    publicInput(operation.input.fields, request.input).map(([name, value]) => [
      name,
      operation.input.fields[name]?.httpMilliseconds ? Number(value) * 1_000 : value,
    ]),
  );
  const path = pattern.replace(/:(\w+)/g, (_, name: string) => {
    const value = String(rest.get(name) ?? "");
    rest.delete(name);
    return encodeURIComponent(value);
  });
  if (method === "POST" && operation.input.body === undefined) {
    return { method, path, query: "", body: JSON.stringify(Object.fromEntries(rest)) };
  }
  const body = operation.input.body === undefined ? undefined : JSON.stringify(rest.get(operation.input.body));
  if (operation.input.body !== undefined) rest.delete(operation.input.body);
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
    throw notOurs("JSON", cause);
  }
}

function notOurs(what: string, cause?: unknown): IpcError {
  const sentence = `The server's answer is not ${what}; is that an el-ipc server?`;
  return new IpcError("internal", sentence, undefined, { cause });
}

function failureOf(answer: unknown, status: number): IpcError {
  return remoteError(answer, `The server answered with status ${status}`);
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

function parseUrl(url: string): URL {
  const base = URL.canParse(url) ? new URL(url) : undefined;
  if (base?.protocol === "http:" || base?.protocol === "https:") return base;
  throw invalid(`${JSON.stringify(url)} is not the address of a server: http://host:port or https://host`);
}

const PROBE_MS = 2_000;

/** The name of the server on a port; undefined if it isn't HTTP or has none. */
export function productAt(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const asking = request({ host: reachableHost(host), port, path: "/", timeout: PROBE_MS }, (response) => {
      const { server } = response.headers;
      resolve(typeof server === "string" ? server : undefined);
      asking.destroy();
    });
    asking.on("timeout", () => asking.destroy());
    asking.on("error", () => resolve(undefined));
    asking.on("close", () => resolve(undefined));
    asking.end();
  });
}
