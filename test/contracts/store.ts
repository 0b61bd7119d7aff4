import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { BATCH_BYTES, CONTENT_BYTES } from "../../src/core/limits.ts";
import type { Agent, NewMessage, Store } from "../../src/core/store.ts";

/** Where an engine keeps one new and empty store. */
export interface Place extends AsyncDisposable {
  /** Opens it; each time anew, as another process would. */
  open(): Promise<Store>;
}

/** Names that somebody may give a channel or an agent, all different. */
export const hostileNames = [
  "'; DROP TABLE messages; --",
  '"quoted"',
  "../../etc/passwd",
  "a/b",
  ".",
  "%s%n%00",
  "*",
  ">",
  "a.b.*",
  "$SYS.x",
  "__proto__",
  "constructor",
  "null",
  "0",
  "Builds",
  "builds",
  "builds ",
  "caf\u00e9",
  "cafe\u0301",
  "\u202eevil",
  "🦜🦜",
  "@herald",
  "x".repeat(200),
  "ü".repeat(200),
];

/** What every engine does that keeps the bus: the promises of src/core/store.ts, beyond its signatures. */
export function storeContract(engine: string, makePlace: () => Promise<Place>): void {
  suite(`a store kept by ${engine}`, { concurrency: 4 }, () => {
    const check = (sentence: string, body: (store: Store, place: Place) => Promise<void>) =>
      test(sentence, async () => {
        await using place = await makePlace();
        await using store = await place.open();
        await body(store, place);
      });

    checkMessages(check);
    checkReading(check);
    checkWatermarks(check);
    checkChannels(check);
    checkConnections(check);
    checkAgents(check);
  });
}

type Check = (sentence: string, body: (store: Store, place: Place) => Promise<void>) => void;

function message(channel: string, sender: string, content: string, timestamp = 1_795_200_000.25): NewMessage {
  return { channel, sender, content, timestamp, signature: "" };
}

/** Sends these contents, one after the other, and answers with their ids. */
async function fill(store: Store, channel: string, sender: string, ...contents: string[]): Promise<number[]> {
  const ids: number[] = [];
  for (const content of contents) ids.push(await store.messages.append(message(channel, sender, content)));
  return ids;
}

const all = { limit: 1_000, others: false };

async function contents(found: Promise<readonly { content: string }[]>): Promise<string[]> {
  return (await found).map(({ content }) => content);
}

function assertGrowing(ids: readonly number[]): void {
  for (const [index, id] of ids.entries()) {
    assert.ok(Number.isSafeInteger(id) && id > (ids[index - 1] ?? 0), `ids don't grow: ${ids.join(" ")}`);
  }
}

