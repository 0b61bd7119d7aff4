import { after, suite } from "node:test";
import { readAddress } from "../../src/storage/nats/address.ts";
import { connectNats } from "../../src/storage/nats/connection.ts";
import { openNatsStore } from "../../src/storage/nats/open.ts";
import { writeArchive } from "../../src/storage/sqlite/archive.ts";
import { openSqlite } from "../../src/storage/sqlite/open.ts";
import { storeContract } from "../contracts/store.ts";
import { natsVersion, needsNats, startNats } from "../support/nats-server.ts";
import { temporaryFolder } from "../support/program.ts";

suite("NATS JetStream", needsNats, async () => {
  if (natsVersion === undefined) return;
  const server = await startNats();
  after(() => server[Symbol.asyncDispose]());

  storeContract(`NATS JetStream ${natsVersion}`, async () => {
    const folder = temporaryFolder();
    const address = readAddress(server.freshBus());
    let backups = 0;
    return {
      open: async () =>
        openNatsStore(await connectNats(address), {
          bus: address.bus,
          replicas: 1,
          async archive(archive) {
            const path = folder.file(`backup-${backups++}.db`);
            await writeArchive(path, archive);
            return path;
          },
        }),
      openBackup: (backup) => openSqlite({ path: backup }),
      [Symbol.asyncDispose]: async () => folder[Symbol.dispose](),
    };
  });
});
