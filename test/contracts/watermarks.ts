import assert from "node:assert/strict";
import { all, type Check, contents, fill } from "./place.ts";

export function checkWatermarks(check: Check): void {
  check("E29 each agent has a watermark of its own in each channel", async (store) => {
    const [first = 0] = await fill(store, "a", "herald", "one", "two");
    await fill(store, "b", "herald", "three");
    assert.equal(await store.messages.advance("a", "reader", first), first);
    assert.equal(await store.messages.watermark("a", "reader"), first);
    assert.equal(await store.messages.watermark("a", "other"), 0);
    assert.equal(await store.messages.watermark("b", "reader"), 0);
    assert.deepEqual(await contents(store.messages.unread("a", "reader", all)), ["two"]);
    assert.deepEqual(await contents(store.messages.unread("a", "other", all)), ["one", "two"]);
    assert.deepEqual(await contents(store.messages.unread("b", "reader", all)), ["three"]);
  });

  check("a watermark never moves back", async (store) => {
    const [first = 0, second = 0] = await fill(store, "a", "herald", "one", "two");
    assert.equal(await store.messages.advance("a", "reader", second), second);
    assert.equal(await store.messages.advance("a", "reader", first), second);
    assert.equal(await store.messages.advance("a", "reader", 0), second);
    assert.equal(await store.messages.advance("a", "reader", -1), second);
    assert.equal(await store.messages.watermark("a", "reader"), second);
  });

  check("a watermark never moves past the newest message, so that none is missed", async (store) => {
    assert.equal(await store.messages.advance("a", "reader", 5), 0);
    const [newest] = await fill(store, "b", "herald", "elsewhere");
    assert.equal(await store.messages.advance("a", "reader", Number.MAX_SAFE_INTEGER), newest);
    await fill(store, "a", "herald", "one");
    assert.deepEqual(await contents(store.messages.unread("a", "reader", all)), ["one"]);
  });

  check("of watermarks that race the furthest stays", async (store, place) => {
    const ids = await fill(store, "a", "herald", ...Array.from({ length: 40 }, (_, index) => `m${index}`));
    await using other = await place.open();
    const shuffled = ids.toSorted(() => Math.random() - 0.5);
    const moved = shuffled.map((id, index) => (index % 2 === 0 ? store : other).messages.advance("a", "reader", id));
    for (const [index, at] of (await Promise.all(moved)).entries()) assert.ok(at >= (shuffled[index] ?? 0));
    assert.equal(await store.messages.watermark("a", "reader"), ids.at(-1));
  });

  check("skipping one's own messages stops before the first by somebody else", async (store) => {
    const [, second = 0] = await fill(store, "a", "me", "mine", "mine too");
    await fill(store, "b", "me", "elsewhere");
    const [yours = 0] = await fill(store, "a", "you", "yours");
    await fill(store, "a", "me", "mine again");
    await store.messages.skipOwn("a", "me");
    const stands = await store.messages.watermark("a", "me");
    assert.ok(stands >= second && stands < yours);
    assert.deepEqual(await contents(store.messages.unread("a", "me", all)), ["yours", "mine again"]);
    await store.messages.skipOwn("a", "me");
    assert.equal(await store.messages.watermark("a", "me"), stands);
  });

  check(
    "skipping one's own messages, where there are no others, leaves nothing unread and misses nothing later",
    async (store) => {
      const ids = await fill(store, "a", "me", "mine", "mine too");
      await store.messages.skipOwn("a", "me");
      assert.equal(await store.messages.watermark("a", "me"), ids.at(-1));
      await fill(store, "a", "you", "yours");
      assert.deepEqual(await contents(store.messages.unread("a", "me", all)), ["yours"]);
    },
  );

  check("skipping one's own messages moves nobody else, nor back, nor where nothing is", async (store) => {
    await store.messages.skipOwn("a", "me");
    assert.equal(await store.messages.watermark("a", "me"), 0);
    await fill(store, "a", "me", "mine");
    const [newest = 0] = await fill(store, "b", "you", "elsewhere");
    await store.messages.advance("a", "me", newest);
    await store.messages.skipOwn("a", "me");
    assert.equal(await store.messages.watermark("a", "me"), newest);
    assert.equal(await store.messages.watermark("a", "you"), 0);
  });

  check("pending counts what isn't consumed", async (store) => {
    assert.equal(await store.messages.pending("a", "reader"), 0);
    const [first = 0, , third = 0] = await fill(store, "a", "herald", "one", "two", "three");
    await fill(store, "b", "herald", "elsewhere");
    assert.equal(await store.messages.pending("a", "reader"), 3);
    await store.messages.advance("a", "reader", first);
    assert.equal(await store.messages.pending("a", "reader"), 2);
    await store.messages.advance("a", "reader", third);
    assert.equal(await store.messages.pending("a", "reader"), 0);
    assert.equal(await store.messages.pending("a", "herald"), 3);
  });
}
