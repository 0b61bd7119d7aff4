import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { cpSync, rmSync } from "node:fs";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Store } from "../../src/core/store.ts";
import { createState } from "../../src/storage/nats/state.ts";
import { newPeer } from "../contracts/peers.ts";
import { type NatsBus, openNatsBus } from "../support/nats-bus.ts";
import { startNats } from "../support/nats-server.ts";
import { natsSuite } from "../support/nats-suite.ts";
import { temporaryFolder, until } from "../support/program.ts";
import { several } from "../support/several.ts";
import { freePort } from "../support/sockets.ts";

const idsOf = async (store: Store) => (await store.sessions.list()).map(({ id }) => id).toSorted();

const connect = async (store: Store, ...ids: string[]) => {
  for (const id of ids) await store.sessions.connect(newPeer(id), undefined);
};

/** So much that a snapshot of it is made, after the last of them at the latest. */
const fillWithPeers = async ({ store, connection, bus }: NatsBus): Promise<string[]> => {
  const ids = Array.from({ length: 40 }, (_, n) => `p-${n}`);
  for (const id of ids) {
    await store.sessions.connect({ ...newPeer(id), capabilities: [randomBytes(6_000).toString("hex")] }, undefined);
  }
  const head = { last_by_subj: `${bus}.body.snapshot` };
  await until(async () => (await connection.jsm.streams.getMessage(`${bus}-bodies`, head)) !== null, "a snapshot");
  return ids.toSorted();
};

/** A server that is killed, and started again; in the end with what it remembered of the log of one bus, as a power cut does it. */
async function startForgetful() {
  const folder = temporaryFolder();
  const kept = temporaryFolder();
  const at = { port: await freePort(), folder: folder.path };
  let running = await startNats("", at);
  const address = running.freshBus();
  const log = `${folder.path}/jetstream/jetstream/$G/streams/${address.slice(address.lastIndexOf("/") + 1)}-sessions`;
  const betweenRuns = async (change: () => void) => {
    await running[Symbol.asyncDispose]();
    change();
    running = await startNats("", at);
  };
  return {
    address,
    remember: () => betweenRuns(() => cpSync(log, kept.path, { recursive: true })),
    forget: () =>
      betweenRuns(() => {
        rmSync(log, { recursive: true });
        cpSync(kept.path, log, { recursive: true });
      }),
    async [Symbol.asyncDispose]() {
      await running[Symbol.asyncDispose]();
      for (const one of [folder, kept]) one[Symbol.dispose]();
    },
  };
}

