import { once } from "node:events";
import type { ServerResponse } from "node:http";
import {
  type JSONRPCMessage,
  type MessageExtraInfo,
  parseJSONRPCMessage,
  type Transport,
} from "@modelcontextprotocol/server";
import type { Caller } from "../../core/access.ts";
import { nodeCrypto } from "../../core/keys.ts";
import { EVENT_STREAM_HEADERS, encodeEvent, KEEP_ALIVE, KEEP_ALIVE_MS } from "../../wire/sse.ts";
import type { Client, Memory } from "./call.ts";
import { type Conversation, createConversations } from "./conversations.ts";
import { createMcpServer, type McpOptions, watchArrivals } from "./server.ts";
import { failureResponse, type HttpCall, jsonBody, tooManySessions, webRequest, writeResponse } from "./streamable.ts";

/**
 * The transport of revision 2024-11-05, which clients of the session broker use: the server sends events, and the client
 * posts its messages to another path.
 */
interface SseTransport extends Transport {
  readonly sessionId: string;
  /** Handles a posted message. Throws if it is none of the protocol. */
  receive(message: unknown, extra: MessageExtraInfo): void;
}

function createSseTransport(response: ServerResponse, sessionId: string, postTo: string): SseTransport {
  let heartbeat: NodeJS.Timeout | undefined;
  const transport: SseTransport = {
    sessionId,
    async start() {
      response.writeHead(200, EVENT_STREAM_HEADERS);
      response.write(encodeEvent({ event: "endpoint", data: postTo }));
      heartbeat = setInterval(() => response.write(KEEP_ALIVE), KEEP_ALIVE_MS);
      response.once("close", () => {
        clearInterval(heartbeat);
        transport.onclose?.();
      });
    },
    async close() {
      clearInterval(heartbeat);
      response.end();
    },
    /** Resolves once the operating system has it. */
    send: (message: JSONRPCMessage) =>
      new Promise((resolve, reject) => {
        const event = encodeEvent({ event: "message", data: JSON.stringify(message) });
        response.write(event, (error) => (error ? reject(error) : resolve()));
      }),
    receive(message, extra) {
      transport.onmessage?.(parseJSONRPCMessage(message), extra);
    },
  };
  return transport;
}

interface Session extends Conversation {
  readonly transport: SseTransport;
}

export function createSseEndpoint(options: McpOptions, clientOf: (caller: Caller) => Client, postTo: string) {
  const callers = new WeakMap<Request, Caller>();
  const sessions = createConversations<Session>();

  return {
    /** Begins a session, which lasts as long as the response's stream. */
    async open({ request, response, caller, signal }: HttpCall): Promise<void> {
      if (request.method !== "GET")
        return writeResponse(response, failureResponse(405, "Use GET", { Allow: "GET" }), signal);
      const id = nodeCrypto().randomUUID();
      const memory: Memory = { session: undefined };
      const transport = createSseTransport(response, id, `${postTo}?sessionId=${id}`);
      const watchArrival = watchArrivals(transport);
      const server = createMcpServer(options, ({ http, mcpReq }) => ({
        client: clientOf((http?.req && callers.get(http.req)) ?? caller),
        memory,
        signal,
        watchArrival: (report) => watchArrival(mcpReq.id, report),
      }));
      const session = { memory, agent: caller.identity?.agent, open: new Set([clientOf(caller)]), transport };
      if (!sessions.add(id, { ...session, close: () => server.close() })) {
        return writeResponse(response, tooManySessions(), signal);
      }
      await server.connect(transport);
      if (signal.aborted) response.end();
      signal.addEventListener("abort", () => response.end(), { once: true });
      if (!response.closed) await once(response, "close");
      sessions.remove(id);
    },

    async post(call: HttpCall): Promise<void> {
      const { request, response, caller, signal } = call;
      const id = new URL(request.url ?? "", "http://localhost").searchParams.get("sessionId") ?? "";
      const answer = await (async () => {
        if (request.method !== "POST") return failureResponse(405, "Use POST", { Allow: "POST" });
        const session = sessions.find(id, caller.identity?.agent);
        if (session === undefined) return failureResponse(404, "Session not found");
        const body = await jsonBody(call);
        const web = webRequest(request, signal);
        callers.set(web, caller);
        try {
          session.transport.receive(body, { request: web });
        } catch {
          return failureResponse(400, "This is no message of the protocol", {}, -32_700);
        }
        return new Response("Accepted", { status: 202 });
      })();
      await writeResponse(response, answer, signal);
    },

    [Symbol.asyncDispose]: sessions[Symbol.asyncDispose],
  };
}
