// Sends numbered messages as fast as it can, until it is killed or told to stop. Its log is its standard output: what it
// begins, and what the bus has answered, which must never be lost.
import { readFileSync, writeSync } from "node:fs";
import { THIS_PROCESS } from "../../../src/core/access.ts";
import { publicError } from "../../../src/core/errors.ts";
import { send } from "../../../src/core/messages.ts";
import { drivers } from "../../../src/storage/sqlite/driver.ts";
import { identityOf, signV1 } from "../../support/identity.ts";
import { openLocalBus } from "../../support/store.ts";
import { type Doing, moment } from "../events.ts";

const [path = "", name = "", life = "", library = "", together = "1", channels = "", keyFile = ""] =
  process.argv.slice(2);
const driver = drivers.find((known) => known === library);
const identity = keyFile === "" ? undefined : identityOf("sender", readFileSync(keyFile, "utf8"));
const names = channels.split(",");

function log(doing: Doing): void {
  writeSync(1, `${JSON.stringify({ at: moment(), ...doing })}\n`);
}

let stopped = false;
process.stdin.on("end", () => {
  stopped = true;
});
process.stdin.resume();

await using bus = await openLocalBus({ path, ...(driver === undefined ? {} : { driver }) });
for (let n = 0; !stopped; ) {
  // Some sends share a commit, as they do in a server.
  const sending = Array.from({ length: Number(together) }, async () => {
    const key = `${name} ${life} ${n++}`;
    const channel = names[n % names.length] ?? "";
    const said = { channel, content: key };
    const signature = identity === undefined ? undefined : signV1(identity, said).signature;
    log({ kind: "invoked", key, channel });
    try {
      const { id } = await send(bus, { ...said, sender: identity?.name ?? name, signature }, THIS_PROCESS);
      log({ kind: "acknowledged", key, id });
    } catch (error) {
      log({ kind: "refused", key });
      log({ kind: "said", text: `Error: ${publicError(error).message}` });
    }
  });
  await Promise.all(sending);
  await new Promise((resolve) => setTimeout(resolve, Math.random() * 20));
}
