import assert from "node:assert/strict";
import { BATCH_BYTES } from "../../src/core/limits.ts";
import type { NewMessage } from "../../src/core/store.ts";
import { append } from "../support/store.ts";
import { type Check, contents, fill, hostileNames } from "./place.ts";

/** Messages by their ids, whoever reads them. */
export function checkLookups(check: Check): void {
  check("a message is found by its id, as it was sent, and no other is", async (store) => {
    const sent: NewMessage = { channel: "a", sender: "herald", content: "one", timestamp: 7.5, signature: "c2ln" };
    const id = await append(store.messages, sent);
    const attested = await append(store.messages, { ...sent, signature: "", attested: true });
    assert.deepEqual(await store.messages.find(id), { id, ...sent, attested: false });
    assert.deepEqual(await store.messages.find(attested), { id: attested, ...sent, signature: "", attested: true });
    for (const other of [0, -1, attested + 1, 1.5, Number.MAX_SAFE_INTEGER]) {
      assert.equal(await store.messages.find(other), undefined, String(other));
    }
  });

  check("that a server vouches for a message is told wherever the message is", async (store, place) => {
    const sent = { channel: "a", sender: "herald", content: "x", timestamp: 1, signature: "" };
    for (const attested of [true, false]) await append(store.messages, { ...sent, attested });
    await using other = await place.open();
    for (const found of [
      await other.messages.after("a", 0, 10),
      await other.messages.allAfter(0, 10),
      await other.messages.unread("a", "reader", { limit: 10, others: false }),
      await other.messages.unread("a", "reader", { limit: 10, others: true }),
    ]) {
      assert.deepEqual(
        found.map(({ attested }) => attested),
        [true, false],
      );
    }
  });

  check("the last id is the newest message's, of whatever channel", async (store, place) => {
    assert.equal(await store.messages.lastId(), 0);
    const [, b] = [await fill(store, "a", "herald", "one"), await fill(store, "b", "herald", "two")];
    assert.equal(await store.messages.lastId(), b[0]);
    await using other = await place.open();
    const [third] = await fill(other, "a", "herald", "three");
    assert.equal(await store.messages.lastId(), third);
  });

  check("what came after an id is told over all channels, in the order of the ids", async (store) => {
    const ids: number[] = [];
    for (const [index, channel] of hostileNames.entries()) ids.push(...(await fill(store, channel, "h", `m${index}`)));
    const every = await store.messages.allAfter(0, 1_000);
    assert.deepEqual(
      every.map(({ id, channel }) => [id, channel]),
      ids.map((id, index) => [id, hostileNames[index]]),
    );
    assert.deepEqual(await contents(store.messages.allAfter(ids[3] ?? 0, 2)), ["m4", "m5"]);
    assert.deepEqual(await store.messages.allAfter(ids.at(-1) ?? 0, 10), []);
    assert.deepEqual(await store.messages.allAfter(Number.MAX_SAFE_INTEGER, 10), []);
  });

  check("a batch of every channel holds no more bytes than one of a single channel", async (store) => {
    const size = 3 * 1024 * 1024;
    for (const channel of ["a", "b", "c", "d"]) await fill(store, channel, "herald", "x".repeat(size));
    const batch = await store.messages.allAfter(0, 1_000);
    assert.equal(batch.length, Math.floor(BATCH_BYTES / size));
    assert.equal((await store.messages.allAfter(batch.at(-1)?.id ?? 0, 1_000)).length, 4 - batch.length);
  });

  check("the readers of a channel are those that have consumed something of it, by name", async (store, place) => {
    const [one = 0, two = 0] = await fill(store, "a", "herald", "one", "two");
    await fill(store, "b", "herald", "three");
    assert.deepEqual(await store.messages.readers("a"), []);
    await store.messages.unread("a", "looks", { limit: 10, others: false });
    await store.messages.advance("a", "zoe", two);
    await store.messages.advance("a", "adam", one);
    await store.messages.advance("b", "elsewhere", two);
    await store.messages.skipOwn("a", "herald");
    await using other = await place.open();
    assert.deepEqual(await other.messages.readers("a"), [
      { agent: "adam", lastId: one },
      { agent: "herald", lastId: two },
      { agent: "zoe", lastId: two },
    ]);
    assert.deepEqual(await other.messages.readers("nowhere"), []);
  });
}
