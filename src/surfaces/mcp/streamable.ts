import {
  createMcpHandler,
  isInitializeRequest,
  isLegacyRequest,
  type ServerContext,
  WebStandardStreamableHTTPServerTransport,
} from "@modelcontextprotocol/server";
import type { Caller } from "../../core/caller.ts";
import { cryptography } from "../../core/keys.ts";
import { BODY_BYTES } from "../../core/limits.ts";
import type { Client, Memory } from "./call.ts";
import { type Conversation, createConversations } from "./conversations.ts";
import {
  type Asked,
  answerWith,
  createExchange,
  type Exchange,
  failure,
  jsonBody,
  tooMany,
  webRequest,
} from "./exchange.ts";
import { createMcpServer, type Line, type McpOptions } from "./server.ts";

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
    const id = cryptography().randomUUID();
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
