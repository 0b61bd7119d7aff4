import assert from "node:assert/strict";
import { operator } from "./agents.ts";
import { newOrder } from "./orders.ts";
import { newPeer } from "./peers.ts";
import { all, type Check, fill } from "./place.ts";

const nothing = { channels: [], others: false };

export function checkChanges(check: Check): void {
  check("which channels have changed can't be told the first time", async (store) => {
    await fill(store, "a", "herald", "one");
    assert.equal(await store.changes(), undefined);
    assert.deepEqual(await store.changes(), nothing);
  });

  check("the channels that somebody else has written to are told, once each", async (store, place) => {
    await using other = await place.open();
    await fill(other, "old", "herald", "before");
    await store.changes();
    await fill(other, "a", "herald", "one", "two");
    await fill(other, "b", "herald", "three");
    assert.deepEqual((await store.changes())?.channels.toSorted(), ["a", "b"]);
    assert.deepEqual(await store.changes(), nothing);
    await fill(other, "c", "herald", "four");
    assert.deepEqual((await store.changes())?.channels, ["c"]);
  });

  check("a channel that somebody else writes to is told though one writes oneself too", async (store, place) => {
    await using other = await place.open();
    await store.changes();
    for (let round = 0; round < 20; round++) {
      await Promise.all([fill(store, "mine", "me", "x"), fill(other, `theirs ${round}`, "they", "x")]);
      await fill(store, "mine", "me", "x");
      assert.ok((await store.changes())?.channels.includes(`theirs ${round}`), `round ${round}`);
    }
  });

  check("no channel has changed while others only read, consume and register", async (store, place) => {
    await using other = await place.open();
    const [id = 0] = await fill(other, "a", "herald", "one");
    await store.changes();
    await other.messages.unread("a", "reader", all);
    await other.messages.advance("a", "reader", id);
    await other.agents.add(operator, "new");
    assert.deepEqual((await store.changes())?.channels, []);
  });

  check("while somebody writes all the time, each channel is told in the end", async (store, place) => {
    await using other = await place.open();
    await store.changes();
    const told = new Set<string>();
    let writing = true;
    const asking = (async () => {
      for (let last = false; !last; ) {
        last = !writing;
        for (const channel of (await store.changes())?.channels ?? []) told.add(channel);
        await new Promise(setImmediate);
      }
    })();
    for (let n = 0; n < 200; n++) await fill(other, `c${n}`, "herald", "x");
    writing = false;
    await asking;
    assert.equal(told.size, 200);
  });

  check("a change that is no message is told as one, without a channel", async (store, place) => {
    await using other = await place.open();
    const [id = 0] = await fill(other, "a", "herald", "one");
    await other.sessions.connect(newPeer("bac-1"), undefined);
    const changing: readonly [string, () => Promise<unknown>][] = [
      ["a watermark", () => other.messages.advance("a", "reader", id)],
      ["an agent", () => other.agents.add(operator, "new")],
      ["a peer", () => other.sessions.connect(newPeer("bac-2"), undefined)],
      ["a waiting peer", () => other.sessions.seen("bac-2", 2e9, "commands")],
      ["an order", () => other.commands.add([newOrder("cmd-1")])],
      ["a lease", () => other.commands.take("bac-1", 2e9, 5)],
      ["an end", () => other.commands.end("cmd-1", { status: "acked", result: 1, at: 2e9 }, {})],
      ["a signal", () => other.signals.set({ name: "ready", data: 1, sender: "human", setAt: 1 })],
      ["a cleared signal", () => other.signals.clear("ready")],
      ["a peer that left", () => other.sessions.leave("bac-1", 2e9)],
    ];
    await store.changes();
    for (const [what, change] of changing) {
      await change();
      assert.deepEqual(await store.changes(), { channels: [], others: true }, what);
      assert.deepEqual(await store.changes(), nothing, what);
    }
  });

  check("who asks for messages alone hides no other change from who asks for all", async (store, place) => {
    await using other = await place.open();
    await other.commands.add([newOrder("cmd-1")]);
    await store.changes();
    await store.changes("messages");
    await other.commands.add([newOrder("cmd-2")]);
    await fill(other, "a", "herald", "one");
    const asked = [await store.changes("messages"), await store.changes()];
    assert.deepEqual(
      asked.map((changed) => changed?.channels),
      [["a"], []],
    );
    assert.ok(asked.some((changed) => changed?.others));
    assert.deepEqual(await store.changes(), nothing);
  });

  check("messages and other changes at once are told both", async (store, place) => {
    await using other = await place.open();
    await other.commands.add([newOrder("cmd-1")]);
    await store.changes();
    const activity = { channel: "activity", sender: "bac-1", content: "done" };
    await other.commands.end("cmd-1", { status: "acked", result: 1, at: 2e9 }, { activity });
    assert.deepEqual(await store.changes(), { channels: ["activity"], others: true });
    assert.deepEqual(await store.changes(), nothing);
  });

  check("messages that were removed, and ids that are gone, hide none that comes", async (store, place) => {
    await using other = await place.open();
    await store.changes();
    for (let round = 0; round < 5; round++) {
      const ids = await fill(other, `c${round}`, "herald", "one", "two");
      await other.messages.remove(`c${round}`, ids.at(-1) ?? 0, 10);
      await store.changes();
      await fill(other, `d${round}`, "herald", "one");
      assert.deepEqual((await store.changes())?.channels, [`d${round}`]);
    }
  });
}
