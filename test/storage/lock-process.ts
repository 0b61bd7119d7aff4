// A process that holds a database for its writing alone, says so, and lets go when its input ends.
import { once } from "node:events";
import { openDatabase } from "../../src/storage/sqlite/database.ts";

const [path = ""] = process.argv.slice(2);
const driver = await openDatabase({ path });
driver.exec("BEGIN IMMEDIATE");
driver.exec("INSERT INTO messages (channel, sender, content, created_at) VALUES ('a', 'holder', 'held', 1)");
console.error("holding");
await once(process.stdin.resume(), "end");
driver.exec("COMMIT");
driver.close();
