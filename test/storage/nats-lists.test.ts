import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { errors } from "@nats-io/transport-node";
import { createBus } from "../../src/core/bus.ts";
import { prune } from "../../src/core/pruning.ts";
import type { Connection } from "../../src/storage/nats/connection.ts";
import { namesOf } from "../../src/storage/nats/names.ts";
import { createNatsBells } from "../../src/wakeup/nats.ts";
import { newOrder } from "../contracts/orders.ts";
import { newPeer } from "../contracts/peers.ts";
import { contents, fill } from "../contracts/place.ts";
import { type NatsBus, openNatsBus } from "../support/nats-bus.ts";
import { startNats } from "../support/nats-server.ts";
import { natsSuite } from "../support/nats-suite.ts";
import { waitUntil } from "../support/program.ts";
import { noPolicy } from "../support/store.ts";

/** Delays the first message to a matching subject until something has happened. */
function beforeFirst({ nats }: Connection, subject: RegExp, happens: () => Promise<unknown>): void {
  const publish = nats.publish.bind(nats);
  let first = true;
  nats.publish = (to, ...rest) => {
    if (!first || !subject.test(to)) return publish(to, ...rest);
    first = false;
    void happens().then(() => publish(to, ...rest));
  };
}

/** Lets something happen once, after the server has first counted messages. */
function afterFirstCount({ jsm }: Connection, happens: () => Promise<unknown>): void {
  const info = jsm.streams.info.bind(jsm.streams);
  let first = true;
  jsm.streams.info = async (stream, asked) => {
    const said = await info(stream, asked);
    if (first && asked?.subjects_filter !== undefined) {
      first = false;
      await happens();
    }
    return said;
  };
}

/** Loses the server's answers to steps on the sessions, until the returned function is called. */
function withoutAnswer({ js }: Connection, bus: string): () => void {
  const publish = js.publish.bind(js);
  js.publish = async (subject, ...rest) => {
    const answer = publish(subject, ...rest);
    if (subject !== `${bus}.session`) return answer;
    await answer.catch(() => {});
    throw new errors.TimeoutError();
  };
  return () => {
    js.publish = publish;
  };
}

