import assert from "node:assert/strict";
import { operator } from "./agents.ts";
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
    await other.agents.enter(operator, "new");
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
}
