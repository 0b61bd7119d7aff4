import assert from "node:assert/strict";
import { BATCH_BYTES } from "../../src/core/limits.ts";
import { type Check, hostileNames } from "./place.ts";

/** Named events that stay set. */
export function checkSignals(check: Check): void {
  const ready = { name: "ready", data: { port: 7400 }, sender: "bac-1", setAt: 1.5 };

  check("B4 a signal stays set as it was set, for everybody, however often it is asked for", async (store, place) => {
    assert.equal(await store.signals.get("ready"), undefined);
    await store.signals.set(ready);
    await using other = await place.open();
    for (const one of [store, other, store]) assert.deepEqual(await one.signals.get("ready"), ready);
    assert.equal(await other.signals.get("Ready"), undefined);
  });

  check("a signal that is set again is as it was set last", async (store, place) => {
    await store.signals.set(ready);
    const again = { name: "ready", data: null, sender: "human", setAt: 2.5 };
    await using other = await place.open();
    await other.signals.set(again);
    assert.deepEqual(await store.signals.get("ready"), again);
    assert.deepEqual(await store.signals.list(), [again]);
  });

  check("any text can be a signal's name, and any JSON its data", async (store) => {
    for (const name of hostileNames)
      await store.signals.set({ name, data: { [name]: [name] }, sender: name, setAt: 1 });
    for (const name of hostileNames) {
      assert.deepEqual(await store.signals.get(name), { name, data: { [name]: [name] }, sender: name, setAt: 1 });
    }
    for (const data of [null, 0, "", false, [], "null", { a: { b: "\u0000" } }]) {
      await store.signals.set({ ...ready, data });
      assert.deepEqual((await store.signals.get("ready"))?.data, data);
    }
  });

  check("signals are listed by when they were set, the latest last", async (store) => {
    for (const [name, setAt] of [
      ["b", 2],
      ["a", 3],
      ["c", 1],
      ["d", 3],
    ] as const) {
      await store.signals.set({ ...ready, name, setAt });
    }
    await store.signals.set({ ...ready, name: "c", setAt: 4 });
    const names = (await store.signals.list()).map(({ name }) => name);
    assert.deepEqual(names, ["b", "a", "d", "c"]);
  });

  check("a list of large signals keeps the latest, and one at least", async (store) => {
    const data = "x".repeat(3 * 1024 * 1024);
    for (let n = 0; n < 4; n++) await store.signals.set({ ...ready, name: `s${n}`, data, setAt: n });
    assert.deepEqual(
      (await store.signals.list()).map(({ name }) => name),
      ["s2", "s3"],
    );
    await store.signals.set({ ...ready, name: "large", data: "x".repeat(BATCH_BYTES + 1), setAt: 9 });
    assert.deepEqual(
      (await store.signals.list()).map(({ name }) => name),
      ["large"],
    );
  });

  check("a signal is cleared once, and can be set again", async (store, place) => {
    await store.signals.set(ready);
    await using other = await place.open();
    assert.deepEqual([await other.signals.clear("ready"), await store.signals.clear("ready")], [true, false]);
    assert.equal(await store.signals.get("ready"), undefined);
    assert.deepEqual(await store.signals.list(), []);
    await store.signals.set(ready);
    assert.deepEqual(await other.signals.get("ready"), ready);
  });
}
