// A process that opens a database at a given moment, together with others, and sends a message.
import { drivers } from "../../src/storage/sqlite/driver.ts";
import { openSqlite } from "../../src/storage/sqlite/open.ts";
import { append } from "../support/store.ts";

const [path = "", library = "", moment = ""] = process.argv.slice(2);
const driver = drivers.find((name) => name === library);
while (Date.now() < Number(moment));
await using store = await openSqlite({ path, ...(driver === undefined ? {} : { driver }) });
const message = { channel: "a", sender: String(process.pid), content: "opened", timestamp: 1, signature: "" };
console.log(await append(store.messages, message));
