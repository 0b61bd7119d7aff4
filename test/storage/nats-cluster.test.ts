import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { errors } from "@nats-io/transport-node";
import type { Store } from "../../src/core/store.ts";
import { readAddress } from "../../src/storage/nats/address.ts";
import { type Connection, connectNats } from "../../src/storage/nats/connection.ts";
import { namesOf } from "../../src/storage/nats/names.ts";
import { putRecord } from "../../src/storage/nats/records.ts";
import { createStreams } from "../../src/storage/nats/streams.ts";
import { createNatsBells } from "../../src/wakeup/nats.ts";
import { newOrder } from "../contracts/orders.ts";
import { newPeer } from "../contracts/peers.ts";
import { assertGrowing, message } from "../contracts/place.ts";
import { type NatsBus, openNatsBus } from "../support/nats-bus.ts";
import { type Cluster, needsCluster, needsOldCluster, startCluster, startNats } from "../support/nats-server.ts";
import { run, temporaryFolder, waitUntil } from "../support/program.ts";
import { freePort } from "../support/sockets.ts";

suite("a cluster of three NATS servers", { ...needsCluster, concurrency: 1 }, () => {
  let cluster: Cluster;
  before(async () => {
    cluster = await startCluster();
  });
  after(() => cluster[Symbol.asyncDispose]());

  const open = (bus: string) => openNatsBus(`${cluster.address}/${bus}`, { replicas: 3 });

  const leaderOf = async ({ jsm }: Connection, stream: string): Promise<string> =>
    (await jsm.streams.info(stream)).cluster?.leader ?? assert.fail("no leader");

  /** Sends until it is stopped; keeps what was acknowledged. */
  const sending = (store: Store, sender: string) => {
    const acknowledged = new Map<number, string>();
    const refused: unknown[] = [];
    let stopped = false;
    const done = (async () => {
      for (let n = 0; !stopped; n++) {
        const content = `${sender} ${n}`;
        const once = { signer: sender, nonce: String(n), digest: content, at: Date.now() / 1_000 };
        try {
          const { id } = await store.messages.append(message("load", sender, content), n % 2 === 0 ? once : undefined);
          acknowledged.set(id, content);
        } catch (error) {
          refused.push(error);
        }
      }
    })();
    return {
      acknowledged,
      refused,
      async stop() {
        stopped = true;
        await done;
      },
    };
  };

  /** Reads messages as they come, as a waiter does, until it has read the last. */
  const reading = async ({ store, connection, bus }: NatsBus, last: () => number) => {
    const bells = createNatsBells({ nats: connection.nats, subjectOf: namesOf(bus).bell, changes: store.changes });
    const seen: { id: number; content: string }[] = [];
    using bell = bells.arm("load");
    const end = Date.now() + 60_000;
    for (let upTo = 0; upTo < last() && Date.now() < end; upTo = seen.at(-1)?.id ?? 0) {
      const found = await store.messages.after("load", upTo, 100).catch(() => []);
      seen.push(...found);
      if (found.length === 0) await bell.wait(AbortSignal.timeout(5_000));
    }
    await bells[Symbol.asyncDispose]();
    return seen;
  };

  type Harm = (name: string) => Promise<void>;
  const faults: readonly [string, Harm, Harm][] = [
    ["killed", async (name) => cluster.kill(name), async (name) => cluster.restart(name)],
    ["stopped, as if the network were cut", async (name) => cluster.pause(name), async (name) => cluster.resume(name)],
  ];
  for (const [index, [what, harm, mend]] of faults.entries()) {
    test(`the leader is ${what} under load: no acknowledged message is lost or doubled, and readers go on`, async () => {
      const bus = `fault${index}`;
      await using first = await open(bus);
      await using second = await open(bus);
      await using reader = await open(bus);
      await first.store.messages.append(message("load", "first", "first -1"));
      const senders = [sending(first.store, "first"), sending(second.store, "second")];
      let last = Number.POSITIVE_INFINITY;
      const acknowledged = () => senders.reduce((sum, one) => sum + one.acknowledged.size, 1);
      const read = reading(reader, () => last);
      await sleep(1_000);
      const leader = await leaderOf(reader.connection, `${bus}-messages`);
      const before = acknowledged();
      await harm(leader);
      await waitUntil(() => acknowledged() > before + 20, "sending goes on without it", 40_000);
      await mend(leader);
      await sleep(500);
      for (const sender of senders) await sender.stop();
      // Unanswered messages may be stored too, so a count doesn't tell when all are read.
      last = Math.max(...senders.flatMap((sender) => [...sender.acknowledged.keys()]));
      const seen = await read;
      assertGrowing(seen.map(({ id }) => id));
      const told = new Map(seen.map(({ id, content }) => [id, content]));
      for (const { acknowledged: sent, refused } of senders) {
        for (const [id, content] of sent) assert.equal(told.get(id), content, `${content} was acknowledged as ${id}`);
        for (const error of refused) assert.match(String(error), /gave no answer for 10 seconds/);
      }
      const contents = seen.map(({ content }) => content);
      assert.equal(new Set(contents).size, contents.length, "none is there twice");
    });
  }

  test("commands taken while a server dies are taken once, and their ends told once", async () => {
    const bus = "orders";
    await using one = await open(bus);
    await using other = await open(bus);
    for (const id of ["bac-1", "bac-2"]) await one.store.sessions.connect(newPeer(id), undefined);
    const ids = Array.from({ length: 60 }, (_, n) => `cmd-${n}`);
    await one.store.commands.add(ids.map((id) => newOrder(id, { leaseSeconds: 1_000 })));
    const work = async ({ store }: NatsBus, peer: string) => {
      const taken: string[] = [];
      for (;;) {
        const order = await store.commands.take(peer, 1_795_200_001, 5);
        if (order === undefined) return taken;
        taken.push(order.id);
        const activity = { channel: "activity", sender: peer, content: order.id };
        await store.commands.end(order.id, { status: "acked", result: peer, at: 1_795_200_002 }, { activity });
      }
    };
    const leader = await leaderOf(one.connection, `${bus}-sessions`);
    const working = Promise.all([work(one, "bac-1"), work(other, "bac-2")]);
    await sleep(100);
    await cluster.kill(leader);
    const taken = (await working).flat();
    await cluster.restart(leader);
    assert.deepEqual(taken.toSorted(), ids.toSorted());
    const told = (await one.store.messages.after("activity", 0, 1_000)).map(({ content }) => content);
    assert.deepEqual(told.toSorted(), ids.toSorted());
  });

  test("a write whose answer was lost doesn't conflict with itself", async () => {
    const bus = "answers";
    const connection = await connectNats(readAddress(`${cluster.address}/${bus}`));
    let lost = false;
    const publish: typeof connection.js.publish = async (...asked) => {
      const answer = await connection.js.publish(...asked);
      lost = !lost;
      if (lost) throw new errors.TimeoutError();
      return answer;
    };
    const js = Object.assign(Object.create(connection.js), { publish });
    const streams = createStreams({ ...connection, js }, bus, 3);
    let seq = 0;
    for (const value of ["one", "two", "three"]) {
      const put = await putRecord(streams, "bodies", streams.names.payload("snapshot"), { value }, { seq });
      assert.equal(put, seq + 1, value);
      seq = put;
    }
    await connection.close();
  });

  test("without a quorum a send fails after about ten seconds and says so; then all goes on", async () => {
    await using opened = await open("away");
    const { store } = opened;
    await store.messages.append(message("a", "herald", "before"));
    const [first = "", second = ""] = cluster.names;
    for (const name of [first, second]) await cluster.pause(name);
    const started = performance.now();
    await assert.rejects(
      store.messages.append(message("a", "herald", "meanwhile")),
      /NATS at nats:.* gave no answer for 10 seconds; what was asked may still have been done/,
    );
    assert.ok(performance.now() - started < 20_000, `after ${performance.now() - started} ms`);
    for (const name of [first, second]) await cluster.resume(name);
    await waitUntil(
      async () => (await store.messages.append(message("a", "herald", "after")).catch(() => undefined)) !== undefined,
      "it goes on",
      40_000,
    );
  });
});

