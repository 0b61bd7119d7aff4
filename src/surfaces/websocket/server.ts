import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import type { Caller } from "../../core/access.ts";
import { type IpcError, invalid } from "../../core/errors.ts";
import { BODY_BYTES } from "../../core/limits.ts";
import type { Operation } from "../../operations/operation.ts";
import { createBufferBudget } from "../../server/budget.ts";
import type { Connections } from "../../server/connections.ts";
import { createDelivery, type EndpointFor } from "../../server/deliver.ts";
import { converse, createNames } from "./connection.ts";
import { boundPartial } from "./frames.ts";
import { createArrivals, watchOver } from "./mailbox.ts";

export interface WebSocketOptions {
  readonly operations: readonly Operation[];
  readonly endpointFor: EndpointFor;
  readonly connections: Connections;
  /** Hears of faults of ours. */
  readonly failed: (error: unknown) => void;
}

/** What an HTTP server that hosts it hands over: a request to speak WebSocket from now on, and who makes it. */
export interface WebSockets extends AsyncDisposable {
  /** Throws where what was asked is no WebSocket, for whoever handed it over to say why. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, caller: Caller, signal: AbortSignal): Promise<void>;
}

const SUBPROTOCOL = "el-ipc";

/** Serves the bus over WebSocket. docs/wire.md says its frames for strangers. */
export function createWebSockets(options: WebSocketOptions): WebSockets {
  const hub = {
    ...options,
    deliver: createDelivery(options.endpointFor),
    names: createNames(),
    arrivals: createArrivals(),
    room: createBufferBudget(),
  };
  const server = new WebSocketServer({
    noServer: true,
    maxPayload: BODY_BYTES,
    perMessageDeflate: false,
    clientTracking: false,
    // Never what shows who somebody is, where there is anything else.
    handleProtocols: (offered) =>
      offered.has(SUBPROTOCOL) ? SUBPROTOCOL : ([...offered].find((name) => !name.startsWith("bearer.")) ?? false),
  });
  const watch = watchOver();
  const open = new Set<Promise<void>>();
  const asked = new WeakMap<Duplex, (refusal: Error) => void>();
  server.on("wsClientError", ({ message }, socket) => asked.get(socket)?.(noHandshake(message)));
  return {
    upgrade: (request, socket, head, caller, signal) =>
      new Promise((resolve, reject) => {
        asked.set(socket, reject);
        // Its first message may be here already, so from here on nothing waits.
        server.handleUpgrade(request, socket, head, (connection) => {
          watch(connection);
          boundPartial(connection, socket, hub.room);
          const conversation = converse(connection, caller, hub, signal).catch(options.failed);
          open.add(conversation);
          void conversation.finally(() => open.delete(conversation));
          resolve();
        });
      }),
    async [Symbol.asyncDispose]() {
      await Promise.all(open);
    },
  };
}

function noHandshake(why: string): IpcError {
  return invalid(`this is no request for a WebSocket: ${why} (RFC 6455, version 13; GET with Upgrade: websocket)`);
}
