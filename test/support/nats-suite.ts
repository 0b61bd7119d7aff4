import { after, suite } from "node:test";
import { type NatsServer, natsVersion, needsNats, startNats } from "./nats-server.ts";

/** Declares a suite whose tests share a server. */
export function natsSuite(name: string, tests: (server: NatsServer) => void): void {
  suite(name, needsNats, async () => {
    if (natsVersion === undefined) return;
    const server = await startNats();
    after(() => server[Symbol.asyncDispose]());
    tests(server);
  });
}
