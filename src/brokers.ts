import manifest from "../package.json" with { type: "json" };
import { isSecure } from "./core/access.ts";
import type { Bus } from "./core/bus.ts";
import { conflict, isIpcError } from "./core/errors.ts";
import type { Brokers } from "./core/link.ts";
import { checkListenAddress, type ListeningServer } from "./server/addresses.ts";
import { exposeBus } from "./server/entrance.ts";
import { openChannel } from "./surfaces/tcp/channel.ts";
import { brokerAt } from "./surfaces/tcp/client.ts";
import { serveTcp } from "./surfaces/tcp/server.ts";

/** Serves a bus as brokers in this process, and asks other brokers. `owned` holds the ports served here. */
export function createBrokers(bus: Bus, apiKey: string | undefined, owned: Set<number>): Brokers {
  const servers = new Map<number, ListeningServer>();
  const exposed = exposeBus(bus, { apiKey, insecure: false });
  const product = `el-ipc/${manifest.version}`;
  return {
    async start({ host, port }) {
      if (servers.has(port)) return "own";
      checkListenAddress(host, { hasKey: apiKey !== undefined, secure: await isSecure(bus), insecure: false });
      try {
        servers.set(port, await serveTcp({ ...exposed, host, port, product, reportFault: () => {} }));
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
