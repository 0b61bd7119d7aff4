import assert from "node:assert/strict";
import { test } from "node:test";
import { clearSignal, getSignal, setSignal, waitForSignal } from "../../src/core/signals.ts";
import { connect, never, openTestBus, refusal } from "./bus.ts";

const go = { name: "go", data: [1], sender: "ada" };

test("B4 a signal is sticky: a later wait gets the last one set, at once", async () => {
  await using open = await openTestBus();
  const { bus, pass } = open;
  await setSignal(bus, { ...go, data: 1 });
  pass(100_000);
  await setSignal(bus, { ...go, data: 2, sender: "bob" });
  for (let round = 0; round < 3; round++) {
    const found = await waitForSignal(bus, { name: "go", seconds: undefined }, never);
    assert.deepEqual([found?.data, found?.sender, found?.setAt], [2, "bob", bus.now()]);
  }
});

test("B4 B37 a signal answers every wait for it, and no other", async () => {
  await using open = await openTestBus();
  const { bus } = open;
  const waits = [0, 1, 2].map(() => waitForSignal(bus, { name: "go", seconds: 30 }, never));
  const other = waitForSignal(bus, { name: "other", seconds: 0.3 }, never);
  const signal = await setSignal(bus, go);
  assert.deepEqual(await Promise.all(waits), [signal, signal, signal]);
  assert.equal(await other, undefined);
});

test("a cleared signal is not set, and can be waited for again", async () => {
  await using open = await openTestBus();
  const { bus } = open;
  const sentence = "not_found: The signal go is not set";
  assert.equal(await refusal(getSignal(bus, "go")), sentence);
  await setSignal(bus, go);
  assert.deepEqual((await getSignal(bus, "go")).data, [1]);
  await clearSignal(bus, "go");
  assert.equal(await refusal(clearSignal(bus, "go")), sentence);
  const waiting = waitForSignal(bus, { name: "go", seconds: 30 }, never);
  await setSignal(bus, { ...go, data: "again" });
  assert.equal((await waiting)?.data, "again");
});

test("an aborted wait ends with nothing", async () => {
  await using open = await openTestBus();
  const stop = new AbortController();
  const waiting = waitForSignal(open.bus, { name: "go", seconds: undefined }, stop.signal);
  stop.abort();
  assert.equal(await waiting, undefined);
});

test("a session that connects sets the signal <role>_ready", async () => {
  await using open = await openTestBus();
  const { bus } = open;
  const waiting = waitForSignal(bus, { name: "backend_ready", seconds: 30 }, never);
  const id = await connect(bus, "backend");
  const signal = await waiting;
  assert.deepEqual([signal?.data, signal?.sender], [{ id, role: "backend" }, id]);
});
