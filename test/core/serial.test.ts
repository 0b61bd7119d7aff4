import assert from "node:assert/strict";
import { test } from "node:test";
import { createSerialQueue } from "../../src/core/serial.ts";

test("tasks run one at a time and in order, also after one has failed", async () => {
  const inTurn = createSerialQueue();
  const steps: string[] = [];
  const task = (name: string) => async () => {
    steps.push(`${name} begins`);
    await new Promise(setImmediate);
    steps.push(`${name} ends`);
    if (name === "b") throw new Error(name);
    return name;
  };
  const [a, b, c] = await Promise.allSettled(["a", "b", "c"].map((name) => inTurn(task(name))));
  assert.deepEqual(a, { status: "fulfilled", value: "a" });
  assert.equal(b?.status, "rejected");
  assert.deepEqual(c, { status: "fulfilled", value: "c" });
  assert.deepEqual(steps, ["a begins", "a ends", "b begins", "b ends", "c begins", "c ends"]);
});

test("a task that is added while another runs has its turn behind it", async () => {
  const inTurn = createSerialQueue();
  const steps: number[] = [];
  let second: Promise<void> | undefined;
  await inTurn(async () => {
    second = inTurn(async () => void steps.push(2));
    await new Promise(setImmediate);
    steps.push(1);
  });
  await second;
  assert.deepEqual(steps, [1, 2]);
});
