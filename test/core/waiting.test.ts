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
import { startModule, temporaryFolder } from "../support/program.ts";
import { amount } from "../support/soak.ts";
import { noPolicy, nothingChanges } from "../support/store.ts";

const pong = new URL("answering-process.ts", import.meta.url);
const ROUNDS = amount(400, 2_000);

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

test("a wait finds what is there at once, without a bell", async () => {
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

test("a wait yields each new thing once", async () => {
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

test("a wait of no time looks once more, and finds what just came", async () => {
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

test("an aborted wait ends at once, asleep or not yet begun", async () => {
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

test("an error while looking reaches the waiter", async () => {
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

test("a burst is collected after the first message, for the time asked", async () => {
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

test(`E9 no wake-up is lost while two processes answer each other ${ROUNDS} times`, async () => {
  using folder = temporaryFolder();
  const path = folder.file("bus.db");
  await using bus = await busAt(path);
  await using other = startModule(pong, [path, "ping", "pong", String(ROUNDS)]);
  for (let round = 0; round < ROUNDS; round++) {
    await say(bus, "ping", `round ${round}`);
    const end = performance.now() + Math.random() * 0.4;
    while (performance.now() < end);
    const [found] = await read(bus, reading("pong", { seconds: 30 }), never);
    assert.equal(found?.content, `round ${round}`, "a wake-up was lost");
    await acknowledge(bus, "pong", "reader", found.id);
  }
  assert.deepEqual(await other.ended, { code: 0, stdout: "", stderr: "" });
});
