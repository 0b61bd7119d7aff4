// Answers each message of one channel with one in another, as fast as it hears of it. No clock wakes it: a wake-up that
// is lost stops it.

import { THIS_PROCESS } from "../../src/core/access.ts";
import { createBus } from "../../src/core/bus.ts";
import { acknowledge, read, send } from "../../src/core/messages.ts";
import { openSqlite } from "../../src/storage/sqlite/open.ts";
import { createFileBells } from "../../src/wakeup/files.ts";
import { noPolicy, nothingChanges } from "../support/store.ts";

const [path = "", hears = "", says = "", rounds = ""] = process.argv.slice(2);
await using bus = createBus({
  store: await openSqlite({ path, durability: "normal" }),
  wakeup: createFileBells({ folder: `${path}-bells`, changes: nothingChanges }),
  policy: noPolicy,
  now: () => Date.now() / 1_000,
});
const waitingForIt = {
  channel: hears,
  agent: "pong",
  limit: undefined,
  others: false,
  peek: false,
  wait: true,
  seconds: 30,
  burst: 0,
};
for (let round = 0; round < Number(rounds); round++) {
  const [found] = await read(bus, waitingForIt, new AbortController().signal);
  if (found === undefined) throw new Error(`round ${round}: a wake-up was lost`);
  await acknowledge(bus, hears, "pong", found.id);
  const end = performance.now() + Math.random() * 0.4;
  while (performance.now() < end);
  await send(bus, { channel: says, sender: "pong", content: found.content, signature: undefined }, THIS_PROCESS);
}
