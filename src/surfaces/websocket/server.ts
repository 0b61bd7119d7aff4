import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import { type IpcError, invalid } from "../../core/errors.ts";
import { BODY_BYTES } from "../../core/limits.ts";
import type { Connections } from "../../server/connections.ts";
import type { ExposedBus } from "../../server/entrance.ts";
import type { Upgrade } from "../../server/mount.ts";
import { type Hub, serveConnection } from "./connection.ts";
import { createNames } from "./names.ts";
import { createArrivals } from "./notices.ts";
import { createHeartbeat } from "./socket.ts";

export interface WebSocketOptions extends ExposedBus {
  readonly connections: Connections;
  readonly reportFault: (error: unknown) => void;
}

export interface WebSockets extends AsyncDisposable {
  readonly upgrade: Upgrade;
}

const SUBPROTOCOL = "el-ipc";

/** Serves the bus over WebSocket. docs/wire.md describes its frames for clients in other languages. */
export function createWebSockets(options: WebSocketOptions): WebSockets {
  const hub: Hub = { ...options, names: createNames(), arrivals: createArrivals() };
  const server = new WebSocketServer({
    noServer: true,
    maxPayload: BODY_BYTES,
    perMessageDeflate: false,
    clientTracking: false,
    // A subprotocol that carries a token is never selected.
    handleProtocols: (offered) =>
      offered.has(SUBPROTOCOL) ? SUBPROTOCOL : ([...offered].find((name) => !name.startsWith("bearer.")) ?? false),
  });
  const watch = createHeartbeat();
  const open = new Set<Promise<void>>();
  const handshakes = new WeakMap<Duplex, (refusal: Error) => void>();
  server.on("wsClientError", ({ message }, socket) => handshakes.get(socket)?.(badHandshake(message)));
  return {
    upgrade: (request, socket, head, caller, signal) =>
      new Promise((resolve, reject) => {
        handshakes.set(socket, reject);
        // Its first message may already be here, so nothing may await from here on.
        server.handleUpgrade(request, socket, head, (connection) => {
          watch(connection);
          const served = serveConnection(connection, socket, caller, hub, signal).catch(options.reportFault);
          open.add(served);
          void served.finally(() => open.delete(served));
          resolve();
        });
      }),
    async [Symbol.asyncDispose]() {
      await Promise.all(open);
    },
  };
}

function badHandshake(why: string): IpcError {
  return invalid(`this is no request for a WebSocket: ${why} (RFC 6455, version 13; GET with Upgrade: websocket)`);
}
