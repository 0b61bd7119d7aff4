import { createServer, type Socket } from "node:net";
import { errorAnswer, IpcError } from "../../core/errors.ts";
import { type ListeningServer, listen } from "../../server/addresses.ts";
import type { ExposedBus } from "../../server/entrance.ts";
import { encodeLine } from "../../wire/json-lines.ts";
import { type Connection, type Hub, serveConnection } from "./connection.ts";
import { createWaiters } from "./requests.ts";

export interface TcpOptions extends ExposedBus {
  readonly host: string;
  readonly port: number;
  readonly reportFault: (error: unknown) => void;
  readonly product: string;
}

const MAX_CONNECTIONS = 15_000;

/** Further connections get an error, unless there are too many of them, too. */
const MAX_REFUSED = 500;

const GRACE_MS = 5_000;

/** Serves the bus as lines of JSON. docs/wire.md describes them for clients in other languages. */
export async function serveTcp(options: TcpOptions): Promise<ListeningServer> {
  const open = new Map<Socket, Connection>();
  const hub: Hub = { ...options, waiters: createWaiters() };
  const server = createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 });
  server.maxConnections = MAX_CONNECTIONS + MAX_REFUSED;
  server.on("connection", (socket) => {
    if (open.size >= MAX_CONNECTIONS) return refuseConnection(socket);
    const connection = serveConnection(socket, hub);
    open.set(socket, connection);
    void connection.done.then(() => open.delete(socket));
  });
  const port = await listen(server, options);
  server.on("error", options.reportFault);

  return {
    port,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const connection of open.values()) connection.stop();
      const grace = setTimeout(() => {
        for (const socket of open.keys()) socket.destroy();
      }, GRACE_MS);
      await closed;
      await Promise.all([...open.values()].map(({ done }) => done));
      clearTimeout(grace);
    },
  };
}

function refuseConnection(socket: Socket): void {
  socket.on("error", () => {});
  socket.setTimeout(1_000, () => socket.destroy());
  const error = new IpcError("internal", "too many connections are open: try again in a moment", "busy");
  socket.resume().end(encodeLine(errorAnswer(error)), () => socket.destroySoon());
}
