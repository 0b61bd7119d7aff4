import type { ServerResponse } from "node:http";
import {
  type JSONRPCMessage,
  type MessageExtraInfo,
  parseJSONRPCMessage,
  type Transport,
} from "@modelcontextprotocol/server";
import { encodeEvent, KEEP_ALIVE } from "../../wire/sse.ts";

const KEEP_ALIVE_MS = 15_000;

/**
 * The transport of revision 2024-11-05, as S4's clients are set up for it: a stream of events for all that the server
 * says, and a path to which the client posts.
 */
export interface SseTransport extends Transport {
  readonly sessionId: string;
  /** What the client posted. Throws where that is no message of the protocol. */
  receive(message: unknown, extra: MessageExtraInfo): void;
}

export function createSseTransport(response: ServerResponse, sessionId: string, postTo: string): SseTransport {
  let heartbeat: NodeJS.Timeout | undefined;
  const transport: SseTransport = {
    sessionId,
    async start() {
      response.writeHead(200, {
        "Content-Type": "text/event-stream",
        "Cache-Control": "no-store",
        "X-Accel-Buffering": "no",
        "X-Content-Type-Options": "nosniff",
      });
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
    /** Answers once the operating system has it. */
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
