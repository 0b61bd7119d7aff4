import assert from "node:assert/strict";
import { test } from "node:test";
import { operations } from "../../src/operations/index.ts";
import { createSerialQueue } from "../../src/server/deliver.ts";

const named = (name: string) => operations.find((one) => one.name === name) ?? assert.fail(name);
const look = named("channel messages");

test("each task starts when the one before has ended, even if that failed", async () => {
  const inTurn = createSerialQueue(() => true);
  const told: string[] = [];
  const begun = (name: string) => async () => {
    told.push(`${name} begins`);
    await new Promise(setImmediate);
    told.push(`${name} ends`);
    if (name === "b") throw new Error(name);
  };
  const turns = ["a", "b", "c"].map((name) => inTurn(look, begun(name)));
  assert.deepEqual(
    (await Promise.allSettled(turns)).map(({ status }) => status),
    ["fulfilled", "rejected", "fulfilled"],
  );
  assert.deepEqual(told, ["a begins", "a ends", "b begins", "b ends", "c begins", "c ends"]);
});

test("reads of a closed connection are skipped; writes still run", async () => {
  let isThere = true;
  const inTurn = createSerialQueue(() => isThere);
  const done: string[] = [];
  const asked = ["channel messages", "fetch", "signal set", "prune", "mailbox settle", "mailboxes"];
  const leaving = inTurn(look, async () => {
    isThere = false;
  });
  await Promise.all([leaving, ...asked.map((name) => inTurn(named(name), async () => void done.push(name)))]);
  assert.deepEqual(done, ["signal set", "prune", "mailbox settle"]);
});
