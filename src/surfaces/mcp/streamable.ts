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
import type { Visit } from "../../server/mount.ts";
import { KEEP_ALIVE, KEEP_ALIVE_MS } from "../../wire/sse.ts";
import type { Client, Memory, ReportArrival } from "./call.ts";
import { type Conversation, createConversations } from "./conversations.ts";
import { type CallRoute, createMcpServer, type McpOptions } from "./server.ts";

export interface HttpCall extends Visit {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

type Route = Omit<CallRoute, "memory">;

function createRoute({ response, signal }: HttpCall, client: Client, isBatch: boolean): Route {
  const reports: ReportArrival[] = [];
  response.once("close", () => {
    for (const report of reports) report(response.writableFinished);
  });
  return {
    client,
    signal,
    watchArrival(report) {
      if (response.closed) report(response.writableFinished);
      else reports.push(report);
    },
    ...(isBatch ? {} : { close: () => void response.end() }),
  };
}

/** Returns undefined for a body that is not JSON. */
export async function jsonBody({ body }: HttpCall): Promise<unknown> {
  const bytes = await body();
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}

/** Converts a request for the protocol's package, without its body. */
export function webRequest(request: IncomingMessage, signal: AbortSignal): Request {
  const headers = new Headers();
  for (const [name, value] of Object.entries(request.headers)) {
    for (const text of Array.isArray(value) ? value : [value ?? ""]) headers.append(name, text);
  }
  return new Request("http://localhost/mcp", { method: request.method ?? "GET", headers, signal });
}

/** An error that the protocol's package doesn't produce. */
export function failureResponse(status: number, message: string, headers: Record<string, string> = {}, code = -32_000) {
  return Response.json({ jsonrpc: "2.0", error: { code, message }, id: null }, { status, headers });
}

export function tooManySessions(): Response {
  return failureResponse(503, "Too many sessions", { "Retry-After": "60" });
}

/** Writes an answer of the protocol's package at its reader's pace. A stream starts with a byte at once. */
export async function writeResponse(response: ServerResponse, answer: Response, signal: AbortSignal): Promise<void> {
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

/**
 * One address for every revision: a 2026-07-28 request is self-contained and gets a server of its own; an older client
 * initializes a session, which remembers the client's session on the bus.
 */
export function createStreamableEndpoint(options: McpOptions, clientOf: (caller: Caller) => Client) {
  const routes = new WeakMap<Request, Route>();
  const sessions = createConversations<Session>();

  const routeOf = ({ http }: ServerContext, memory: Memory): CallRoute => {
    const route = http?.req && routes.get(http.req);
    if (route === undefined) throw new Error("a call came over no request");
    return { ...route, memory };
  };

  const modern = createMcpHandler(
    () => createMcpServer(options, (context) => routeOf(context, { session: undefined })),
    {
      legacy: "reject",
      responseMode: "sse",
      keepAliveMs: KEEP_ALIVE_MS,
      maxRequestBodySize: BODY_BYTES,
    },
  );

  /** Returns undefined if there are too many sessions. */
  const beginSession = async ({ identity }: Caller): Promise<Session | undefined> => {
    const id = nodeCrypto().randomUUID();
    const memory: Memory = { session: undefined };
    const transport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: () => id,
      keepAliveMs: KEEP_ALIVE_MS,
    });
    const server = createMcpServer(options, (context) => routeOf(context, memory));
    const session = { memory, agent: identity?.agent, open: new Set<Client>(), transport, close: () => server.close() };
    if (!sessions.add(id, session)) return undefined;
    server.onclose = () => sessions.remove(id);
    await server.connect(transport);
    return session;
  };

  const answerInSession = async (call: HttpCall, web: Request, body: unknown): Promise<Response> => {
    const { request, response, caller } = call;
    const id = request.headers["mcp-session-id"];
    if (typeof id !== "string") {
      if (request.method !== "POST")
        return failureResponse(405, "Use POST; GET and DELETE need a session", { Allow: "POST" });
      if (!isInitializeRequest(body)) return failureResponse(400, "Mcp-Session-Id is required: initialize first");
      const session = await beginSession(caller);
      return session === undefined ? tooManySessions() : session.transport.handleRequest(web, { parsedBody: body });
    }
    const session = sessions.find(id, caller.identity?.agent);
    if (session === undefined) return failureResponse(404, "Session not found");
    const client = clientOf(caller);
    session.open.add(client);
    response.once("close", () => session.open.delete(client));
    return session.transport.handleRequest(web, body === undefined ? {} : { parsedBody: body });
  };

  const answer = async (call: HttpCall): Promise<Response> => {
    const { request, signal } = call;
    const body = request.method === "POST" ? await jsonBody(call) : undefined;
    if (request.method === "POST" && body === undefined)
      return failureResponse(400, "The body must be JSON", {}, -32_700);
    const web = webRequest(request, signal);
    routes.set(web, createRoute(call, clientOf(call.caller), Array.isArray(body)));
    if (request.method !== "POST" || (await isLegacyRequest(web, body))) return answerInSession(call, web, body);
    return modern.fetch(web, { parsedBody: body });
  };

  return {
    handle: async (call: HttpCall) => writeResponse(call.response, await answer(call), call.signal),
    async [Symbol.asyncDispose]() {
      await Promise.all([modern.close(), sessions[Symbol.asyncDispose]()]);
    },
  };
}
