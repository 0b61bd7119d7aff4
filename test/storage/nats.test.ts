import { after, suite } from "node:test";
import { readAddress } from "../../src/storage/nats/address.ts";
import { connectNats } from "../../src/storage/nats/connection.ts";
import { openNatsStore } from "../../src/storage/nats/open.ts";
import { writeArchive } from "../../src/storage/sqlite/archive.ts";
import { openSqlite } from "../../src/storage/sqlite/open.ts";
import { storeContract } from "../contracts/store.ts";
import { natsVersion, needsNats, startCluster, startNats } from "../support/nats-server.ts";
import { temporaryFolder } from "../support/program.ts";

/** The promises, on buses whose streams lie on so many servers. */
function natsContract(what: string, replicas: number, freshBus: () => string): void {
  storeContract(what, async () => {
    const folder = temporaryFolder();
    const address = readAddress(freshBus());
    return {
      open: async () =>
        openNatsStore(await connectNats(address), {
          bus: address.bus,
          replicas,
          archive: (archive) => writeArchive((moment) => folder.file(`backup-${moment}.db`), archive),
        }),
      openBackup: (backup) => openSqlite({ path: backup }),
      [Symbol.asyncDispose]: async () => folder[Symbol.dispose](),
    };
  });
}

suite("NATS JetStream", needsNats, async () => {
  if (natsVersion === undefined) return;
  const server = await startNats();
  after(() => server[Symbol.asyncDispose]());
  natsContract(`NATS JetStream ${natsVersion}`, 1, server.freshBus);
});

suite("NATS JetStream, a cluster", needsNats, async () => {
  if (natsVersion === undefined) return;
  const cluster = await startCluster();
  after(() => cluster[Symbol.asyncDispose]());
  natsContract(`a cluster of NATS JetStream ${natsVersion}`, 3, cluster.freshBus);
});
