import { createServer, type Socket } from "node:net";
import type { IpcError } from "../../core/errors.ts";
import type { Operation } from "../../operations/operation.ts";
import { createBufferBudget } from "../../server/budget.ts";
import { createDelivery, type EndpointFor } from "../../server/deliver.ts";
import type { Entrance } from "../../server/entrance.ts";
import { listeningPort } from "../../server/loopback.ts";
import { encodeLine } from "../../wire/json-lines.ts";
import { type Connection, converse } from "./connection.ts";

export interface TcpOptions {
  readonly operations: readonly Operation[];
  readonly endpointFor: EndpointFor;
  readonly host: string;
  readonly port: number;
  readonly door: Entrance;
  /** Hears of each connection that was refused before it reached the bus. */
  readonly refused: (refusal: IpcError, from: string) => Promise<void>;
  /** Hears of faults of ours. */
  readonly failed: (error: unknown) => void;
  readonly product: string;
}

export interface TcpServer extends AsyncDisposable {
  readonly port: number;
}

const MAX_CONNECTIONS = 15_000;

/** Those beyond are told so, unless there are too many of them, too. */
const MAX_REFUSED = 500;

/** How long a shutdown waits for answers on their way. */
const GRACE_MS = 5_000;

/** Serves the bus as lines of JSON. docs/wire.md says them for strangers. */
export async function serveTcp(options: TcpOptions): Promise<TcpServer> {
  const open = new Map<Socket, Connection>();
  const hub = {
    ...options,
    deliver: createDelivery(options.endpointFor),
    room: createBufferBudget(),
    awaited: new Map<string, number>(),
  };
  const server = createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 });
  server.maxConnections = MAX_CONNECTIONS + MAX_REFUSED;
  server.on("connection", (socket) => {
    if (open.size >= MAX_CONNECTIONS) return turnAway(socket);
    const connection = converse(socket, hub);
    open.set(socket, connection);
    void connection.done.then(() => open.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port: options.port, host: options.host, backlog: 4_096 }, () => {
      server.off("error", reject);
      resolve();
    });
  });
  server.on("error", options.failed);

  return {
    port: listeningPort(server.address()),
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const connection of open.values()) connection.close();
      const grace = setTimeout(() => {
        for (const socket of open.keys()) socket.destroy();
      }, GRACE_MS);
      await closed;
      await Promise.all([...open.values()].map(({ done }) => done));
      clearTimeout(grace);
    },
  };
}

function turnAway(socket: Socket): void {
  socket.on("error", () => {});
  socket.setTimeout(1_000, () => socket.destroy());
  const error = "too many connections are open: try again in a moment";
  socket.resume().end(encodeLine({ ok: false, error, code: "internal", reason: "busy" }), () => socket.destroySoon());
}
