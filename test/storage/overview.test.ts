import { drivers } from "../../src/storage/sqlite/driver.ts";
import { openSqlite } from "../../src/storage/sqlite/open.ts";
import { overviewContract } from "../contracts/overview.ts";
import { temporaryFolder } from "../support/program.ts";

for (const driver of drivers) {
  overviewContract(`SQLite with ${driver}`, async () => {
    const folder = temporaryFolder();
    return {
      open: () => openSqlite({ path: folder.file("bus.db"), driver }),
      [Symbol.asyncDispose]: async () => folder[Symbol.dispose](),
    };
  });
}
