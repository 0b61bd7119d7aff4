import assert from "node:assert/strict";
import type { PruneCriteria, Store } from "../../src/core/store.ts";
import { append } from "../support/store.ts";
import { type Check, contents, fill, message } from "./place.ts";

/** Ten messages, `m0` to `m9`, at the seconds 0 to 9, with messages of another channel between them. */
async function tenMessages(store: Store): Promise<readonly number[]> {
  const ids: number[] = [];
  for (let n = 0; n < 10; n++) {
    ids.push(await append(store.messages, message("a", "herald", `m${n}`, n)));
    await append(store.messages, message("b", "herald", `b${n}`, n));
  }
  return ids;
}

const none: PruneCriteria = { consumed: false };

/** The messages that may go, by each condition, with readers that have consumed the first eight and the first four. */
const conditions: readonly [string, PruneCriteria, number][] = [
  ["no condition", none, 10],
  ["an age", { ...none, before: 6 }, 6],
  ["an age that all have", { ...none, before: 100 }, 10],
  ["an age that none has", { ...none, before: 0 }, 0],
  ["an age between two", { ...none, before: 2.5 }, 3],
  ["a number to keep", { ...none, keep: 7 }, 3],
  ["none to keep", { ...none, keep: 0 }, 10],
  ["as many to keep as there are", { ...none, keep: 10 }, 0],
  ["more to keep than there are", { ...none, keep: 1_000 }, 0],
  ["that everybody has consumed it", { consumed: true }, 4],
  ["an age and a number to keep, of which the age leaves more", { ...none, before: 2, keep: 3 }, 2],
  ["an age and a number to keep, of which the number leaves more", { ...none, before: 8, keep: 9 }, 1],
  ["an age and that everybody has consumed it", { consumed: true, before: 9 }, 4],
  ["an age that leaves more than who hasn't consumed it", { consumed: true, before: 3 }, 3],
  ["a number to keep and that everybody has consumed it", { consumed: true, keep: 1 }, 4],
  ["all three", { consumed: true, before: 8, keep: 8 }, 2],
];

/** The contract of pruning. */
export function checkPruning(check: Check): void {
  for (const [what, pruning, count] of conditions) {
    check(`${count} of ten messages may go by ${what}`, async (store) => {
      const ids = await tenMessages(store);
      await store.messages.advance("a", "quick", ids[7] ?? 0);
      await store.messages.advance("a", "slow", ids[3] ?? 0);
      const prunable = await store.messages.prunable("a", pruning);
      assert.deepEqual([prunable.count, prunable.unconsumed], [count, Math.max(0, count - 4)]);
      assert.equal(await store.messages.remove("a", prunable.upTo, 1_000), count);
      const left = await contents(store.messages.after("a", 0, 100));
      assert.deepEqual(
        left,
        Array.from({ length: 10 - count }, (_, n) => `m${n + count}`),
      );
      assert.equal((await store.messages.prunable("a", pruning)).count, 0, "no more than that");
      assert.equal((await store.messages.after("b", 0, 100)).length, 10, "another channel keeps its own");
    });
  }

  check("what nobody has consumed goes by no such condition, and is told as that by others", async (store) => {
    await tenMessages(store);
    assert.equal((await store.messages.prunable("a", { consumed: true })).count, 0);
    const { count, unconsumed } = await store.messages.prunable("a", { ...none, keep: 2 });
    assert.deepEqual([count, unconsumed], [8, 8]);
  });

  check("an age counts up to the first message that is younger, whatever a clock said behind it", async (store) => {
    for (const [n, at] of [1, 2, 9, 3, 4].entries()) await append(store.messages, message("a", "herald", `m${n}`, at));
    const { upTo, count } = await store.messages.prunable("a", { ...none, before: 5 });
    assert.equal(count, 2);
    await store.messages.remove("a", upTo, 10);
    assert.deepEqual(await contents(store.messages.after("a", 0, 10)), ["m2", "m3", "m4"]);
  });

  check("looking removes nothing, and nothing is found where nothing is", async (store) => {
    const ids = await tenMessages(store);
    for (let round = 0; round < 2; round++) {
      assert.deepEqual(await store.messages.prunable("a", none), { upTo: ids.at(-1), count: 10, unconsumed: 10 });
    }
    assert.deepEqual((await store.messages.prunable("nowhere", none)).count, 0);
    assert.equal(await store.messages.remove("nowhere", 1_000, 10), 0);
    assert.equal(await store.messages.remove("a", 0, 10), 0);
  });

  check("removing goes in steps, the oldest first, and says when there is nothing more", async (store) => {
    const ids = await tenMessages(store);
    const upTo = ids[6] ?? 0;
    const removed: number[] = [];
    for (let n = 0; n < 4; n++) removed.push(await store.messages.remove("a", upTo, 3));
    assert.deepEqual(removed, [3, 3, 1, 0]);
    assert.deepEqual(await contents(store.messages.after("a", 0, 10)), ["m7", "m8", "m9"]);
  });

  check("two who remove at once remove what both found once, and each is told its own part", async (store, place) => {
    await using other = await place.open();
    const both = [store, other];
    await tenMessages(store);
    const found = await Promise.all(both.map(({ messages }) => messages.prunable("a", { ...none, keep: 4 })));
    let sum = 0;
    for (let more = true; more; ) {
      const removed = await Promise.all(both.map(({ messages }, n) => messages.remove("a", found[n]?.upTo ?? 0, 2)));
      sum += removed.reduce((a, b) => a + b);
      const left = await contents(store.messages.after("a", 0, 100));
      assert.equal(left.length, 10 - sum);
      more = removed.some((count) => count > 0);
      if (removed.includes(0)) assert.deepEqual(left, ["m6", "m7", "m8", "m9"], "who is told 0 has nothing left to do");
    }
  });

  check("what was removed is gone everywhere, and what it was is used by nobody again", async (store, place) => {
    const ids = await tenMessages(store);
    await store.messages.advance("a", "reader", ids[4] ?? 0);
    await store.messages.remove("a", ids.at(-1) ?? 0, 100);
    assert.equal(await store.messages.find(ids[9] ?? 0), undefined);
    assert.equal(await store.messages.pending("a", "reader"), 0);
    assert.equal(await store.messages.watermark("a", "reader"), ids[4]);
    assert.deepEqual(
      (await store.messages.channels()).map(({ channel, count }) => [channel, count]),
      [["b", 10]],
    );
    await using other = await place.open();
    const [next = 0] = await fill(other, "a", "herald", "next");
    assert.ok(next > (ids.at(-1) ?? 0));
    assert.deepEqual(await contents(other.messages.unread("a", "reader", { limit: 9, others: false })), ["next"]);
  });

  check("beside somebody who sends nothing but what was asked for is removed", async (store, place) => {
    await using sender = await place.open();
    const ids = await tenMessages(store);
    const sending = (async () => {
      for (let n = 0; n < 30; n++) await fill(sender, "a", "herald", `new ${n}`);
    })();
    while ((await store.messages.remove("a", ids.at(-1) ?? 0, 2)) > 0);
    await sending;
    const left = await contents(store.messages.after("a", 0, 100));
    assert.deepEqual(
      left,
      Array.from({ length: 30 }, (_, n) => `new ${n}`),
    );
    assert.equal((await store.messages.channels()).find(({ channel }) => channel === "a")?.count, 30);
  });
}
