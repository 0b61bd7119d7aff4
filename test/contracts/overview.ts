import assert from "node:assert/strict";
import type { MessageStore } from "../../src/core/store.ts";
import { append } from "../support/store.ts";
import { type Check, message } from "./place.ts";

/** The answers of every engine to watchers of the whole bus. */
export function checkOverview(check: Check): void {
  check("gives a channel's last messages before one, oldest first", async ({ messages }) => {
    const ids = await sendAll(messages, "builds", 5);
    await sendAll(messages, "other", 2);
    const before = async (id: number, limit: number) =>
      (await messages.before("builds", id, limit)).map((message) => message.id);
    assert.deepEqual(await before(ids[3] ?? 0, 2), ids.slice(1, 3));
    assert.deepEqual(await before(Number.MAX_SAFE_INTEGER, 2), ids.slice(3));
    assert.deepEqual(await before(ids[1] ?? 0, 10), ids.slice(0, 1));
    assert.deepEqual(await before(ids[0] ?? 0, 10), []);
    assert.deepEqual(await messages.before("none", 10, 10), []);
  });

  check("gives the newest messages since a time, newest first, without what they say", async ({ messages }) => {
    const ids = await sendAll(messages, "builds", 5);
    const recent = await messages.recent(1_002, 10);
    assert.deepEqual(
      recent.map(({ id }) => id),
      ids.slice(2).reverse(),
    );
    assert.deepEqual(recent[0], { id: ids[4], channel: "builds", sender: "herald", timestamp: 1_004 });
    assert.deepEqual(await messages.recent(2_000, 10), []);
    assert.equal((await messages.recent(0, 2)).length, 2);
  });

  check("counts a channel's messages between two, no further than asked", async ({ messages }) => {
    const ids = await sendAll(messages, "builds", 5);
    await sendAll(messages, "other", 2);
    const [first = 0, , third = 0, , last = 0] = ids;
    assert.equal(await messages.count("builds", 0, last, 100), 5);
    assert.equal(await messages.count("builds", first, third, 100), 2);
    assert.equal(await messages.count("builds", 0, last, 3), 3);
    assert.equal(await messages.count("builds", last, last, 3), 0);
    assert.equal(await messages.count("none", 0, last, 3), 0);
  });

  check("gives everybody's watermarks, those that are furthest first", async ({ messages }) => {
    const ids = await sendAll(messages, "builds", 3);
    const [first = 0, second = 0, third = 0] = ids;
    await messages.advance("builds", "slow", first);
    await messages.advance("builds", "quick", third);
    await messages.advance("design", "quick", second);
    assert.deepEqual(await messages.watermarks(10), [
      { channel: "builds", agent: "quick", lastId: third },
      { channel: "design", agent: "quick", lastId: second },
      { channel: "builds", agent: "slow", lastId: first },
    ]);
    assert.equal((await messages.watermarks(2)).length, 2);
  });
}

/** Sends messages a second apart, from second 1000 on. */
async function sendAll(messages: MessageStore, channel: string, count: number): Promise<readonly number[]> {
  const ids: number[] = [];
  for (let index = 0; index < count; index++) {
    ids.push(await append(messages, message(channel, "herald", `number ${index}`, 1_000 + index)));
  }
  return ids;
}
