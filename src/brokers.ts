import manifest from "../package.json" with { type: "json" };
import { mayListen } from "./core/access.ts";
import { isSecure } from "./core/agents.ts";
import type { Bus } from "./core/bus.ts";
import { conflict, isIpcError } from "./core/errors.ts";
import type { Brokers } from "./core/link.ts";
import { serveOverTcp } from "./serve-tcp.ts";
import { openChannel } from "./surfaces/tcp/channel.ts";
import { brokerAt } from "./surfaces/tcp/client.ts";
import type { TcpServer } from "./surfaces/tcp/server.ts";

/** Brokers that serve a bus in this process, and a way to those of others. Notes in `owned` where it serves. */
export function createBrokers(bus: Bus, apiKey: string | undefined, owned: Set<number>): Brokers {
  const servers = new Map<number, TcpServer>();
  return {
    async start({ host, port }) {
      if (servers.has(port)) return "own";
      mayListen(host, { hasKey: apiKey !== undefined, secure: await isSecure(bus), insecure: false });
      try {
        const product = `el-ipc/${manifest.version}`;
        const server = await serveOverTcp(bus, { host, port, apiKey, insecure: false, failed: () => {}, product });
        servers.set(port, server);
        owned.add(port);
        return "started";
      } catch (error) {
        if (isIpcError(error) || !(error instanceof Error && "code" in error)) throw error;
        if (error.code !== "EADDRINUSE")
          throw conflict(`port ${port} of ${host} can't be listened on: ${error.message}`);
        if ((await brokerAt(host, port)) !== undefined) return "found";
        throw conflict(`port ${port} is in use, and not by a broker: choose another`);
      }
    },
    owns: (port) => owned.has(port),
    async stop(port) {
      const server = servers.get(port);
      servers.delete(port);
      owned.delete(port);
      await server?.[Symbol.asyncDispose]();
      return server !== undefined;
    },
    async ask(port, request, signal) {
      const channel = await openChannel({ host: "127.0.0.1", port }).catch(() => undefined);
      if (channel === undefined) return undefined;
      try {
        const [answer] = await Array.fromAsync(channel.ask(request, signal, false));
        return answer ?? { ok: false, error: "the broker closed the connection" };
      } finally {
        channel.close();
      }
    },
    async [Symbol.asyncDispose]() {
      for (const server of servers.values()) await server[Symbol.asyncDispose]();
    },
  };
}
