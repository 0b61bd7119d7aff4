import assert from "node:assert/strict";
import { test } from "node:test";
import { readAddress } from "../../src/storage/nats/address.ts";
import { type Connection, connectNats } from "../../src/storage/nats/connection.ts";
import { createLog } from "../../src/storage/nats/log.ts";
import { createOutbox } from "../../src/storage/nats/outbox.ts";
import { createPayloads } from "../../src/storage/nats/payloads.ts";
import type { OutboxPurge } from "../../src/storage/nats/state.ts";
import { createStreams } from "../../src/storage/nats/streams.ts";
import { newPeer } from "../contracts/peers.ts";
import { contents, fill } from "../contracts/place.ts";
import { openNatsBus, systemNow } from "../support/nats-bus.ts";
import { natsSuite } from "../support/nats-suite.ts";
import { waitUntil } from "../support/program.ts";

interface Undone {
  readonly id: string;
  readonly message?: { readonly channel: string; readonly sender: string; readonly content: string };
  readonly purge?: OutboxPurge;
}

/** Leaves an entry in the outbox, as a process did that was killed some seconds ago; returns the entry. */
async function leave(connection: Connection, bus: string, secondsAgo: number, { id, message, purge }: Undone) {
  const streams = createStreams(connection, bus, 1);
  const log = createLog(streams, systemNow);
  // It has a log of its own, so it doesn't do the work itself.
  const outbox = createOutbox(streams, createLog(streams, systemNow), createPayloads(streams));
  const prepared = message && (await outbox.prepare({ ...message, timestamp: 5 }));
  return log.step(({ state, at, put }) => {
    const work = { ...(prepared && { message: prepared }), ...(purge && { purge }) };
    const entry = { id, at: at - secondsAgo, entry: state.entry, ...work };
    put({ of: "errand", key: id, to: entry });
    return entry;
  });
}

natsSuite("work that a killed process left in the outbox", (server) => {
  test("is done once by the next process, whether or not the killed one had sent its message", async () => {
    const address = server.freshBus();
    await using other = await openNatsBus(address);
    await other.store.sessions.connect(newPeer("bac-1"), undefined);
    for (const sent of [false, true]) {
      // As if it was killed after its step, before or after it sent the message.
      const where = readAddress(address);
      const connection = await connectNats(where);
      const content = sent ? "sent" : "unsent";
      const message = { channel: content, sender: "bac-1", content };
      const noted = await leave(connection, where.bus, 60, { id: content, message });
      if (sent) await fill(other.store, "before", "x", "y");
      if (sent) {
        const fields = { channel: content, sender: "bac-1", at: 5, errand: noted.id };
        // Under another id, as if the stream had forgotten the first one.
        const publication = { id: "long ago", fields, data: content };
        const streams = createStreams(connection, where.bus, 1);
        await streams.publish("messages", streams.names.message(content), publication);
      }
      await connection.nats.close();
      await other.store.signals.set({ name: content, data: 1, sender: "x", setAt: 1 });
      await waitUntil(async () => (await other.store.messages.after(content, 0, 10)).length > 0, "it is done");
      // Later changes are told once it is done.
      await waitUntil(async () => (await other.store.journal.last()) > noted.entry, "it is told");
      assert.deepEqual(await contents(other.store.messages.after(content, 0, 10)), [content]);
    }
  });

  test("is done although nothing else happens", async () => {
    await using one = await openNatsBus(server.freshBus());
    const message = { channel: "c", sender: "me", content: "late" };
    await leave(one.connection, one.bus, 14, { id: "e", message });
    assert.deepEqual(await one.store.sessions.list(), []);
    assert.deepEqual(await contents(one.store.messages.after("c", 0, 10)), []);
    await waitUntil(async () => (await one.store.messages.after("c", 0, 10)).length > 0, "it is done");
    assert.deepEqual(await contents(one.store.messages.after("c", 0, 10)), ["late"]);
  });

  test("keeps no other work back when it can never be done", async () => {
    await using one = await openNatsBus(`${server.freshBus()}?wait=1`);
    const subjects = [`${one.bus}.message.c`];
    await one.connection.jsm.streams.add({ name: `${one.bus}-messages`, subjects, allow_direct: true });
    for (const channel of ["d", "c"]) {
      await leave(one.connection, one.bus, 60, { id: channel, message: { channel, sender: "me", content: "late" } });
    }
    await one.store.sessions.list();
    await waitUntil(async () => (await one.store.messages.after("c", 0, 10)).length > 0, "the other is done");
  });

  test("is done once another entry has made room for it", async () => {
    await using one = await openNatsBus(server.freshBus());
    const subjects = [`${one.bus}.message.*`];
    const full = { name: `${one.bus}-messages`, subjects, max_msgs: 2, discard: "new", allow_direct: true } as const;
    await one.connection.jsm.streams.add(full);
    const [, upTo = 0] = await fill(one.store, "c", "me", "1", "2");
    const message = { channel: "d", sender: "me", content: "late" };
    await leave(one.connection, one.bus, 60, { id: "e-1", message });
    await leave(one.connection, one.bus, 60, { id: "e-2", purge: { upTo, keptChannel: "kept" } });
    await one.store.sessions.list();
    await waitUntil(async () => (await one.store.messages.after("d", 0, 10)).length > 0, "both are done");
    assert.deepEqual(await contents(one.store.messages.after("c", 0, 10)), []);
  });
});
