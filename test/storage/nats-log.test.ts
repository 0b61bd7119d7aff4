import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { cpSync, rmSync } from "node:fs";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Store } from "../../src/core/store.ts";
import { MutableState } from "../../src/storage/nats/state.ts";
import { newPeer } from "../contracts/peers.ts";
import { type NatsBus, openNatsBus } from "../support/nats-bus.ts";
import { startNats } from "../support/nats-server.ts";
import { natsSuite } from "../support/nats-suite.ts";
import { temporaryFolder, waitUntil } from "../support/program.ts";
import { freePort } from "../support/sockets.ts";
import { openSeveral } from "../support/store.ts";

const idsOf = async (store: Store) => (await store.sessions.list()).map(({ id }) => id).toSorted();

const connect = async (store: Store, ...ids: string[]) => {
  for (const id of ids) await store.sessions.connect(newPeer(id), undefined);
};

/** Connects sessions that are large enough for a snapshot to be made. */
const fillWithSessions = async ({ store, connection, bus }: NatsBus): Promise<string[]> => {
  const ids = Array.from({ length: 40 }, (_, n) => `p-${n}`);
  for (const id of ids) {
    await store.sessions.connect({ ...newPeer(id), capabilities: [randomBytes(6_000).toString("hex")] }, undefined);
  }
  const head = { last_by_subj: `${bus}.body.snapshot` };
  await waitUntil(async () => (await connection.jsm.streams.getMessage(`${bus}-bodies`, head)) !== null, "a snapshot");
  return ids.toSorted();
};

/** A server that is killed and started again, in the end with an older log of one bus, as after a power cut. */
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
    test(`is refused in a sentence once its stream was ${how}, by old processes and new ones`, async () => {
      const address = server.freshBus();
      await using running = await openNatsBus(address);
      await fillWithSessions(running);
      await using idle = await openNatsBus(address);
      await idsOf(idle.store);
      const [sessions, bodies] = [`${running.bus}-sessions`, `${running.bus}-bodies`];
      const { streams } = running.connection.jsm;
      await (how === "emptied" ? streams.purge(sessions) : streams.delete(sessions));
      await using fresh = await openNatsBus(address);
      const lost = new RegExp(`${sessions} (has lost .*: it or ${bodies} was emptied or removed|was removed while)`);
      for (const { store } of [running, idle, fresh]) {
        await assert.rejects(connect(store, "x"), lost);
        await assert.rejects(idsOf(store), lost);
      }
      // Follow the sentence's advice.
      for (const name of [sessions, bodies]) await streams.delete(name).catch(() => {});
      await using later = await openNatsBus(address);
      await connect(later.store, "new");
      assert.deepEqual(await idsOf(later.store), ["new"]);
    });
  }

  test("is refused when its stream was emptied and has no snapshot", async () => {
    const address = server.freshBus();
    await using running = await openNatsBus(address);
    await connect(running.store, "a");
    await running.connection.jsm.streams.purge(`${running.bus}-sessions`);
    await using fresh = await openNatsBus(address);
    for (const { store } of [running, fresh])
      await assert.rejects(connect(store, "b"), /-sessions has lost its events: /);
  });

  test("is read again by processes that knew an older one, after it was removed and begun anew", async () => {
    const address = server.freshBus();
    await using buses = await openSeveral(4, () => openNatsBus(address));
    const [reader, writer, idle, fresh] = buses;
    assert.ok(reader && writer && idle && fresh);
    await connect(reader.store, "old-1", "old-2", "old-3");
    for (const { store } of [writer, idle]) assert.equal((await idsOf(store)).length, 3);
    await reader.connection.jsm.streams.delete(`${reader.bus}-sessions`);
    await connect(fresh.store, "new-1", "new-2");
    assert.deepEqual(await idsOf(reader.store), ["new-1", "new-2"]);
    await connect(fresh.store, "new-3");
    assert.deepEqual(await idsOf(idle.store), ["new-1", "new-2", "new-3"]);
    // The new log is as long as the old one; this process looks before it writes, since its last look is old.
    await sleep(1_100);
    await connect(writer.store, "new-4");
    for (const { store } of buses) assert.deepEqual(await idsOf(store), ["new-1", "new-2", "new-3", "new-4"]);
  });

  test("is refused when a part of its snapshot was removed", async () => {
    const address = server.freshBus();
    await using one = await openNatsBus(address);
    await fillWithSessions(one);
    const { streams } = one.connection.jsm;
    const bodies = await streams.info(`${one.bus}-bodies`, { subjects_filter: `${one.bus}.body.*` });
    const parts = Object.keys(bodies.state.subjects ?? {}).filter((subject) => !subject.endsWith(".snapshot"));
    assert.ok(parts.length > 0);
    for (const filter of parts) await streams.purge(`${one.bus}-bodies`, { filter });
    await using fresh = await openNatsBus(address);
    await assert.rejects(idsOf(fresh.store), /-sessions has lost a part of its snapshot: /);
  });

  test("is refused when it has lost its first events, until it is removed", async () => {
    const address = server.freshBus();
    await using one = await openNatsBus(address);
    await connect(one.store, "a", "b", "c");
    const { streams } = one.connection.jsm;
    await streams.purge(`${one.bus}-sessions`, { seq: 3 });
    await using fresh = await openNatsBus(address);
    const lost = new RegExp(
      `the stream ${one.bus}-sessions has lost its first events: .* remove both\\. Messages and agents`,
    );
    await assert.rejects(idsOf(fresh.store), lost);
    await assert.rejects(connect(fresh.store, "d"), lost);
    await streams.delete(`${one.bus}-sessions`);
    await using later = await openNatsBus(address);
    await connect(later.store, "d");
    assert.deepEqual(await idsOf(later.store), ["d"]);
  });

  test("is read again by processes that ran on while a server lost its end", async () => {
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

  test("is refused where a server has lost more than its snapshot, also by a process that knows no more than is left", async () => {
    await using forgetful = await startForgetful();
    const { address } = forgetful;
    await using idle = await openNatsBus(address);
    await connect(idle.store, "old");
    await forgetful.remember();
    await using running = await openNatsBus(address);
    await fillWithSessions(running);
    await forgetful.forget();
    await using fresh = await openNatsBus(address);
    for (const { store } of [idle, running, fresh]) {
      await assert.rejects(connect(store, "x"), /-sessions has lost event \d+ or a later one: .* in a power cut/);
    }
  });

  test("has snapshots also on a server that takes only small messages", async () => {
    await using small = await startNats("max_payload: 65536");
    const address = small.freshBus();
    await using one = await openNatsBus(address);
    const ids = await fillWithSessions(one);
    await using fresh = await openNatsBus(address);
    assert.deepEqual(await idsOf(fresh.store), ids);
    const bodies = await one.connection.jsm.streams.info(`${one.bus}-bodies`, { subjects_filter: `${one.bus}.body.*` });
    assert.ok(Object.keys(bodies.state.subjects ?? {}).length > 2, "of several parts");
  });
});

test("a process keeps a bounded part of the journal", () => {
  const state = new MutableState();
  const change = { of: "peer", key: "p", to: null, what: "left" } as const;
  for (let n = 1; n <= 100_000; n++) {
    state.apply(change, n);
    state.trim();
  }
  assert.ok(state.entries.length < 40_000 && state.entries.length >= 20_000);
  assert.equal(state.entries.at(-1)?.seq, 100_000);
  assert.equal(state.entries[0]?.seq, 100_001 - state.entries.length);
});

test("the journal is recalled as far back as none of it is missing", () => {
  const state = new MutableState();
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
