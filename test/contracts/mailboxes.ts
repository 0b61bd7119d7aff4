import assert from "node:assert/strict";
import type { Store, StoredMessage } from "../../src/core/store.ts";
import { all, type Check, contents, fill } from "./place.ts";

const NOW = 1_000;

const take = (store: Store, now = NOW, limit = 10) => store.mailboxes.take("@a", "a", { limit, now, lease: 10 });
const idsOf = (messages: readonly StoredMessage[]) => messages.map(({ id }) => id);
const saidBy = (messages: readonly StoredMessage[]) => messages.map(({ content }) => content);

export function checkMailboxes(check: Check): void {
  check("T13 what one reader of a mailbox has taken, nobody else gets while its lease runs", async (store, place) => {
    await fill(store, "@a", "herald", "one", "two", "three");
    await using other = await place.open();
    assert.deepEqual(saidBy(await take(store, NOW, 2)), ["one", "two"]);
    assert.deepEqual(saidBy(await take(other)), ["three"]);
    assert.deepEqual(await take(store), []);
    assert.deepEqual(await take(other, NOW + 9.9), []);
    assert.deepEqual(saidBy(await take(other, NOW + 10.1)), ["one", "two", "three"]);
  });

  check("of readers that race each message goes to one", async (store, place) => {
    await fill(store, "@a", "herald", ...Array.from({ length: 40 }, (_, index) => `m${index}`));
    await using other = await place.open();
    const taken = await Promise.all(Array.from({ length: 20 }, (_, i) => take(i % 2 === 0 ? store : other, NOW, 3)));
    const ids = taken.flatMap(idsOf);
    assert.equal(ids.length, 40);
    assert.equal(new Set(ids).size, 40);
  });

  check("what has arrived isn't unread any more, in whatever order it arrives", async (store) => {
    const [first = 0, second = 0, third = 0] = await fill(store, "@a", "herald", "one", "two", "three");
    await take(store);
    assert.equal(await store.messages.pending("@a", "a"), 3);
    await store.mailboxes.settle("@a", "a", [second, third]);
    assert.equal(await store.messages.pending("@a", "a"), 1);
    assert.deepEqual(await contents(store.messages.unread("@a", "a", all)), ["one"]);
    assert.deepEqual(await contents(store.messages.unread("@a", "a", { limit: 10, others: true })), ["one"]);
    assert.ok((await store.messages.watermark("@a", "a")) < first);
    assert.deepEqual(saidBy(await take(store, NOW + 11)), ["one"]);
    await store.mailboxes.settle("@a", "a", [first]);
    assert.equal(await store.messages.watermark("@a", "a"), third);
    assert.equal(await store.messages.pending("@a", "a"), 0);
    assert.deepEqual(await take(store, NOW + 99), []);
    assert.equal(await store.messages.pending("@a", "somebody"), 3, "for others it is a channel");
  });

  check("what is given back is free at once; what has arrived can't be given back", async (store) => {
    const [first = 0, second = 0] = await fill(store, "@a", "herald", "one", "two");
    await take(store);
    await store.mailboxes.settle("@a", "a", [second]);
    await store.mailboxes.release("@a", [first, second]);
    assert.deepEqual(saidBy(await take(store)), ["one"]);
  });

  check("settling twice, or what isn't there, changes nothing", async (store) => {
    const [first = 0] = await fill(store, "@a", "herald", "one", "two");
    const [elsewhere = 0] = await fill(store, "@b", "herald", "yours");
    await store.mailboxes.settle("@a", "a", [first, elsewhere, 9_999]);
    await store.mailboxes.settle("@a", "a", [first]);
    assert.deepEqual(await contents(store.messages.unread("@a", "a", all)), ["two"]);
    assert.deepEqual(await contents(store.messages.unread("@b", "b", all)), ["yours"]);
  });

  check("the next lease to end is that of an unread message", async (store) => {
    assert.equal(await store.mailboxes.nextFree("@a", "a"), undefined);
    const [first = 0, second = 0] = await fill(store, "@a", "herald", "one", "two");
    await take(store, NOW, 1);
    await take(store, NOW + 5, 1);
    assert.equal(await store.mailboxes.nextFree("@a", "a"), NOW + 10);
    await store.messages.advance("@a", "a", first);
    assert.equal(await store.mailboxes.nextFree("@a", "a"), NOW + 15);
    await store.mailboxes.settle("@a", "a", [second]);
    assert.equal(await store.mailboxes.nextFree("@a", "a"), undefined);
  });
}