natsSuite("the log of a bus on NATS", (server) => {
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
      assert.equal((await last.store.sessions.list()).length, expected.length + 50);
      assert.deepEqual(await idsOf(running.store), await idsOf(last.store));
    });
  }

  test("goes on from its snapshot once, also where two find out at the same time", async () => {
    for (let nth = 1; nth <= 8; nth++) {
      const address = server.freshBus();
      await using one = await openNatsBus(address);
      await fillWithPeers(one);
      await using other = await openNatsBus(address);
      await idsOf(other.store);
      await one.connection.jsm.streams.purge(`${one.bus}-sessions`);
      // When one looks for the nth time where the log ends, the other has just gone on with it.
      const { streams } = one.connection.jsm;
      const getMessage = streams.getMessage.bind(streams);
      let looks = 0;
      streams.getMessage = async (stream, query) => {
        const isEnd = "last_by_subj" in query && query.last_by_subj.endsWith(".session");
        if (isEnd && ++looks === nth) await connect(other.store, "x");
        return getMessage(stream, query);
      };
      await connect(one.store, "y");
      streams.getMessage = getMessage;
      await using fresh = await openNatsBus(address);
      const expected = await idsOf(fresh.store);
      const added = looks < nth ? ["y"] : ["x", "y"];
      assert.deepEqual(expected.slice(-added.length), added);
      for (const { store } of [one, other]) assert.deepEqual(await idsOf(store), expected);
      await connect(other.store, "z");
      for (const { store } of [one, fresh]) assert.deepEqual(await idsOf(store), [...expected, "z"].toSorted());
    }
  });

  test("that was removed and begun anew is read anew by whoever knew more of the old one, or as much", async () => {
    const address = server.freshBus();
    await using buses = await several(4, () => openNatsBus(address));
    const [reader, writer, idle, fresh] = buses;
    assert.ok(reader && writer && idle && fresh);
    await connect(reader.store, "old-1", "old-2", "old-3");
    for (const { store } of [writer, idle]) assert.equal((await idsOf(store)).length, 3);
    await reader.connection.jsm.streams.delete(`${reader.bus}-sessions`);
    await connect(fresh.store, "new-1", "new-2");
    assert.deepEqual(await idsOf(reader.store), ["new-1", "new-2"]);
    await connect(fresh.store, "new-3");
    assert.deepEqual(await idsOf(idle.store), ["new-1", "new-2", "new-3"]);
    // It has as many events again as this one knows, and it looks before it writes, since that is long ago.
    await sleep(1_100);
    await connect(writer.store, "new-4");
    for (const { store } of buses) assert.deepEqual(await idsOf(store), ["new-1", "new-2", "new-3", "new-4"]);
  });

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
    await using forgetful = await startForgetful();
    const { address } = forgetful;
    {
      await using one = await openNatsBus(address);
      await connect(one.store, "old-1", "old-2");
    }
    await forgetful.remember();
    await using running = await openNatsBus(address);
    await connect(running.store, "lost-1", "lost-2");
    await forgetful.forget();
    await using fresh = await openNatsBus(address);
    await connect(fresh.store, "new-1", "new-2");
    const expected = ["new-1", "new-2", "old-1", "old-2"];
    assert.deepEqual(await idsOf(fresh.store), expected);
    assert.deepEqual(await idsOf(running.store), expected);
    await connect(running.store, "new-3");
    assert.deepEqual(await idsOf(fresh.store), [...expected, "new-3"].toSorted());
  });

  test("that has lost more than its snapshot goes on from that, also by whoever knew only what is left", async () => {
    await using forgetful = await startForgetful();
    const { address } = forgetful;
    await using idle = await openNatsBus(address);
    await connect(idle.store, "old");
    await forgetful.remember();
    await using running = await openNatsBus(address);
    await fillWithPeers(running);
    await forgetful.forget();
    await connect(idle.store, "idle");
    const expected = await idsOf(idle.store);
    assert.ok(expected.length > 20 && expected.includes("idle"));
    await using fresh = await openNatsBus(address);
    await connect(fresh.store, "fresh");
    for (const { store } of [idle, running, fresh]) {
      assert.deepEqual(await idsOf(store), [...expected, "fresh"].toSorted());
    }
    // What comes now has a snapshot again, though that lies where the old one lay, or before it.
    const head = { last_by_subj: `${fresh.bus}.body.snapshot` };
    const { jsm } = fresh.connection;
    const found = await jsm.streams.getMessage(`${fresh.bus}-bodies`, head);
    assert.ok(Number(found?.json<{ position: number }>().position) <= 5);
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

test("the journal is recalled as far as nothing of it is missing", () => {
  const state = createState();
  const change = { of: "peer", key: "p", to: null, what: "left" } as const;
  for (let n = 1; n <= 6; n++) state.apply(change, n);
  const entries = [...state.entries];
  state.restore(state.snapshot());
  state.recall(entries.filter(({ seq }) => seq !== 3));
  assert.deepEqual(
    state.entries.map(({ seq }) => seq),
    [4, 5, 6],
  );
  state.recall(entries);
  assert.deepEqual(
    state.entries.map(({ seq }) => seq),
    [1, 2, 3, 4, 5, 6],
  );
});
