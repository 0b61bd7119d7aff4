import { drivers } from "../../src/storage/sqlite/driver.ts";
import { openSqlite } from "../../src/storage/sqlite/open.ts";
import { storeContract } from "../contracts/store.ts";
import { temporaryFolder } from "../support/program.ts";

for (const driver of drivers) {
  storeContract(`SQLite with ${driver}`, async () => {
    const folder = temporaryFolder();
    return {
      open: () => openSqlite({ path: folder.file("bus.db"), driver, durability: "normal" }),
      openBackup: (backup) => openSqlite({ path: backup, driver }),
      [Symbol.asyncDispose]: async () => folder[Symbol.dispose](),
    };
  });
}
