import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { THIS_PROCESS } from "../../src/core/access.ts";
import { type Bus, createBus } from "../../src/core/bus.ts";
import { acknowledge, follow, read, send } from "../../src/core/messages.ts";
import { type Topic, waitForEach } from "../../src/core/waiting.ts";
import { openSqlite } from "../../src/storage/sqlite/open.ts";
import { createFileBells } from "../../src/wakeup/files.ts";
import { assertSoon } from "../contracts/wakeup.ts";
import { startModule } from "../support/module.ts";
import { temporaryFolder } from "../support/program.ts";
import { noPolicy, nothingChanges } from "../support/quiet.ts";

const pong = new URL("pong.ts", import.meta.url);

const never = new AbortController().signal;

/** The bus of a file as one process has it. Nothing but a bell wakes who waits on it. */
async function busAt(path: string): Promise<Bus> {
  return createBus({
    store: await openSqlite({ path, durability: "normal" }),
    wakeup: createFileBells({ folder: `${path}-bells`, changes: nothingChanges }),
    policy: noPolicy,
    now: () => Date.now() / 1_000,
  });
}

function reading(channel: string, more: { seconds?: number; burst?: number } = {}) {
  return {
    channel,
    agent: "reader",
    limit: undefined,
    others: false,
    peek: false,
    wait: true,
    seconds: more.seconds,
    burst: more.burst ?? 0,
  };
}

async function say(bus: Bus, channel: string, content: string): Promise<number> {
  return (await send(bus, { channel, sender: "herald", content, signature: undefined }, THIS_PROCESS)).id;
}

test("what is there already is had at once, and no bell is made for it", async () => {
  using folder = temporaryFolder();
  await using bus = await busAt(folder.file("bus.db"));
  let armed = 0;
  const wakeup = {
    ...bus.wakeup,
    arm: (topic: Topic) => {
      armed++;
      return bus.wakeup.arm(topic);
    },
  };
  for await (const found of waitForEach({ wakeup }, { topic: "a", signal: never }, async () => "there")) {
    assert.equal(found, "there");
    break;
  }
  assert.equal(armed, 0);
});

test("a wait gives each thing that comes, and nothing twice", async () => {
  using folder = temporaryFolder();
  await using near = await busAt(folder.file("bus.db"));
  await using far = await busAt(folder.file("bus.db"));
  const aborting = new AbortController();
  const seen: string[] = [];
  const all = Array.from({ length: 30 }, (_, n) => `m${n}`);
  const followed = (async () => {
    const following = { channel: "a", agent: "reader", others: false, since: undefined };
    for await (const { content } of follow(near, following, aborting.signal)) {
      seen.push(content);
      if (seen.length === all.length) aborting.abort();
    }
  })();
  for (const [n, content] of all.entries()) {
    await say(n % 2 === 0 ? near : far, "a", content);
    if (n % 7 === 0) await sleep(5);
  }
  await assertSoon("the last comes", followed);
  assert.deepEqual(seen, all);
});

test("a wait whose time is up ends with nothing", async () => {
  using folder = temporaryFolder();
  await using bus = await busAt(folder.file("bus.db"));
  for (const seconds of [0, -1, 0.05]) {
    const started = performance.now();
    assert.deepEqual(await read(bus, reading("a", { seconds }), never), []);
    const took = performance.now() - started;
    assert.ok(took >= seconds * 1_000 - 2 && took < 10_000, `${took} ms`);
  }
});

test("a wait without time looks once more, and finds what came meanwhile", async () => {
  using folder = temporaryFolder();
  await using bus = await busAt(folder.file("bus.db"));
  let looks = 0;
  const look = async () => (++looks === 2 ? "came meanwhile" : undefined);
  const found = await Array.fromAsync(waitForEach(bus, { topic: "a", signal: never, seconds: 0 }, look));
  assert.deepEqual([found, looks], [["came meanwhile"], 3]);
});

test("other channels' messages don't make a wait longer than it should be", async () => {
  using folder = temporaryFolder();
  await using bus = await busAt(folder.file("bus.db"));
  const started = performance.now();
  let took: number | undefined;
  const waited = read(bus, reading("a", { seconds: 0.2 }), never).finally(() => {
    took = performance.now() - started;
  });
  while (took === undefined && performance.now() - started < 5_000) {
    await say(bus, "b", "x");
    bus.wakeup.ring("a");
    await sleep(5);
  }
  assert.ok(took !== undefined && took < 10_000, `${took} ms`);
  assert.deepEqual(await waited, []);
});

test("a wait that is given up ends at once, whether it sleeps or hasn't begun", async () => {
  using folder = temporaryFolder();
  await using bus = await busAt(folder.file("bus.db"));
  const aborting = new AbortController();
  const waited = read(bus, reading("a"), aborting.signal);
  await sleep(50);
  aborting.abort();
  await assertSoon("it ends", waited);
  assert.deepEqual(await waited, []);
  await assertSoon("it ends", read(bus, reading("a"), aborting.signal));
  await say(bus, "a", "x");
  const left = await Array.fromAsync(waitForEach(bus, { topic: "a", signal: AbortSignal.abort() }, async () => 1));
  assert.deepEqual(left, []);
});

test("a fault that a look meets is told to who waits", async () => {
  using folder = temporaryFolder();
  await using bus = await busAt(folder.file("bus.db"));
  let looks = 0;
  const look = async () => {
    if (++looks > 2) throw new Error("the disk is gone");
    return undefined;
  };
  const waited = Array.fromAsync(waitForEach(bus, { topic: "a", signal: never }, look));
  await sleep(20);
  bus.wakeup.ring("a");
  await assert.rejects(waited, /the disk is gone/);
});

test("a burst is collected behind the first message, for as long as was asked", async () => {
  using folder = temporaryFolder();
  await using near = await busAt(folder.file("bus.db"));
  await using far = await busAt(folder.file("bus.db"));
  const waited = read(near, reading("a", { burst: 0.3 }), never);
  await sleep(50);
  const started = performance.now();
  for (const content of ["one", "two", "three"]) {
    await say(far, "a", content);
    await sleep(50);
  }
  assert.deepEqual(
    (await waited).map(({ content }) => content),
    ["one", "two", "three"],
  );
  const took = performance.now() - started;
  assert.ok(took > 280 && took < 10_000, `${took} ms`);
});

test("E9 of two thousand messages between two processes, each answered at once, no wake-up is lost", async () => {
  using folder = temporaryFolder();
  const path = folder.file("bus.db");
  const rounds = 2_000;
  await using bus = await busAt(path);
  await using other = startModule(pong, [path, "ping", "pong", String(rounds)]);
  for (let round = 0; round < rounds; round++) {
    await say(bus, "ping", `round ${round}`);
    const end = performance.now() + Math.random() * 0.4;
    while (performance.now() < end);
    const [found] = await read(bus, reading("pong", { seconds: 3 }), never);
    assert.equal(found?.content, `round ${round}`, "a wake-up was lost");
    await acknowledge(bus, "pong", "reader", found.id);
  }
  assert.deepEqual(await other.ended, { code: 0, stdout: "", stderr: "" });
});
