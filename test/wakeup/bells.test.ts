import assert from "node:assert/strict";
import { test } from "node:test";
import { watermarkTopic } from "../../src/core/waiting.ts";
import { createBells, createPoll } from "../../src/wakeup/bells.ts";

test("waits for messages alone ask the store for messages alone", async () => {
  const bells = createBells();
  const asked: (string | undefined)[] = [];
  const ask = createPoll(bells, async (of) => {
    asked.push(of);
    return undefined;
  });
  using _messages = bells.arm("c", () => {});
  await ask();
  const receipts = bells.arm(watermarkTopic("c"), () => {});
  await ask();
  receipts[Symbol.dispose]();
  await ask();
  assert.deepEqual(asked, ["messages", undefined, "messages"]);
});
