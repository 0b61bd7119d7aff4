import { after, suite } from "node:test";
import type { WriteArchive } from "../../src/core/store.ts";
import { writeArchive } from "../../src/storage/sqlite/archive.ts";
import { openSqlite } from "../../src/storage/sqlite/open.ts";
import { storeContract } from "../contracts/store.ts";
import { openNatsBus } from "../support/nats-bus.ts";
import { natsVersion, needsCluster, startCluster } from "../support/nats-server.ts";
import { natsSuite } from "../support/nats-suite.ts";
import { temporaryFolder } from "../support/program.ts";

/** Runs the store's contract on buses whose streams are on so many servers. */
function natsContract(what: string, replicas: number, freshBus: () => string): void {
  storeContract(what, async () => {
    const folder = temporaryFolder();
    const address = freshBus();
    const archive: WriteArchive = (archived) => writeArchive((moment) => folder.file(`backup-${moment}.db`), archived);
    return {
      open: async () => (await openNatsBus(address, { replicas, archive })).store,
      openBackup: (backup) => openSqlite({ path: backup }),
      [Symbol.asyncDispose]: async () => folder[Symbol.dispose](),
    };
  });
}

natsSuite("NATS JetStream", (server) => natsContract(`NATS JetStream ${natsVersion}`, 1, server.freshBus));

suite("NATS JetStream, a cluster", needsCluster, async () => {
  if (needsCluster.skip) return;
  const cluster = await startCluster();
  after(() => cluster[Symbol.asyncDispose]());
  natsContract(`a cluster of NATS JetStream ${natsVersion}`, 3, cluster.freshBus);
});
