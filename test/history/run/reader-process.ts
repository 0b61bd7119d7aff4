// Reads a channel as an event source does: waits, says what came, and only then tells the bus that it has it. Its log is
// its standard output.
import { writeSync } from "node:fs";
import { publicError } from "../../../src/core/errors.ts";
import { acknowledge, read } from "../../../src/core/messages.ts";
import { drivers } from "../../../src/storage/sqlite/driver.ts";
import { openLocalBus } from "../../support/store.ts";
import { type Doing, moment } from "../events.ts";

const [path = "", channel = "", agent = "", library = ""] = process.argv.slice(2);
const driver = drivers.find((known) => known === library);

function log(doing: Doing): void {
  writeSync(1, `${JSON.stringify({ at: moment(), ...doing })}\n`);
}

const stopping = new AbortController();
process.stdin.on("end", () => stopping.abort());
process.stdin.resume();

await using bus = await openLocalBus({ path, ...(driver === undefined ? {} : { driver }) });
const waiting = { channel, agent, others: false, peek: false, wait: true, seconds: undefined, burst: 0 };
while (!stopping.signal.aborted) {
  log({ kind: "asked", agent, channel });
  try {
    const limit = 1 + Math.floor(Math.random() * 20);
    const found = await read(bus, { ...waiting, limit }, stopping.signal);
    for (const { id, content } of found) log({ kind: "printed", agent, channel, id, key: content });
    const newest = found.at(-1)?.id;
    if (newest === undefined) continue;
    await acknowledge(bus, channel, agent, newest);
    log({ kind: "settled", agent, channel, id: newest });
  } catch (error) {
    log({ kind: "said", text: `Error: ${publicError(error).message}` });
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
