import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { readAddress } from "../../src/storage/nats/address.ts";
import { createBodies } from "../../src/storage/nats/bodies.ts";
import { connectNats } from "../../src/storage/nats/connection.ts";
import { createErrands } from "../../src/storage/nats/errands.ts";
import { createLog } from "../../src/storage/nats/log.ts";
import { namesOf } from "../../src/storage/nats/names.ts";
import { createStreams } from "../../src/storage/nats/streams.ts";
import { newPeer } from "../contracts/peers.ts";
import { contents, fill } from "../contracts/place.ts";
import { openNatsBus } from "../support/nats-bus.ts";
import { type NatsServer, natsVersion, needsNats, startNats } from "../support/nats-server.ts";
import { until } from "../support/program.ts";

suite("what a killed process left undone on NATS", needsNats, () => {
  let server: NatsServer;
  before(async () => {
    if (natsVersion !== undefined) server = await startNats();
  });
  after(() => server?.[Symbol.asyncDispose]());

  test("what whoever ended an order couldn't do any more is done by the next who comes, once", async () => {
    const address = server.freshBus();
    await using other = await openNatsBus(address);
    await other.store.peers.connect(newPeer("bac-1"), undefined);
    for (const sent of [false, true]) {
      // As if it had been killed after its step: before its message was sent, or after that.
      const where = readAddress(address);
      const connection = await connectNats(where);
      const streams = createStreams(connection, where.bus, 1);
      const log = createLog(streams);
      // On a log of their own, so that they don't do it themselves.
      const errands = createErrands(streams, createLog(streams), createBodies(streams));
      const content = sent ? "sent" : "unsent";
      const prepared = await errands.prepare({ channel: content, sender: "bac-1", content, timestamp: 5 });
      const noted = await log.step((draft) => {
        const errand = { id: content, at: draft.at - 60, entry: draft.state.entry, message: prepared };
        draft.put({ of: "errand", key: errand.id, to: errand });
        return errand;
      });
      if (sent) await fill(other.store, "before", "x", "y");
      if (sent) {
        const fields = { channel: content, sender: "bac-1", at: 5, errand: noted.id };
        // Under another id, as long after as a stream knows the ids of what it stored.
        const publication = { id: "long ago", fields, data: content };
        await streams.publish("messages", namesOf(where.bus).message(content), publication);
      }
      await connection.nats.close();
      await other.store.signals.set({ name: content, data: 1, sender: "x", setAt: 1 });
      await until(async () => (await other.store.messages.after(content, 0, 10)).length > 0, "it is done");
      // What changed since is told once it is done.
      await until(async () => (await other.store.journal.last()) > noted.entry, "it is told");
      assert.deepEqual(await contents(other.store.messages.after(content, 0, 10)), [content]);
    }
  });

  test("what was left undone is done also where nothing else happens", async () => {
    await using one = await openNatsBus(server.freshBus());
    const streams = createStreams(one.connection, one.bus, 1);
    const log = createLog(streams);
    const errands = createErrands(streams, createLog(streams), createBodies(streams));
    const prepared = await errands.prepare({ channel: "c", sender: "me", content: "late", timestamp: 5 });
    await log.step((draft) => {
      const errand = { id: "e", at: draft.at - 14, entry: draft.state.entry, message: prepared };
      draft.put({ of: "errand", key: errand.id, to: errand });
    });
    assert.deepEqual(await one.store.peers.list(), []);
    assert.deepEqual(await contents(one.store.messages.after("c", 0, 10)), []);
    await until(async () => (await one.store.messages.after("c", 0, 10)).length > 0, "it is done");
    assert.deepEqual(await contents(one.store.messages.after("c", 0, 10)), ["late"]);
  });

  test("what was left undone and can't be done keeps nothing else from being done", async () => {
    await using one = await openNatsBus(server.freshBus());
    const subjects = [`${one.bus}.message.*`];
    const full = { name: `${one.bus}-messages`, subjects, max_msgs: 2, discard: "new", allow_direct: true } as const;
    await one.connection.jsm.streams.add(full);
    const [, upTo = 0] = await fill(one.store, "c", "me", "1", "2");
    const streams = createStreams(one.connection, one.bus, 1);
    const log = createLog(streams);
    const errands = createErrands(streams, createLog(streams), createBodies(streams));
    const prepared = await errands.prepare({ channel: "d", sender: "me", content: "late", timestamp: 5 });
    await log.step((draft) => {
      const both = [
        { id: "e-1", message: prepared },
        { id: "e-2", purge: { upTo, keptChannel: "kept" } },
      ];
      for (const what of both) {
        const errand = { at: draft.at - 60, entry: draft.state.entry, ...what };
        draft.put({ of: "errand", key: errand.id, to: errand });
      }
    });
    await one.store.peers.list();
    await until(async () => (await one.store.messages.after("d", 0, 10)).length > 0, "both are done");
    assert.deepEqual(await contents(one.store.messages.after("c", 0, 10)), []);
  });
});
