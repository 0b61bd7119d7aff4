import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import {
  createMcpHandler,
  isInitializeRequest,
  isLegacyRequest,
  type ServerContext,
  WebStandardStreamableHTTPServerTransport,
} from "@modelcontextprotocol/server";
import type { Caller } from "../../core/access.ts";
import { nodeCrypto } from "../../core/keys.ts";
import { BODY_BYTES } from "../../core/limits.ts";
import { KEEP_ALIVE } from "../../wire/sse.ts";
import type { Client, Memory } from "./call.ts";
import { type Conversation, createConversations } from "./conversations.ts";
import { createMcpServer, type Line, type McpOptions, type Settle } from "./server.ts";

/** An HTTP request that somebody may make. */
export interface Asked {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly caller: Caller;
  readonly signal: AbortSignal;
  body(): Promise<Buffer>;
}

/** One HTTP request, and whether anybody is still there to be answered. */
export interface Exchange {
  readonly caller: Caller;
  readonly signal: AbortSignal;
  /** It holds one message, and not a batch. */
  readonly single: boolean;
  /** Takes what is to be done once it is known whether the answer arrived. */
  answering(settle: Settle): void;
  /** Ends the answer where there is none to wait for. */
  end(): void;
}

export function createExchange(
  response: ServerResponse,
  caller: Caller,
  signal: AbortSignal,
  single: boolean,
): Exchange {
  const settles: Settle[] = [];
  response.once("close", () => {
    for (const settle of settles) void settle(response.writableFinished);
  });
  return {
    caller,
    signal,
    single,
    answering(settle) {
      if (response.closed) void settle(response.writableFinished);
      else settles.push(settle);
    },
    end: () => void response.end(),
  };
}

/** The body as JSON; undefined where it isn't any. */
export async function jsonBody({ body }: Asked): Promise<unknown> {
  const bytes = await body();
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}

/** The request as the protocol's package takes it; its body goes beside it. */
export function webRequest(request: IncomingMessage, signal: AbortSignal): Request {
  const headers = new Headers();
  for (const [name, value] of Object.entries(request.headers)) {
    for (const text of Array.isArray(value) ? value : [value ?? ""]) headers.append(name, text);
  }
  return new Request("http://localhost/mcp", { method: request.method ?? "GET", headers, signal });
}

/** An answer that the protocol's package doesn't make for us. */
export function failure(status: number, message: string, headers: Record<string, string> = {}, code = -32_000) {
  return Response.json({ jsonrpc: "2.0", error: { code, message }, id: null }, { status, headers });
}

export function tooMany(): Response {
  return failure(503, "Too many sessions", { "Retry-After": "60" });
}

/** Writes an answer of the protocol's package: a stream at once, with a byte, and at the pace of its reader. */
export async function answerWith(response: ServerResponse, answer: Response, signal: AbortSignal): Promise<void> {
  if (response.destroyed) return void (await answer.body?.cancel());
  response.writeHead(answer.status, Object.fromEntries(answer.headers));
  if (answer.headers.get("content-type")?.startsWith("text/event-stream")) response.write(KEEP_ALIVE);
  const reader = answer.body?.getReader();
  const stop = () => void reader?.cancel().catch(() => {});
  if (signal.aborted) stop();
  signal.addEventListener("abort", stop, { once: true });
  for (let part = await reader?.read(); part?.value !== undefined; part = await reader?.read()) {
    if (response.destroyed || response.writableEnded) break;
    if (!response.write(part.value)) await Promise.race([once(response, "drain"), once(response, "close")]);
  }
  signal.removeEventListener("abort", stop);
  stop();
  response.end();
}

interface Session extends Conversation {
  readonly transport: WebStandardStreamableHTTPServerTransport;
}

export interface StreamableEndpoint extends AsyncDisposable {
  handle(asked: Asked): Promise<void>;
}

const KEEP_ALIVE_MS = 15_000;

/**
 * One address for every revision: a request of 2026-07-28 stands for itself and is answered by a server of its own; an
 * older client initializes a session, which remembers whom it speaks for.
 */
export function createStreamableEndpoint(
  options: McpOptions,
  clientOf: (caller: Caller) => Client,
): StreamableEndpoint {
  const exchanges = new WeakMap<Request, Exchange>();
  const sessions = createConversations<Session>();

  const lineOf = ({ http }: ServerContext, memory: Memory): Line => {
    const exchange = http?.req && exchanges.get(http.req);
    if (exchange === undefined) throw new Error("a call came over no request");
    const { signal, answering, single, end } = exchange;
    return { client: clientOf(exchange.caller), memory, signal, answering, ...(single ? { unanswered: end } : {}) };
  };

  const modern = createMcpHandler(() => createMcpServer(options, (context) => lineOf(context, { peer: undefined })), {
    legacy: "reject",
    responseMode: "sse",
    keepAliveMs: KEEP_ALIVE_MS,
    maxRequestBodySize: BODY_BYTES,
  });

  /** Undefined where there is no room for one more. */
  const begin = async ({ identity }: Caller): Promise<Session | undefined> => {
    const id = nodeCrypto().randomUUID();
    const memory: Memory = { peer: undefined };
    const transport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: () => id,
      keepAliveMs: KEEP_ALIVE_MS,
    });
    const server = createMcpServer(options, (context) => lineOf(context, memory));
    const session = { memory, agent: identity?.agent, open: new Set<Client>(), transport, close: () => server.close() };
    if (!sessions.add(id, session)) return undefined;
    server.onclose = () => sessions.remove(id);
    await server.connect(transport);
    return session;
  };

  const inSession = async (asked: Asked, web: Request, body: unknown): Promise<Response> => {
    const { request, response, caller } = asked;
    const id = request.headers["mcp-session-id"];
    if (typeof id !== "string") {
      if (request.method !== "POST") return failure(405, "Use POST; GET and DELETE need a session", { Allow: "POST" });
      if (!isInitializeRequest(body)) return failure(400, "Mcp-Session-Id is required: initialize first");
      const begun = await begin(caller);
      return begun === undefined ? tooMany() : begun.transport.handleRequest(web, { parsedBody: body });
    }
    const session = sessions.find(id, caller.identity?.agent);
    if (session === undefined) return failure(404, "Session not found");
    const client = clientOf(caller);
    session.open.add(client);
    response.once("close", () => session.open.delete(client));
    return session.transport.handleRequest(web, body === undefined ? {} : { parsedBody: body });
  };

  const answerTo = async (asked: Asked): Promise<Response> => {
    const { request, response, caller, signal } = asked;
    const body = request.method === "POST" ? await jsonBody(asked) : undefined;
    if (request.method === "POST" && body === undefined) return failure(400, "The body must be JSON", {}, -32_700);
    const web = webRequest(request, signal);
    exchanges.set(web, createExchange(response, caller, signal, !Array.isArray(body)));
    if (request.method !== "POST" || (await isLegacyRequest(web, body))) return inSession(asked, web, body);
    return modern.fetch(web, { parsedBody: body });
  };

  return {
    handle: async (asked) => answerWith(asked.response, await answerTo(asked), asked.signal),
    async [Symbol.asyncDispose]() {
      await Promise.all([modern.close(), sessions[Symbol.asyncDispose]()]);
    },
  };
}