function checkMessages(check: Check): void {
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
        names.map(async (name) => ({ id: await store.messages.append(message("a", "herald", name)), name })),
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
    const id = await store.messages.append(sent);
    assert.deepEqual(await store.messages.after("builds", 0, 10), [{ id, ...sent }]);
    assert.deepEqual(await store.messages.unread("builds", "reader", all), [{ id, ...sent }]);
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

function checkReading(check: Check): void {
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

function checkWatermarks(check: Check): void {
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
    await fill(store, "a", "they", "theirs");
    await store.messages.skipOwn("a", "me");
    const stands = await store.messages.watermark("a", "me");
    assert.ok(stands >= second && stands < yours);
    assert.deepEqual(await contents(store.messages.unread("a", "me", all)), ["yours", "mine again", "theirs"]);
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

function checkChannels(check: Check): void {
  check("channels come newest first, with their counts", async (store) => {
    assert.deepEqual(await store.messages.channels(), []);
    for (const [channel, at] of [
      ["old", 10],
      ["busy", 20],
      ["busy", 40.5],
      ["middle", 30],
    ] as const) {
      await store.messages.append(message(channel, "herald", "x", at));
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

function checkConnections(check: Check): void {
  check("everything is there after it was closed and opened again, and ids go on", async (store, place) => {
    const ids = await fill(store, "a", "herald", "one", "two");
    await store.messages.advance("a", "reader", ids[0] ?? 0);
    await store.agents.add(operator);
    await store[Symbol.asyncDispose]();
    await using again = await place.open();
    assert.deepEqual(await contents(again.messages.after("a", 0, 10)), ["one", "two"]);
    assert.equal(await again.messages.watermark("a", "reader"), ids[0]);
    assert.deepEqual(await again.agents.list(), [operator]);
    assert.deepEqual(
      (await again.messages.channels()).map(({ channel, count }) => [channel, count]),
      [["a", 2]],
    );
    assertGrowing([...ids, ...(await fill(again, "a", "herald", "three"))]);
  });

  check("closing waits for what was asked before", async (store, place) => {
    const sent = Promise.all(["one", "two", "three"].map((content) => fill(store, "a", "herald", content)));
    await store[Symbol.asyncDispose]();
    assert.equal((await sent).length, 3);
    await using again = await place.open();
    assert.equal(await again.messages.pending("a", "reader"), 3);
  });

  check("what one connection has stored every other sees at once", async (store, place) => {
    await using other = await place.open();
    for (let round = 0; round < 50; round++) {
      const [id] = await fill(round % 2 === 0 ? store : other, "a", "herald", `m${round}`);
      const seen = await (round % 2 === 0 ? other : store).messages.unread("a", "reader", {
        limit: 1_000,
        others: false,
      });
      assert.equal(seen.at(-1)?.id, id);
    }
  });

  check("a reader beside several writers misses nothing and sees ids only grow", async (store, place) => {
    const writers = await Promise.all([place.open(), place.open(), place.open()]);
    const written = Promise.all(
      writers.map(async (writer, index) => {
        for (let n = 0; n < 100; n++) await fill(writer, "a", `writer-${index}`, `${index} ${n}`);
      }),
    );
    let done = false;
    void written.finally(() => {
      done = true;
    });
    const seen: { id: number; content: string }[] = [];
    for (let last = false; !last; ) {
      last = done;
      for (const found of await store.messages.after("a", seen.at(-1)?.id ?? 0, 7)) {
        seen.push(found);
        last = false;
      }
      await new Promise(setImmediate);
    }
    await written;
    assertGrowing(seen.map(({ id }) => id));
    for (const [index] of writers.entries()) {
      const mine = seen.filter(({ content }) => content.startsWith(`${index} `)).map(({ content }) => content);
      assert.deepEqual(
        mine,
        Array.from({ length: 100 }, (_, n) => `${index} ${n}`),
      );
    }
    for (const writer of writers) await writer[Symbol.asyncDispose]();
  });

  check("which channels have changed can't be told the first time", async (store) => {
    await fill(store, "a", "herald", "one");
    assert.equal(await store.changedChannels(), undefined);
    assert.deepEqual(await store.changedChannels(), []);
  });

  check("the channels that somebody else has written to are told, once each", async (store, place) => {
    await using other = await place.open();
    await fill(other, "old", "herald", "before");
    await store.changedChannels();
    await fill(other, "a", "herald", "one", "two");
    await fill(other, "b", "herald", "three");
    assert.deepEqual((await store.changedChannels())?.toSorted(), ["a", "b"]);
    assert.deepEqual(await store.changedChannels(), []);
    await fill(other, "c", "herald", "four");
    assert.deepEqual(await store.changedChannels(), ["c"]);
  });

  check("a channel that somebody else writes to is told though one writes oneself too", async (store, place) => {
    await using other = await place.open();
    await store.changedChannels();
    for (let round = 0; round < 20; round++) {
      await Promise.all([fill(store, "mine", "me", "x"), fill(other, `theirs ${round}`, "they", "x")]);
      await fill(store, "mine", "me", "x");
      assert.ok((await store.changedChannels())?.includes(`theirs ${round}`), `round ${round}`);
    }
  });

  check("no channel has changed while others only read, consume and register", async (store, place) => {
    await using other = await place.open();
    const [id = 0] = await fill(other, "a", "herald", "one");
    await store.changedChannels();
    await other.messages.unread("a", "reader", all);
    await other.messages.advance("a", "reader", id);
    await other.agents.add(operator);
    assert.deepEqual(await store.changedChannels(), []);
  });

  check("while somebody writes all the time, each channel is told in the end", async (store, place) => {
    await using other = await place.open();
    await store.changedChannels();
    const told = new Set<string>();
    let writing = true;
    const asking = (async () => {
      for (let last = false; !last; ) {
        last = !writing;
        for (const channel of (await store.changedChannels()) ?? []) told.add(channel);
        await new Promise(setImmediate);
      }
    })();
    for (let n = 0; n < 200; n++) await fill(other, `c${n}`, "herald", "x");
    writing = false;
    await asking;
    assert.equal(told.size, 200);
  });
}

const operator: Agent = {
  name: "chief",
  identity: "",
  publicKey: "-----BEGIN PUBLIC KEY-----\nchief\n-----END PUBLIC KEY-----\n",
  role: "operator",
  registeredBy: null,
  createdAt: 1_795_200_000.5,
};

function agent(name: string, registeredBy: string, more: Partial<Agent> = {}): Agent {
  return {
    name,
    identity: `who ${name} is`,
    publicKey: `-----BEGIN PUBLIC KEY-----\n${name}\n-----END PUBLIC KEY-----\n`,
    role: "agent",
    registeredBy,
    createdAt: 1_795_200_001.25,
    ...more,
  };
}

function checkAgents(check: Check): void {
  check("an agent is found as it was added", async (store, place) => {
    assert.equal(await store.agents.find("herald"), undefined);
    assert.deepEqual(await store.agents.list(), []);
    assert.equal(await store.agents.add(operator), true);
    assert.equal(await store.agents.add(agent("herald", "chief")), true);
    await using other = await place.open();
    assert.deepEqual(await other.agents.find("chief"), operator);
    assert.deepEqual(await other.agents.find("herald"), agent("herald", "chief"));
    assert.equal(await other.agents.find("Herald"), undefined);
  });

  check("agents are listed in the order in which they came", async (store) => {
    await store.agents.add(operator);
    for (const [index, name] of ["zoe", "adam", "mia"].entries()) {
      await store.agents.add(agent(name, "chief", { createdAt: 1_795_200_002 + index }));
    }
    assert.deepEqual(
      (await store.agents.list()).map(({ name }) => name),
      ["chief", "zoe", "adam", "mia"],
    );
  });

  check("any name can be an agent's", async (store) => {
    for (const name of hostileNames) assert.equal(await store.agents.add(agent(name, "chief")), true);
    for (const name of hostileNames) assert.deepEqual(await store.agents.find(name), agent(name, "chief"));
    assert.equal((await store.agents.list()).length, hostileNames.length);
  });

  check("E25 there is no first operator before one was seeded, agents or not", async (store) => {
    assert.equal(await store.agents.firstOperator(), undefined);
    await store.agents.add(agent("herald", "somebody"));
    assert.equal(await store.agents.firstOperator(), undefined);
  });

  check("E24 the first operator stays the first, whatever the clock said when others came", async (store) => {
    await store.agents.add(operator);
    for (const [name, createdAt] of [
      ["later", operator.createdAt + 1],
      ["aaron", operator.createdAt],
      ["clock-was-wrong", 1],
    ] as const) {
      assert.equal(await store.agents.add({ ...operator, name, createdAt }), true);
      assert.equal((await store.agents.firstOperator())?.name, "chief");
    }
  });

  check("a name that is taken stays whose it is", async (store) => {
    await store.agents.add(operator);
    await store.agents.add(agent("herald", "chief"));
    assert.equal(await store.agents.add(agent("herald", "rival", { publicKey: "stolen" })), false);
    assert.equal(await store.agents.add(agent("chief", "rival")), false);
    assert.equal(await store.agents.add({ ...operator, publicKey: "stolen" }), false);
    assert.deepEqual(await store.agents.find("herald"), agent("herald", "chief"));
    assert.deepEqual(await store.agents.find("chief"), operator);
  });

  check("of two who add one name at the same time one does", async (store, place) => {
    await using other = await place.open();
    for (let round = 0; round < 20; round++) {
      const name = `agent-${round}`;
      const added = await Promise.all(
        ["one", "two"].map((by, index) => (index === 0 ? store : other).agents.add(agent(name, by))),
      );
      assert.deepEqual(added.toSorted(), [false, true]);
      assert.equal((await store.agents.find(name))?.registeredBy, added[0] ? "one" : "two");
    }
  });

  check("an agent is replaced by the operator that registered it, and by no other", async (store) => {
    await store.agents.add(operator);
    await store.agents.add(agent("herald", "chief"));
    await store.agents.add(agent("mia", "chief"));
    const renewed = agent("herald", "chief", { publicKey: "new", identity: "moved", createdAt: 1_795_300_000 });
    assert.equal(await store.agents.replace(agent("herald", "rival", { publicKey: "stolen" })), false);
    assert.deepEqual(await store.agents.find("herald"), agent("herald", "chief"));
    assert.equal(await store.agents.replace(renewed), true);
    assert.deepEqual(await store.agents.find("herald"), renewed);
    assert.deepEqual(await store.agents.find("mia"), agent("mia", "chief"));
    assert.equal(await store.agents.replace(agent("nobody", "chief")), false);
    assert.equal(await store.agents.find("nobody"), undefined);
  });

  check("an operator is replaced by nobody, so that secure mode never ends", async (store) => {
    await store.agents.add(operator);
    await store.agents.add({ ...operator, name: "second", registeredBy: "chief" });
    assert.equal(await store.agents.replace(agent("chief", "chief")), false);
    assert.equal(await store.agents.replace({ ...operator, publicKey: "stolen" }), false);
    assert.equal(await store.agents.replace(agent("second", "chief")), false);
    assert.deepEqual(await store.agents.find("chief"), operator);
    assert.deepEqual(await store.agents.firstOperator(), operator);
  });
}
