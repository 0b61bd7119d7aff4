import assert from "node:assert/strict";
import { test } from "node:test";
import { createTurns } from "../../src/operations/turns.ts";

test("each has its turn when the one before has ended, even where that failed", async () => {
  const inTurn = createTurns(() => true);
  const told: string[] = [];
  const begun = (name: string) => async () => {
    told.push(`${name} begins`);
    await new Promise(setImmediate);
    told.push(`${name} ends`);
    if (name === "b") throw new Error(name);
  };
  const turns = ["a", "b", "c"].map((name) => inTurn(begun(name)));
  assert.deepEqual(
    (await Promise.allSettled(turns)).map(({ status }) => status),
    ["fulfilled", "rejected", "fulfilled"],
  );
  assert.deepEqual(told, ["a begins", "a ends", "b begins", "b ends", "c begins", "c ends"]);
});

test("whose turn comes when nobody is there any more does nothing", async () => {
  let isThere = true;
  const inTurn = createTurns(() => isThere);
  const done: string[] = [];
  const leaving = inTurn(async () => {
    done.push("a");
    isThere = false;
  });
  await Promise.all([leaving, inTurn(async () => void done.push("b"))]);
  assert.deepEqual(done, ["a"]);
});
