import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { waitForEach } from "../../src/core/waiting.ts";
import { openSqlite } from "../../src/storage/sqlite/open.ts";
import { createFileBells } from "../../src/wakeup/files.ts";
import { startModule, temporaryFolder } from "../support/program.ts";
import { amount } from "../support/soak.ts";
import { nothingChanges } from "../support/store.ts";

/** In turns, so that each has its time on a busy machine. */
const TURNS = amount(1, 4);
const RACES = amount(5_000, 25_000);
const AT_ONCE = 250;

/** Much longer than a busy machine takes, and nothing else ends a wait: no clock looks after lost wake-ups here. */
const LOST_MS = 20_000;

suite("a send that races the arming of a wait", () => {
  for (let turn = 1; turn <= TURNS; turn++) {
    test(`no wake-up is lost in ${RACES} races between two processes (${turn} of ${TURNS})`, async (t) => {
      using folder = temporaryFolder();
      const path = folder.file("bus.db");
      await using store = await openSqlite({ path, durability: "normal" });
      await using wakeup = createFileBells({ folder: `${path}-bells`, changes: nothingChanges });
      await using sender = startModule(
        new URL("sender-process.ts", import.meta.url),
        [path, String(AT_ONCE)],
        {},
        { input: null },
      );
      await sender.untilLogged("ready");
      const places = Array.from({ length: AT_ONCE }, () => 0);
      const found = { "before the bell": 0, "while arming": 0, "by the bell": 0 };
      const { signal } = new AbortController();

      const race = async (channel: number): Promise<void> => {
        let looks = 0;
        const look = async () => {
          looks++;
          return (await store.messages.after(`c${channel}`, places[channel] ?? 0, 1))[0];
        };
        const wait = { topic: `c${channel}`, signal, seconds: LOST_MS / 1_000 };
        for await (const { id } of waitForEach({ wakeup }, wait, look)) {
          places[channel] = id;
          found[looks === 1 ? "before the bell" : looks === 2 ? "while arming" : "by the bell"]++;
          return;
        }
        assert.fail(`a wake-up of c${channel} was lost, after ${looks} looks`);
      };

      for (let round = 0; round < RACES / AT_ONCE; round++) {
        sender.child.stdin.write(`${round}\n`);
        await Promise.all(places.map((_, channel) => race(channel)));
      }
      sender.child.stdin.end();
      assert.deepEqual(await sender.ended, { code: 0, stdout: "", stderr: "ready\n" });
      t.diagnostic(JSON.stringify(found));
      for (const [when, count] of Object.entries(found)) assert.ok(count > RACES / 1_000, `${when}: only ${count}`);
    });
  }

  test("one message wakes the waiters of its channel, and no others", async () => {
    using folder = temporaryFolder();
    const path = folder.file("bus.db");
    await using store = await openSqlite({ path });
    await using other = await openSqlite({ path });
    await using wakeup = createFileBells({ folder: `${path}-bells`, changes: store.changes });
    await using far = createFileBells({ folder: `${path}-bells`, changes: other.changes });
    const aborting = new AbortController();
    const looks = Array.from({ length: 200 }, () => 0);
    const got = Array.from({ length: 200 }, () => 0);
    const waiters = looks.map(async (_, n) => {
      let place = 0;
      // Ten wait for one channel, and each of the others for one of its own.
      const topic = n < 10 ? "room" : `other ${n}`;
      const look = async () => {
        looks[n] = (looks[n] ?? 0) + 1;
        return (await store.messages.after(topic, place, 1))[0];
      };
      for await (const { id } of waitForEach({ wakeup }, { topic, signal: aborting.signal }, look)) {
        place = id;
        got[n] = (got[n] ?? 0) + 1;
      }
    });
    await new Promise((resolve) => setTimeout(resolve, 700));
    const before = [...looks];
    const say = async (ring: boolean) => {
      await other.messages.append({ channel: "room", sender: "a", content: "x", timestamp: 1, signature: "" });
      if (ring) far.ring("room");
      await new Promise((resolve) => setTimeout(resolve, 700));
    };
    for (const ring of [true, true, false]) await say(ring);
    aborting.abort();
    await Promise.all(waiters);
    assert.deepEqual(got, [...Array.from({ length: 10 }, () => 3), ...Array.from({ length: 190 }, () => 0)]);
    assert.deepEqual(looks.slice(10), before.slice(10), "those who wait for something else slept on");
  });
});
