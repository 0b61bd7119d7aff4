// Sends numbered messages as fast as it can, until it is killed or told to stop, and prints each one's id once the bus
// has answered with it: whatever is printed here must never be lost.
import { writeSync } from "node:fs";
import { THIS_PROCESS } from "../../src/core/caller.ts";
import { send } from "../../src/core/messages.ts";
import { drivers } from "../../src/storage/sqlite/driver.ts";
import { openedBus } from "../support/opened.ts";

const [path = "", name = "", library = "", together = "1"] = process.argv.slice(2);
const driver = drivers.find((known) => known === library);
await using bus = await openedBus({ path, ...(driver === undefined ? {} : { driver }) });

let stopped = false;
process.stdin.on("end", () => {
  stopped = true;
});
process.stdin.resume();

for (let n = 0; !stopped; ) {
  // Some sends share a commit, as they do in a server.
  const sending = Array.from({ length: Number(together) }, async () => {
    const content = `${name} ${n++}`;
    const { id } = await send(bus, { channel: `c${n % 2}`, sender: name, content, signature: undefined }, THIS_PROCESS);
    writeSync(1, `${id} ${content}\n`);
  });
  await Promise.all(sending);
  await new Promise((resolve) => setTimeout(resolve, Math.random() * 10));
}
