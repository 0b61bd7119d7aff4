// Reads a channel as an event source does: waits, prints what came, and only then says that it has it. Prints `got ID
// CONTENT` for each message and `has ID` once the bus has answered that it knows.
import { writeSync } from "node:fs";
import { acknowledge, read } from "../../src/core/messages.ts";
import { drivers } from "../../src/storage/sqlite/driver.ts";
import { openedBus } from "../support/opened.ts";

const [path = "", channel = "", agent = "", library = ""] = process.argv.slice(2);
const driver = drivers.find((known) => known === library);
await using bus = await openedBus({ path, ...(driver === undefined ? {} : { driver }) });

const stopping = new AbortController();
process.stdin.on("end", () => stopping.abort());
process.stdin.resume();

const waiting = { channel, agent, others: false, peek: false, wait: true, seconds: undefined, burst: 0 };
for (;;) {
  // Once it is told to stop it takes what is there, and ends where there is nothing more.
  const last = stopping.signal.aborted;
  const found = await read(
    bus,
    { ...waiting, wait: !last, limit: 1 + Math.floor(Math.random() * 20) },
    stopping.signal,
  );
  if (found.length === 0 && last) break;
  for (const { id, content } of found) writeSync(1, `got ${id} ${content}\n`);
  const newest = found.at(-1)?.id;
  if (newest === undefined) continue;
  await acknowledge(bus, channel, agent, newest);
  writeSync(1, `has ${newest}\n`);
}
