import assert from "node:assert/strict";
import { test } from "node:test";
import { newOrder } from "../contracts/orders.ts";
import { newPeer } from "../contracts/peers.ts";
import { contents, fill, hostileNames } from "../contracts/place.ts";
import { openNatsBus } from "../support/nats-bus.ts";
import { startNats } from "../support/nats-server.ts";
import { natsSuite } from "../support/nats-suite.ts";

natsSuite("a bus on NATS", (server) => {
  const open = (address = server.freshBus()) => openNatsBus(address);

  test("reading makes no stream: each is made when something is first stored in it", async () => {
    await using one = await open();
    await one.store.messages.unread("c", "me", { limit: 10, others: false });
    await one.store.agents.firstOperator();
    await one.store.sessions.list();
    await one.store.journal.after(0, 10);
    await one.store.changes();
    const streams = async () => (await Array.fromAsync(one.connection.jsm.streams.names(`${one.bus}.>`))).toSorted();
    assert.deepEqual(await streams(), []);
    await fill(one.store, "c", "me", "one");
    assert.deepEqual(await streams(), [`${one.bus}-messages`]);
  });

  test("a process that used a stream refuses to go on once it was removed; the next one begins anew", async () => {
    const address = server.freshBus();
    await using one = await open(address);
    await fill(one.store, "c", "me", "gone");
    await one.connection.jsm.streams.delete(`${one.bus}-messages`);
    const removed = new RegExp(
      `the stream ${one.bus}-messages was removed while el-ipc used it: restore it; or, .* restart`,
    );
    await assert.rejects(one.store.messages.after("c", 0, 10), removed);
    await assert.rejects(fill(one.store, "c", "me", "new"), removed);
    await using other = await open(address);
    await fill(other.store, "c", "me", "new");
    assert.deepEqual(await contents(other.store.messages.after("c", 0, 10)), ["new"]);
  });

  test("messages are not begun anew while watermarks would hide them", async () => {
    const address = server.freshBus();
    await using one = await open(address);
    const [id = 0] = await fill(one.store, "c", "me", "gone");
    await one.store.messages.advance("c", "reader", id);
    const { streams } = one.connection.jsm;
    await streams.delete(`${one.bus}-messages`);
    await using other = await open(address);
    const orphans = /-messages was removed, and [0-9a-f]+-readers still says how far each agent has read it: restore/;
    await assert.rejects(fill(other.store, "c", "me", "new"), orphans);
    await streams.delete(`${one.bus}-readers`);
    await using later = await open(address);
    await fill(later.store, "c", "me", "new");
    assert.deepEqual(await contents(later.store.messages.unread("c", "reader", { limit: 10, others: false })), ["new"]);
  });

  test("an administrator's stream stays as it is, and a full one says so", async () => {
    await using one = await open();
    const name = `${one.bus}-messages`;
    const subjects = [`${one.bus}.message.*`];
    await one.connection.jsm.streams.add({ name, subjects, max_msgs: 3, discard: "new", allow_direct: true });
    await fill(one.store, "c", "me", "1", "2", "3");
    await assert.rejects(fill(one.store, "c", "me", "4"), /is full .*: prune, or give it more room/);
    assert.deepEqual(await contents(one.store.messages.after("c", 0, 10)), ["1", "2", "3"]);
    await one.store.messages.remove("c", 1, 10);
    await fill(one.store, "c", "me", "5");
    assert.equal((await one.connection.jsm.streams.info(name)).config.max_msgs, 3);
  });

  test("a message too large for the server is refused in a sentence that names the limit", async () => {
    await using small = await startNats("max_payload: 65536");
    await using one = await open(small.freshBus());
    await fill(one.store, "c", "me", "x".repeat(57_344));
    await assert.rejects(
      fill(one.store, "c", "me", "x".repeat(57_345)),
      /this NATS server takes 57344 bytes at most \(its max_payload is 65536\), not 57345/,
    );
    const signal = { name: "s", data: "x".repeat(60_000), sender: "me", setAt: 1 };
    await assert.rejects(one.store.signals.set(signal), /takes 57344 bytes at most/);
  });

  test("an administrator's stream with other subjects is named in a sentence", async () => {
    await using one = await openNatsBus(`${server.freshBus()}?wait=1`);
    const name = `${one.bus}-messages`;
    await one.connection.jsm.streams.add({ name, subjects: [`${one.bus}.other`], allow_direct: true });
    await assert.rejects(
      fill(one.store, "c", "me", "1"),
      /there is a stream [0-9a-f]+-messages, but it doesn't take [0-9a-f]+\.message\.c: docs\/nats\.md/,
    );
  });

  test("another stream with a bus's subjects is named, and nothing seems stored", async () => {
    for (const [subject, more] of [
      ["message.c", {}],
      ["message.*", { no_ack: true }],
      ["message.other", {}],
      [">", {}],
    ] as const) {
      await using one = await open();
      const { streams } = one.connection.jsm;
      await streams.add({ name: "audit", subjects: [`${one.bus}.${subject}`], ...more });
      const words = (kind: string) => `the stream audit takes what ${one.bus}-${kind} is for: docs/nats.md`;
      await assert.rejects(fill(one.store, "c", "me", "1"), new RegExp(words("messages")));
      if (subject === ">") {
        await assert.rejects(one.store.sessions.connect(newPeer("bac-1"), undefined), new RegExp(words("sessions")));
      }
      await streams.delete("audit");
      await fill(one.store, "c", "me", "2");
      assert.deepEqual(await contents(one.store.messages.after("c", 0, 10)), ["2"]);
    }
  });

  test("streams are made although a client subscribes to everything", async () => {
    await using listening = await open();
    listening.connection.nats.subscribe(">");
    await using one = await open();
    await fill(one.store, "c", "me", "1");
    await one.store.sessions.connect(newPeer("bac-1"), undefined);
    assert.deepEqual(await contents(one.store.messages.after("c", 0, 10)), ["1"]);
  });

  test("a stream that another process makes at the same moment is used, whatever the server calls the conflict", async () => {
    const address = server.freshBus();
    await using one = await open(address);
    await using other = await open(address);
    const { streams } = one.connection.jsm;
    const add = streams.add.bind(streams);
    // 2.9 may report overlapping subjects before it knows the new stream's name.
    streams.add = async (config) => {
      await fill(other.store, "c", "you", "1");
      return add({ ...config, name: `${config.name}-again` });
    };
    await fill(one.store, "c", "me", "2");
    assert.deepEqual(await contents(one.store.messages.after("c", 0, 10)), ["1", "2"]);
  });

  test("a server that lists a stream but says it doesn't exist is asked again", async () => {
    await using one = await open();
    await fill(one.store, "c", "me", "1");
    await one.store.messages.advance("c", "reader", 1);
    const { streams, consumers } = one.connection.jsm;
    let refused = 0;
    const elsewhere = (stream: string) => (refused++ % 2 === 0 ? "nowhere" : stream);
    const getMessage = streams.getMessage.bind(streams);
    streams.getMessage = (stream, query) => getMessage(elsewhere(stream), query);
    const info = streams.info.bind(streams);
    streams.info = (stream, options) => info(elsewhere(stream), options);
    const add = consumers.add.bind(consumers);
    consumers.add = (stream, config) => add(elsewhere(stream), config);
    assert.deepEqual(await contents(one.store.messages.after("c", 0, 10)), ["1"]);
    assert.equal(await one.store.messages.watermark("c", "reader"), 1);
    assert.equal(await one.store.messages.pending("c", "other"), 1);
    assert.deepEqual(
      (await one.store.messages.channels()).map(({ channel, count }) => [channel, count]),
      [["c", 1]],
    );
    assert.ok(refused > 8, `${refused} requests`);
  });

  test("a reset is one small step, however much it removes", async () => {
    await using small = await startNats("max_payload: 32768");
    await using one = await openNatsBus(small.freshBus(), { archive: async () => "nowhere" });
    const { store } = one;
    await store.sessions.connect(newPeer("bac-1"), undefined);
    for (let n = 0; n < 3_000; n += 100) {
      await store.commands.add(Array.from({ length: 100 }, (_, i) => newOrder(`cmd-${n + i}`)));
    }
    await store.signals.set({ name: "s", data: 1, sender: "me", setAt: 1 });
    await fill(store, "c", "me", "gone");
    await store.reset("kept");
    const left = await Promise.all([store.sessions.list(), store.commands.list({ limit: 10 }), store.signals.list()]);
    assert.deepEqual(left, [[], [], []]);
    assert.deepEqual(await contents(store.messages.after("c", 0, 10)), []);
  });

  test("buses on one server don't see each other", async () => {
    await using one = await open();
    await using other = await open();
    await fill(one.store, "c", "me", "mine");
    await one.store.signals.set({ name: "s", data: 1, sender: "me", setAt: 1 });
    assert.deepEqual(await other.store.messages.channels(), []);
    assert.deepEqual(await other.store.signals.list(), []);
  });

  test("snapshots keep a growing log short, and a new process reads the same state", async () => {
    const address = server.freshBus();
    await using one = await open(address);
    await one.store.sessions.connect(newPeer("bac-1"), undefined);
    const params = { text: "x".repeat(400) };
    for (let n = 0; n < 300; n++) {
      await one.store.commands.add([newOrder(`cmd-${n}`, { params: n % 50 === 0 ? "large ".repeat(1_000) : params })]);
      if (n % 2 === 0) await one.store.commands.end(`cmd-${n}`, { status: "acked", result: n, at: n }, {});
    }
    const forgotten = await one.store.commands.forget(100, 1_000);
    assert.equal(forgotten, 50);
    const bodies = await one.connection.jsm.streams.info(`${one.bus}-bodies`, { subjects_filter: `${one.bus}.body.*` });
    assert.ok(bodies.state.subjects?.[`${one.bus}.body.snapshot`] === 1, "there is a snapshot");
    await using other = await open(address);
    const [mine, theirs] = await Promise.all([one, other].map(({ store }) => store.commands.list({ limit: 1_000 })));
    assert.equal(mine?.length, 250);
    assert.deepEqual(theirs, mine);
    assert.equal(await other.store.journal.last(), await one.store.journal.last());
    assert.deepEqual(await other.store.journal.after(0, 1_000), await one.store.journal.after(0, 1_000));
  });

  test("a mailbox hands each message to one reader, and again if it didn't arrive", async () => {
    const address = server.freshBus();
    await using one = await open(address);
    await using other = await open(address);
    for (const name of hostileNames) await fill(one.store, `@${name}`, "x", "first", "second", "third");
    const now = 1_000;
    for (const name of hostileNames) {
      const channel = `@${name}`;
      const taking = { limit: 2, now, lease: 10 };
      const both = await Promise.all([one, other].map(({ store }) => store.mailboxes.take(channel, name, taking)));
      const taken = both.flat();
      assert.deepEqual(taken.map(({ content }) => content).toSorted(), ["first", "second", "third"]);
      assert.equal(await one.store.mailboxes.nextFree(channel, name), now + 10);
      assert.deepEqual(await one.store.mailboxes.take(channel, name, { ...taking, now: now + 9 }), []);
      const [first, second, third] = taken.toSorted((a, b) => a.id - b.id).map(({ id }) => id);
      await other.store.mailboxes.settle(channel, name, [second ?? 0]);
      assert.equal(await one.store.messages.watermark(channel, name), (first ?? 0) - 1 > 0 ? (first ?? 0) - 1 : 0);
      await one.store.mailboxes.release(channel, [third ?? 0]);
      assert.deepEqual(await contents(other.store.mailboxes.take(channel, name, taking)), ["third"]);
      await other.store.mailboxes.settle(channel, name, [third ?? 0]);
      assert.deepEqual(await contents(one.store.mailboxes.take(channel, name, { ...taking, now: now + 10 })), [
        "first",
      ]);
      await one.store.mailboxes.settle(channel, name, [first ?? 0]);
      assert.equal(await one.store.messages.watermark(channel, name), third);
      assert.equal(await one.store.mailboxes.nextFree(channel, name), undefined);
      assert.equal(await one.store.messages.pending(channel, name), 0);
    }
  });

  test("the lease of a pruned message holds nobody up", async () => {
    await using one = await open();
    const [id = 0] = await fill(one.store, "@me", "x", "gone");
    await one.store.mailboxes.take("@me", "me", { limit: 1, now: 10, lease: 10 });
    await one.store.messages.remove("@me", id, 1);
    assert.deepEqual(await one.store.mailboxes.take("@me", "me", { limit: 1, now: 20, lease: 10 }), []);
    assert.equal(await one.store.mailboxes.nextFree("@me", "me"), undefined);
  });
});
