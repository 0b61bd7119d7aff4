import assert from "node:assert/strict";
import type { Store } from "../../src/core/store.ts";
import { newOrder } from "./orders.ts";
import { newPeer } from "./peers.ts";
import { type Check, fill } from "./place.ts";

const AT = 1_795_200_000;

const ready = { name: "ready", data: null, sender: "human", setAt: AT };

async function entries(store: Store, after = 0) {
  return ((await store.journal.after(after, 1_000)) ?? []).map(({ kind, key, what }) => `${kind} ${key} ${what}`);
}

/** Each change, and what the journal then says of it. */
const changes: readonly [string, (store: Store) => Promise<unknown>, readonly string[]][] = [
  ["a peer that connects", (store) => store.sessions.connect(newPeer("bac-2"), undefined), ["peer bac-2 connected"]],
  [
    "a peer that takes another role",
    (store) => store.sessions.setRole("bac-1", "tester", undefined),
    ["peer bac-1 changed_role"],
  ],
  ["a peer that begins to wait", (store) => store.sessions.seen("bac-1", AT, "commands"), ["peer bac-1 waits"]],
  ["a peer that still waits", (store) => store.sessions.seen("bac-1", AT + 1, null), []],
  ["a peer that works", (store) => store.sessions.renew("bac-1", AT + 1), []],
  ["a peer that leaves", (store) => store.sessions.leave("bac-1", AT), ["peer bac-1 left"]],
  ["an order that is sent", (store) => store.commands.add([newOrder("cmd-2")]), ["order cmd-2 pending"]],
  ["an order for nobody", (store) => store.commands.add([newOrder("cmd-2", { target: "x" })]), ["order cmd-2 dead"]],
  ["an order that is taken", (store) => store.commands.take("bac-1", AT, 5), ["order cmd-1 leased"]],
  [
    "an order that is taken again",
    async (store) => [await store.commands.take("bac-1", AT, 5), await store.commands.take("bac-1", AT + 10, 5)],
    ["order cmd-1 leased", "order cmd-1 leased"],
  ],
  [
    "an order that is given back",
    async (store) => [await store.commands.take("bac-1", AT, 5), await store.commands.release("cmd-1", "bac-1")],
    ["order cmd-1 leased", "order cmd-1 pending"],
  ],
  [
    "an order whose holder leaves",
    async (store) => [await store.commands.take("bac-1", AT, 5), await store.sessions.leave("bac-1", AT)],
    ["order cmd-1 leased", "peer bac-1 left", "order cmd-1 pending"],
  ],
  [
    "an order that ends, with what follows from it",
    (store) =>
      store.commands.end(
        "cmd-1",
        { status: "acked", result: 1, at: AT },
        { signal: ready, response: newOrder("cmd-2") },
      ),
    ["order cmd-1 acked", "order cmd-2 pending", "signal ready set"],
  ],
  [
    "an order that fails, and is offered again",
    async (store) => [
      await store.commands.end("cmd-1", { status: "failed", result: 1, at: AT }, {}),
      await store.commands.retry("cmd-1"),
    ],
    ["order cmd-1 failed", "order cmd-1 pending"],
  ],
  [
    "an order that ends a second time",
    async (store) => {
      for (const result of [1, 1, 2]) await store.commands.end("cmd-1", { status: "acked", result, at: AT }, {});
    },
    ["order cmd-1 acked"],
  ],
  ["an order that expires", (store) => store.commands.lapse(AT + 1_000, 5), ["order cmd-1 expired"]],
  ["a signal that is set", (store) => store.signals.set(ready), ["signal ready set"]],
  [
    "a signal that is set again, and cleared",
    async (store) => [
      await store.signals.set(ready),
      await store.signals.set(ready),
      await store.signals.clear("ready"),
    ],
    ["signal ready set", "signal ready set", "signal ready cleared"],
  ],
  ["a message", (store) => fill(store, "a", "herald", "one"), []],
  [
    "what changes nothing",
    async (store) => {
      await store.signals.clear("ready");
      await store.sessions.leave("nobody", AT);
      await store.commands.take("nobody", AT, 5);
      await store.commands.retry("cmd-1");
      await store.commands.lapse(AT, 5);
    },
    [],
  ],
];

/** That something changed. */
export function checkJournal(check: Check): void {
  for (const [what, change, expected] of changes) {
    check(`the journal tells of ${what}`, async (store, place) => {
      await store.sessions.connect(newPeer("bac-1"), undefined);
      await store.commands.add([newOrder("cmd-1", { createdAt: AT, expiresAt: AT + 500 })]);
      const before = await store.journal.last();
      await change(store);
      await using other = await place.open();
      assert.deepEqual((await entries(other, before)).toSorted(), expected.toSorted());
      assert.equal(await other.journal.last(), before + expected.length);
    });
  }

  check("a change that isn't made is not told", async (store) => {
    await store.commands.add([newOrder("cmd-1")]);
    await assert.rejects(store.commands.add([newOrder("cmd-2"), newOrder("cmd-1")]));
    await store.signals.set(ready);
    assert.deepEqual(await entries(store), ["order cmd-1 pending", "signal ready set"]);
  });

  check("its numbers grow by one, over all connections, and what it tells is there already", async (store, place) => {
    await using other = await place.open();
    const changing = Promise.all(
      [store, other].map(async (one, index) => {
        for (let n = 0; n < 50; n++) await one.signals.set({ ...ready, name: `s${index}-${n}`, data: n });
      }),
    );
    const seen: number[] = [];
    while (seen.length < 100) {
      for (const { seq, key, at } of (await store.journal.after(seen.at(-1) ?? 0, 7)) ?? []) {
        assert.equal(seq, (seen.at(-1) ?? 0) + 1);
        assert.ok(Math.abs(at - Date.now() / 1_000) < 60, `it was at ${at}`);
        assert.equal((await store.signals.get(key))?.name, key);
        seen.push(seq);
      }
      await new Promise(setImmediate);
    }
    await changing;
  });

  check("what came after an entry is told so many at a time; after the last there is nothing", async (store) => {
    assert.equal(await store.journal.last(), 0);
    assert.deepEqual(await store.journal.after(0, 10), []);
    for (const name of ["a", "b", "c"]) await store.signals.set({ ...ready, name });
    assert.deepEqual(
      (await store.journal.after(1, 1))?.map(({ seq, key }) => [seq, key]),
      [[2, "b"]],
    );
    assert.deepEqual(await store.journal.after(3, 10), []);
    assert.equal(await store.journal.last(), 3);
  });

  check("who asks for what is gone, or for what isn't there yet, hears that it can't be told", async (store) => {
    await store.signals.set(ready);
    assert.equal(await store.journal.after(2, 10), undefined);
    for (let n = 0; n < 11; n++) {
      await Promise.all(Array.from({ length: 1_000 }, (_, m) => store.signals.set({ ...ready, data: n * 1_000 + m })));
    }
    const last = await store.journal.last();
    assert.equal(last, 11_001);
    assert.equal(await store.journal.after(0, 10), undefined);
    assert.equal(await store.journal.after(last - 10_200, 10), undefined);
    const kept = await store.journal.after(last - 9_900, 20_000);
    assert.equal(kept?.length, 9_900);
    assert.deepEqual([kept?.at(0)?.seq, kept?.at(-1)?.seq], [last - 9_899, last]);
  });
}
