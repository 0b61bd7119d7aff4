// A process that holds a database for its writing alone, says so, and lets go after a while.
import { setTimeout as sleep } from "node:timers/promises";
import { openFile } from "../../src/storage/sqlite/database.ts";

const [path = "", milliseconds = ""] = process.argv.slice(2);
const driver = await openFile({ path });
driver.exec("BEGIN IMMEDIATE");
driver.exec("INSERT INTO messages (channel, sender, content, created_at) VALUES ('a', 'holder', 'held', 1)");
console.error("holding");
await sleep(Number(milliseconds));
driver.exec("COMMIT");
console.error("let go");
driver.close();
