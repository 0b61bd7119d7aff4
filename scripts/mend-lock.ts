// npm skips an optional dependency whose `engines` the Node that runs npm doesn't meet, and it reads them from the
// lock file. Here npm may be run by an older Node than the one that our scripts run on (the development dependency
// `node`), so the lock file must not say what better-sqlite3 asks for. `src/storage/sqlite/driver.ts` checks it at run time.
import { readFileSync, writeFileSync } from "node:fs";

const file = new URL("../package-lock.json", import.meta.url);
const lock = JSON.parse(readFileSync(file, "utf8"));
delete lock.packages["node_modules/better-sqlite3"].engines;
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
