import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { smallDisk } from "../support/disk.ts";
import { needsNats, startNats } from "../support/nats-server.ts";
import { amount, soakTest } from "../support/soak.ts";
import { violations } from "./check/violations.ts";
import { type History, ofKind } from "./events.ts";
import { run } from "./run/run.ts";

const SECONDS = amount(1, 10, "HISTORY_SECONDS");
/** On NATS the secure bus is the one that `npm test` runs. */
const KEPT = `loses, doubles and reorders nothing in ${SECONDS} s`;
const SEED = Number(process.env.HISTORY_SEED) || Math.floor(Math.random() * 2 ** 31);

/** That nothing happened which may not, and that enough happened for that to mean something. */
function assertKept(t: TestContext, history: History): void {
  const found = violations(history);
  const more = found.length > 20 ? `\n… and ${found.length - 20} more` : "";
  assert.equal(found.length, 0, `${found.slice(0, 20).join("\n")}${more}\nHISTORY_SEED=${SEED} repeats its choices`);
  const count = (kind: Parameters<typeof ofKind>[1]) => ofKind(history.events, kind).length;
  assert.ok(count("acknowledged") > 50 && count("printed") > 100 && count("done") > 0, "hardly anything happened");
  t.diagnostic(
    `seed ${SEED}: ${count("invoked")} sends, ${count("acknowledged")} acknowledged, ${count("printed")} printed, ${count("done")} orders done, ${count("said")} errors`,
  );
}

test(`an open bus with kills and a reset ${KEPT}`, async (t) => {
  assertKept(t, await run({ seed: SEED, seconds: SECONDS, secure: false, reset: true }));
});

soakTest(`a secure bus with kills and registrations ${KEPT}`, {}, async (t) => {
  assertKept(t, await run({ seed: SEED + 1, seconds: SECONDS, secure: true, reset: false }));
});

soakTest(`a bus on a disk that is full now and then ${KEPT}`, {}, async (t) => {
  using disk = smallDisk(16);
  if (disk.path === undefined) return t.skip(disk.why);
  assertKept(t, await run({ seed: SEED + 2, seconds: SECONDS, secure: false, reset: false, disk: disk.path }));
});

soakTest(`an open bus on NATS with kills and a reset ${KEPT}`, needsNats, async (t) => {
  await using server = await startNats();
  assertKept(t, await run({ seed: SEED + 3, seconds: SECONDS, secure: false, reset: true, nats: server.freshBus() }));
});

test(`a secure bus on NATS with kills ${KEPT}`, needsNats, async (t) => {
  await using server = await startNats();
  assertKept(t, await run({ seed: SEED + 4, seconds: SECONDS, secure: true, reset: false, nats: server.freshBus() }));
});
