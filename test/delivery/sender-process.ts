// Sends one message to each of so many channels, in an order of its own, each time that it is told the next round.
import { createInterface } from "node:readline";
import { connect } from "../../src/storage/sqlite/connection.ts";
import { openDatabase } from "../../src/storage/sqlite/database.ts";
import { createMessageStore } from "../../src/storage/sqlite/messages.ts";
import { createFileBells } from "../../src/wakeup/files.ts";
import { nothingChanges } from "../support/store.ts";

const [path = "", count = ""] = process.argv.slice(2);
const messages = createMessageStore(connect(await openDatabase({ path, durability: "normal" }), path));
await using bells = createFileBells({ folder: `${path}-bells`, changes: nothingChanges });

console.error("ready");
for await (const round of createInterface({ input: process.stdin })) {
  const order = Array.from({ length: Number(count) }, (_, n) => ({ n, at: Math.random() })).sort((a, b) => a.at - b.at);
  // A few share a commit, as in a server: so what is sent comes at one waiter after the other in steps.
  while (order.length > 0) {
    const together = order.splice(0, 1 + Math.floor(Math.random() * 8)).map(async ({ n }) => {
      const channel = `c${n}`;
      await messages.append({ channel, sender: "a", content: round, timestamp: 1, signature: "" });
      bells.ring(channel);
    });
    await Promise.all(together);
  }
}
