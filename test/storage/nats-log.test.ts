import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { cpSync, rmSync } from "node:fs";
import { after, before, suite, test } from "node:test";
import type { Store } from "../../src/core/store.ts";
import { createState } from "../../src/storage/nats/state.ts";
import { newPeer } from "../contracts/peers.ts";
import { type NatsBus, openNatsBus } from "../support/nats-bus.ts";
import { type NatsServer, natsVersion, needsNats, startNats } from "../support/nats-server.ts";
import { temporaryFolder, until } from "../support/program.ts";
import { freePort } from "../support/sockets.ts";

const idsOf = async (store: Store) => (await store.peers.list()).map(({ id }) => id).toSorted();

const connect = async (store: Store, ...ids: string[]) => {
  for (const id of ids) await store.peers.connect(newPeer(id), undefined);
};

/** So much that a snapshot of it is made, after the last of them at the latest. */
const fillWithPeers = async ({ store, connection, bus }: NatsBus): Promise<string[]> => {
  const ids = Array.from({ length: 40 }, (_, n) => `p-${n}`);
  for (const id of ids) {
    await store.peers.connect({ ...newPeer(id), capabilities: [randomBytes(6_000).toString("hex")] }, undefined);
  }
  const head = { last_by_subj: `${bus}.body.snapshot` };
  await until(async () => (await connection.jsm.streams.getMessage(`${bus}-bodies`, head)) !== null, "a snapshot");
  return ids.toSorted();
};

suite("the log of a bus on NATS", needsNats, () => {
  let server: NatsServer;
  before(async () => {
    if (natsVersion !== undefined) server = await startNats();
  });
  after(() => server?.[Symbol.asyncDispose]());

  for (const how of ["emptied", "removed"] as const) {
    test(`goes on from its snapshot where somebody has ${how} its stream`, async () => {
      const address = server.freshBus();
      await using running = await openNatsBus(address);
      const ids = await fillWithPeers(running);
      const stream = `${running.bus}-sessions`;
      await using fresh = await openNatsBus(address);
      const streams = fresh.connection.jsm.streams;
      await (how === "emptied" ? streams.purge(stream) : streams.delete(stream));
      const known = await idsOf(fresh.store);
      assert.ok(known.length > 20, "the snapshot holds most of it");
      await connect(fresh.store, "q-1");
      await connect(running.store, "q-2");
      await using late = await openNatsBus(address);
      await connect(late.store, "q-3");
      const expected = [...known, "q-1", "q-2", "q-3"].toSorted();
      for (const { store } of [fresh, running, late]) assert.deepEqual(await idsOf(store), expected);
      assert.ok(known.every((id) => ids.includes(id)));
      // As long as its numbers are smaller than before, and when they are the same again.
      for (let n = 0; n < 50; n++) await connect(n % 2 === 0 ? running.store : late.store, `r-${n}`);
      await using last = await openNatsBus(address);
      assert.equal((await last.store.peers.list()).length, expected.length + 50);
      assert.deepEqual(await idsOf(running.store), await idsOf(last.store));
    });
  }

  test("is read from its beginning where its snapshot is incomplete", async () => {
    const address = server.freshBus();
    await using one = await openNatsBus(address);
    const ids = await fillWithPeers(one);
    const { streams } = one.connection.jsm;
    const bodies = await streams.info(`${one.bus}-bodies`, { subjects_filter: `${one.bus}.body.*` });
    const parts = Object.keys(bodies.state.subjects ?? {}).filter((subject) => !subject.endsWith(".snapshot"));
    assert.ok(parts.length > 0);
    for (const filter of parts) await streams.purge(`${one.bus}-bodies`, { filter });
    await using fresh = await openNatsBus(address);
    assert.deepEqual(await idsOf(fresh.store), ids);
    await streams.purge(`${one.bus}-sessions`, { seq: 3 });
    await using later = await openNatsBus(address);
    await assert.rejects(
      idsOf(later.store),
      /-sessions has lost its first events, and no snapshot holds them: .* remove it/,
    );
  });

  test("says which stream has lost what, and what to do", async () => {
    const address = server.freshBus();
    await using one = await openNatsBus(address);
    await connect(one.store, "a", "b", "c");
    await one.connection.jsm.streams.purge(`${one.bus}-sessions`, { seq: 3 });
    await using fresh = await openNatsBus(address);
    const words = new RegExp(`the stream ${one.bus}-sessions has lost its first events`);
    await assert.rejects(idsOf(fresh.store), words);
    await assert.rejects(connect(fresh.store, "d"), words);
    await one.connection.jsm.streams.delete(`${one.bus}-sessions`);
    await connect(fresh.store, "d");
    assert.deepEqual(await idsOf(fresh.store), ["d"]);
    await connect(one.store, "e");
    assert.deepEqual(await idsOf(one.store), ["d", "e"]);
  });

  test("is looked at again by whoever ran on when a server has forgotten its end", async () => {
    using folder = temporaryFolder();
    using kept = temporaryFolder();
    const at = { port: await freePort(), folder: folder.path };
    const first = await startNats("", at);
    const address = first.freshBus();
    const bus = address.slice(address.lastIndexOf("/") + 1);
    const sessions = `${folder.path}/jetstream/jetstream/$G/streams/${bus}-sessions`;
    {
      await using one = await openNatsBus(address);
      await connect(one.store, "old-1", "old-2");
    }
    await first[Symbol.asyncDispose]();
    cpSync(sessions, kept.path, { recursive: true });
    const second = await startNats("", at);
    await using running = await openNatsBus(address);
    await connect(running.store, "lost-1", "lost-2");
    await second[Symbol.asyncDispose]();
    // What a power cut leaves of it.
    rmSync(sessions, { recursive: true });
    cpSync(kept.path, sessions, { recursive: true });
    await using _third = await startNats("", at);
    await using fresh = await openNatsBus(address);
    await connect(fresh.store, "new-1", "new-2");
    const expected = ["new-1", "new-2", "old-1", "old-2"];
    assert.deepEqual(await idsOf(fresh.store), expected);
    assert.deepEqual(await idsOf(running.store), expected);
    await connect(running.store, "new-3");
    assert.deepEqual(await idsOf(fresh.store), [...expected, "new-3"].toSorted());
  });

  test("has snapshots also where a server takes little at once", async () => {
    await using small = await startNats("max_payload: 65536");
    const address = small.freshBus();
    await using one = await openNatsBus(address);
    const ids = await fillWithPeers(one);
    await using fresh = await openNatsBus(address);
    assert.deepEqual(await idsOf(fresh.store), ids);
    const bodies = await one.connection.jsm.streams.info(`${one.bus}-bodies`, { subjects_filter: `${one.bus}.body.*` });
    assert.ok(Object.keys(bodies.state.subjects ?? {}).length > 2, "of several parts");
  });
});

test("what a process knows of the journal has an end", () => {
  const state = createState();
  const change = { of: "peer", key: "p", to: null, what: "left" } as const;
  for (let n = 1; n <= 100_000; n++) {
    state.apply(change, n);
    state.trim();
  }
  assert.ok(state.entries.length < 40_000 && state.entries.length >= 20_000);
  assert.equal(state.entries.at(-1)?.seq, 100_000);
  assert.equal(state.entries[0]?.seq, 100_001 - state.entries.length);
});