natsSuite("lists of a bus on NATS", (server) => {
  test("readers that move during a list are each listed once", async () => {
    const address = server.freshBus();
    await using one = await openNatsBus(address);
    await using other = await openNatsBus(address);
    const ids = await fill(one.store, "c", "me", "1", "2");
    const [first = 0, second = 0] = ids;
    // More than one batch, so that some are still to come when others have.
    const agents = Array.from({ length: 501 }, (_, n) => `agent ${String(n).padStart(3, "0")}`);
    for (const agent of agents) await one.store.messages.advance("c", agent, first);
    let batches = 0;
    const between = async () => {
      // One that has come, and then one that hasn't.
      await other.store.messages.advance("c", agents[0] ?? "", second);
      await other.store.messages.advance("c", agents.at(-1) ?? "", second);
      batches++;
    };
    beforeFirst(one.connection, /CONSUMER\.MSG\.NEXT/, async () =>
      beforeFirst(one.connection, /CONSUMER\.MSG\.NEXT/, between),
    );
    const readers = await one.store.messages.readers("c");
    assert.equal(batches, 1);
    assert.deepEqual(
      readers.map(({ agent }) => agent),
      agents,
    );
  });

  test("the newest messages are kept when others remove messages during a look", async () => {
    const address = server.freshBus();
    await using one = await openNatsBus(address);
    await using other = await openNatsBus(address);
    const texts = Array.from({ length: 30 }, (_, n) => `m${n}`);
    await fill(one.store, "c", "me", ...texts);
    const pruning = { keep: 10, consumed: false };
    const removeOld = async ({ store }: NatsBus) => {
      const { upTo } = await store.messages.prunable("c", pruning);
      await store.messages.remove("c", upTo, 100);
    };
    afterFirstCount(one.connection, () => removeOld(other));
    await removeOld(one);
    assert.deepEqual(await contents(one.store.messages.after("c", 0, 100)), texts.slice(20));
    afterFirstCount(one.connection, () => other.store.messages.remove("c", 25, 100));
    assert.deepEqual(await one.store.messages.prunable("c", { ...pruning, keep: 3 }), {
      upTo: 27,
      count: 2,
      unconsumed: 2,
    });
  });

  test("a prune goes on when others remove a part first, and counts only what it removed itself", async () => {
    const address = server.freshBus();
    await using one = await openNatsBus(address);
    await using other = await openNatsBus(address);
    await Promise.all(Array.from({ length: 1_100 }, () => fill(one.store, "c", "me", "x")));
    const purge = one.connection.jsm.streams.purge.bind(one.connection.jsm.streams);
    let first = true;
    one.connection.jsm.streams.purge = async (...asked) => {
      if (first) await other.store.messages.remove("c", Number.MAX_SAFE_INTEGER, 250);
      first = false;
      return purge(...asked);
    };
    const wakeup = createNatsBells({
      nats: one.connection.nats,
      subjectOf: namesOf(one.bus).bell,
      changes: one.store.changes,
    });
    const bus = createBus({ store: one.store, wakeup, policy: noPolicy, now: () => Date.now() / 1_000 });
    const pruning = { channel: "c", before: undefined, keep: 100, consumed: false, dryRun: false };
    const told = await Array.fromAsync(prune(bus, pruning, new AbortController().signal));
    const last = told.at(-1);
    assert.deepEqual([last?.done, last?.of, last?.removed], [true, 1_000, 750]);
    assert.equal((await one.store.messages.channels())[0]?.count, 100);
  });

  test("payloads of a command and a signal stay when it isn't known whether these were stored", async () => {
    await using one = await openNatsBus(`${server.freshBus()}?wait=1`);
    const [params, result, data] = ["params", "result", "data"].map((text) => text.repeat(200));
    await one.store.sessions.connect(newPeer("bac-1"), undefined);
    const answered = withoutAnswer(one.connection, one.bus);
    await assert.rejects(one.store.commands.add([newOrder("cmd-1", { params })]), /gave no answer/);
    answered();
    assert.equal((await one.store.commands.find("cmd-1"))?.params, params);
    const unanswered = withoutAnswer(one.connection, one.bus);
    const signal = { name: "done", data, sender: "bac-1", setAt: 2 };
    const ending = { status: "acked", result, at: 2 } as const;
    await assert.rejects(one.store.commands.end("cmd-1", ending, { signal }), /gave no answer/);
    unanswered();
    assert.equal((await one.store.commands.find("cmd-1"))?.result, result);
    assert.equal((await one.store.signals.get("done"))?.data, data);
  });

  test("payloads of a refused command are dropped, as are those of one too large for the server", async () => {
    await using small = await startNats("max_payload: 65536");
    await using one = await openNatsBus(small.freshBus());
    const params = "large ".repeat(200);
    const left = async () => (await one.connection.jsm.streams.info(`${one.bus}-bodies`)).state.messages;
    await one.store.commands.add([newOrder("cmd-1", { params })]);
    assert.equal(await left(), 1);
    await assert.rejects(one.store.commands.add([newOrder("cmd-1", { params })]), /there is a command cmd-1/);
    await waitUntil(async () => (await left()) === 1, "the refused command's params are gone");
    const order = newOrder("cmd-2", { params, action: randomBytes(60_000).toString("hex") });
    await assert.rejects(one.store.commands.add([order]), /takes 57344 bytes at most/);
    await waitUntil(async () => (await left()) === 1, "the large command's params are gone");
  });

  test("reading a signal or a command whose payload was removed fails with a sentence", async () => {
    await using one = await openNatsBus(server.freshBus());
    const signal = { name: "ready", data: "x".repeat(1_000), sender: "me", setAt: 1 };
    await one.store.signals.set(signal);
    await one.store.commands.add([newOrder("cmd-1", { params: "x".repeat(1_000) })]);
    await one.connection.jsm.streams.purge(`${one.bus}-bodies`);
    await assert.rejects(one.store.commands.find("cmd-1"), /a part of command cmd-1 was removed from the NATS server/);
    await assert.rejects(one.store.signals.get("ready"), /the data of signal ready was removed from the NATS server/);
    await one.store.signals.set(signal);
    assert.deepEqual(await one.store.signals.get("ready"), signal);
  });

  test("a waiter for messages sends one request each time, and a waiter for everything four", async () => {
    await using one = await openNatsBus(server.freshBus());
    await fill(one.store, "c", "me", "x");
    await one.store.messages.advance("c", "me", 1);
    await one.store.agents.markRevoked({ name: "gone", publicKey: "x", registeredBy: null });
    await one.store.signals.set({ name: "s", data: 1, sender: "me", setAt: 1 });
    await one.store.changes();
    for (const [of, times] of [
      ["messages", 1],
      [undefined, 4],
    ] as const) {
      const before = one.connection.nats.stats().outMsgs;
      await one.store.changes(of);
      assert.equal(one.connection.nats.stats().outMsgs - before, times);
    }
  });
});
