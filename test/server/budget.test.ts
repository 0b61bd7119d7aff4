import assert from "node:assert/strict";
import { test } from "node:test";
import { createBufferBudget } from "../../src/server/budget.ts";

const KiB = 1024;
const FREE = 64 * KiB;

test("what a connection buffers for free counts for nobody", () => {
  const budget = createBufferBudget(0);
  const resume = () => assert.fail("nobody waits");
  for (let index = 0; index < 100; index++) assert.ok(budget.hold({}, FREE, resume));
});

test("beyond that all connections share what there is, and one that waits is resumed when there is room", () => {
  const budget = createBufferBudget(10 * KiB);
  const [first, second, third] = [{}, {}, {}];
  const resumed: string[] = [];
  const hold = (connection: object, name: string, bytes: number) =>
    budget.hold(connection, FREE + bytes, () => resumed.push(name));
  assert.ok(hold(first, "first", 8 * KiB));
  assert.ok(!hold(second, "second", 3 * KiB));
  assert.ok(
    budget.hold(third, FREE, () => {}),
    "a small request is never held up",
  );
  assert.deepEqual(resumed, []);
  assert.ok(hold(first, "first", 7 * KiB), "what it holds now replaces what it held before");
  assert.deepEqual(resumed, ["second"]);
  assert.ok(hold(second, "second", 3 * KiB));
});

test("a connection that ends gives back what it held, and is not resumed", () => {
  const budget = createBufferBudget(10 * KiB);
  const [first, second, third] = [{}, {}, {}];
  const resumed: string[] = [];
  const hold = (connection: object, name: string) => budget.hold(connection, FREE + 8 * KiB, () => resumed.push(name));
  assert.ok(hold(first, "first"));
  assert.ok(!hold(second, "second"));
  assert.ok(!hold(third, "third"));
  budget.release(second);
  budget.release(third);
  budget.release(first);
  assert.deepEqual(resumed, []);
  assert.ok(hold(third, "third"));
});
