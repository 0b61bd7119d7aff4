import { after, suite } from "node:test";
import { readAddress } from "../../src/storage/nats/address.ts";
import { connectNats } from "../../src/storage/nats/connection.ts";
import { namesOf } from "../../src/storage/nats/names.ts";
import { createNatsBells } from "../../src/wakeup/nats.ts";
import { wakeupContract } from "../contracts/wakeup.ts";
import { natsVersion, needsNats, startNats } from "../support/nats-server.ts";
import { nothingChanges } from "../support/store.ts";

suite("NATS", needsNats, async () => {
  if (natsVersion === undefined) return;
  const server = await startNats();
  const where = readAddress(server.freshBus());
  const connections = await Promise.all([connectNats(where), connectNats(where)]);
  after(async () => {
    for (const connection of connections) await connection.close();
    await server[Symbol.asyncDispose]();
  });

  let opened = 0;
  wakeupContract("NATS", () => {
    const { bus } = readAddress(server.freshBus());
    return {
      open() {
        const connection = connections[opened++ % connections.length] ?? connections[0];
        return createNatsBells({ nats: connection.nats, subjectOf: namesOf(bus).bell, changes: nothingChanges });
      },
      async [Symbol.asyncDispose]() {},
    };
  });
});
