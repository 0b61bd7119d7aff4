import assert from "node:assert/strict";
import { BATCH_BYTES, CONTENT_BYTES } from "../../src/core/limits.ts";
import type { NewMessage } from "../../src/core/store.ts";
import { append } from "../support/store.ts";
import { all, assertGrowing, type Check, contents, fill, hostileNames, message } from "./place.ts";

export function checkMessages(check: Check): void {
  check("ids grow over all channels", async (store) => {
    const ids: number[] = [];
    for (const channel of ["a", "b", "a", "c", "b"]) ids.push(...(await fill(store, channel, "herald", "x")));
    assertGrowing(ids);
  });

  check(
    "of messages that are sent together each gets an id of its own, and readers find them in its order",
    async (store) => {
      const names = Array.from({ length: 300 }, (_, index) => `m${index}`);
      const sent = await Promise.all(
        names.map(async (name) => ({ id: await append(store.messages, message("a", "herald", name)), name })),
      );
      const inOrder = sent.toSorted((one, other) => one.id - other.id);
      assertGrowing(inOrder.map(({ id }) => id));
      assert.deepEqual(
        await contents(store.messages.after("a", 0, 1_000)),
        inOrder.map(({ name }) => name),
      );
    },
  );

  check("a message comes back as it was sent", async (store) => {
    const sent: NewMessage = {
      channel: "builds",
      sender: "herald",
      content: "main is green",
      timestamp: 1_795_200_000.123,
      signature: "c2lnbmF0dXJl",
    };
    const id = await append(store.messages, sent);
    assert.deepEqual(await store.messages.after("builds", 0, 10), [{ id, ...sent, attested: false }]);
    assert.deepEqual(await store.messages.unread("builds", "reader", all), [{ id, ...sent, attested: false }]);
  });

  const odd: readonly [string, string][] = [
    ["emoji, combining marks and right-to-left text", "🦜👩‍👩‍👧‍👦 cafe\u0301 \u05e9\u05dc\u05d5\u05dd 漢字 \u{10ffff}"],
    ["control characters, NUL included", "a\u0000b\u0001\u001b[31m\r\n\t\u007f\u0085\u2028"],
    ["white space only", "  \n\n  "],
    ["what looks like a number", "007"],
    ["what looks like null", "null"],
    ["what looks like SQL", "'); DELETE FROM messages; --"],
    ["a byte order mark", "\ufeffx"],
    ["1 MiB", "é".repeat(CONTENT_BYTES / 2)],
  ];
  for (const [what, content] of odd) {
    check(`content survives as it is: ${what}`, async (store, place) => {
      await fill(store, "a", "herald", content);
      await using other = await place.open();
      const [found] = await other.messages.unread("a", "reader", all);
      assert.ok(found?.content === content, "another content came back");
    });
  }

  check("names are kept apart, whatever they are made of", async (store) => {
    for (const name of hostileNames) await fill(store, name, name, `to ${name}`);
    for (const name of hostileNames) {
      assert.deepEqual(await contents(store.messages.unread(name, name, all)), [`to ${name}`]);
      const [found] = await store.messages.after(name, 0, 10);
      assert.deepEqual([found?.channel, found?.sender], [name, name]);
      assert.equal(await store.messages.advance(name, name, found?.id ?? 0), found?.id);
    }
    for (const name of hostileNames) {
      assert.equal(await store.messages.pending(name, name), 0);
      assert.equal(await store.messages.pending(name, `${name}!`), 1);
    }
    assert.deepEqual(
      (await store.messages.channels()).map(({ channel }) => channel).toSorted(),
      hostileNames.toSorted(),
    );
  });
}

export function checkReading(check: Check): void {
  check("unread messages come oldest first, from their channel alone, and stay unread", async (store) => {
    await fill(store, "a", "herald", "one", "two");
    await fill(store, "b", "herald", "elsewhere");
    await fill(store, "a", "other", "three");
    assert.deepEqual(await contents(store.messages.unread("a", "reader", all)), ["one", "two", "three"]);
    assert.deepEqual(await contents(store.messages.unread("a", "reader", all)), ["one", "two", "three"]);
    assert.equal(await store.messages.watermark("a", "reader"), 0);
    assert.deepEqual(await store.messages.unread("nowhere", "reader", all), []);
  });

  check("a limit keeps the oldest", async (store) => {
    await fill(store, "a", "herald", "one", "two", "three");
    assert.deepEqual(await contents(store.messages.unread("a", "reader", { limit: 2, others: false })), ["one", "two"]);
    assert.deepEqual(await contents(store.messages.after("a", 0, 1)), ["one"]);
  });

  check("who asks for others' messages gets none of its own, and its limit counts only others'", async (store) => {
    await fill(store, "a", "me", "mine");
    await fill(store, "a", "you", "yours");
    await fill(store, "a", "me", "mine again");
    await fill(store, "a", "they", "theirs");
    assert.deepEqual(await contents(store.messages.unread("a", "me", { limit: 2, others: true })), ["yours", "theirs"]);
    assert.deepEqual(await contents(store.messages.unread("a", "me", { limit: 1, others: true })), ["yours"]);
    assert.deepEqual(await contents(store.messages.unread("a", "me", { limit: 1, others: false })), ["mine"]);
  });

  check("the messages after an id begin behind it, whatever the watermark", async (store) => {
    const [first = 0, , third = 0] = await fill(store, "a", "herald", "one", "two", "three");
    await store.messages.advance("a", "reader", third);
    assert.deepEqual(await contents(store.messages.after("a", first, 10)), ["two", "three"]);
    assert.deepEqual(await store.messages.after("a", third, 10), []);
  });

  check(
    "a batch holds no more bytes than a reader should get at once, and the next goes on behind it",
    async (store) => {
      const size = 3 * 1024 * 1024;
      await Promise.all(["1", "2", "3", "4"].map((digit) => fill(store, "a", "herald", digit.repeat(size))));
      const batch = await store.messages.unread("a", "reader", all);
      assert.equal(batch.length, Math.floor(BATCH_BYTES / size));
      assert.equal((await store.messages.after("a", 0, 1_000)).length, batch.length);
      await store.messages.advance("a", "reader", batch.at(-1)?.id ?? 0);
      const rest = await store.messages.unread("a", "reader", all);
      assert.equal(new Set([...batch, ...rest].map(({ content }) => content[0])).size, 4);
    },
  );

  check("a message that fills more than a batch comes alone", async (store) => {
    await fill(store, "a", "herald", "x".repeat(BATCH_BYTES + 1), "small");
    const [first, ...more] = await store.messages.unread("a", "reader", all);
    assert.deepEqual([first?.content.length, more.length], [BATCH_BYTES + 1, 0]);
  });
}

export function checkChannels(check: Check): void {
  check("channels come newest first, with their counts", async (store) => {
    assert.deepEqual(await store.messages.channels(), []);
    for (const [channel, at] of [
      ["old", 10],
      ["busy", 20],
      ["busy", 40.5],
      ["middle", 30],
    ] as const) {
      await append(store.messages, message(channel, "herald", "x", at));
    }
    assert.deepEqual(await store.messages.channels(), [
      { channel: "busy", count: 2, lastMessage: 40.5 },
      { channel: "middle", count: 1, lastMessage: 30 },
      { channel: "old", count: 1, lastMessage: 10 },
    ]);
  });

  check("reading a channel makes none", async (store) => {
    await store.messages.unread("a", "reader", all);
    await store.messages.advance("a", "reader", 0);
    await store.messages.skipOwn("a", "reader");
    assert.deepEqual(await store.messages.channels(), []);
  });
}