suite("a cluster of NATS servers older than 2.10", needsOldCluster, () => {
  const refused =
    /the NATS cluster at .* is older than 2\.10: upgrade all its servers to 2\.10 or newer, or use a single/;

  test("is refused in a sentence", async () => {
    await using cluster = await startCluster();
    await assert.rejects(openNatsBus(cluster.address), refused);
    const { code, stderr } = await run(["channels"], { IPC_STORE: cluster.address });
    assert.equal(code, 1);
    assert.match(stderr, refused);
  });

  test("is refused behind a leaf node too", async () => {
    const leaves = await freePort();
    using folders = temporaryFolder();
    const inDomain = (name: string) => `jetstream { store_dir: "${folders.file(name)}", domain: hub }`;
    await using _cluster = await startCluster((name) =>
      name === "n1" ? `${inDomain(name)}\nleafnodes { listen: "127.0.0.1:${leaves}" }` : inDomain(name),
    );
    using folder = temporaryFolder();
    const port = await freePort();
    const remotes = `leafnodes { remotes: [ { url: "nats-leaf://127.0.0.1:${leaves}" } ] }`;
    const config = `server_name: laptop\njetstream: disabled\n${remotes}`;
    await using _leaf = await startNats(config, { port, folder: folder.path });
    await using bus = await openNatsBus(`nats://127.0.0.1:${port}/far?domain=hub&wait=30`, { replicas: 3 });
    await assert.rejects(bus.store.messages.append(message("c", "me", "x")), refused);
    await assert.rejects(bus.store.messages.lastId(), refused);
  });
});
