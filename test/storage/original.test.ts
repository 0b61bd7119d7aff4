import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { createKeyPair } from "../../src/core/keys.ts";
import { waitFor } from "../../src/core/waiting.ts";
import { drivers, openDriver } from "../../src/storage/sqlite/driver.ts";
import { openSqlite } from "../../src/storage/sqlite/open.ts";
import { createFileBells } from "../../src/wakeup/files.ts";
import { countHalfSeconds } from "../support/clock.ts";
import { type Original, original } from "../support/original.ts";
import { run, temporaryFolder } from "../support/program.ts";
import { append } from "../support/store.ts";

const all = { limit: 1_000, others: false };
const chief = { name: "chief", publicKey: createKeyPair().publicKey, role: "operator", registeredBy: null } as const;
const herald = { name: "herald", publicKey: createKeyPair().publicKey, role: "agent", registeredBy: "chief" } as const;

/** A file as the original leaves it after a while: two channels, a reader half way, an operator and an agent. */
async function usedFile(path: string): Promise<Original> {
  const python = original(path);
  await python.send("builds", "herald", "one", 1_700_000_001.5, "c2ln");
  await python.send("builds", "mia", "two", 1_700_000_002.5);
  assert.deepEqual(await python.read("builds", "reader"), ["one", "two"]);
  await python.send("chat", "mia", "ünïcode 🦜", 1_700_000_003.5);
  await python.send("builds", "herald", "three", 1_700_000_004.5);
  await python.register({ ...chief, createdAt: 1_700_000_000 });
  await python.register({ ...herald, createdAt: 1_700_000_000.5 });
  return python;
}

for (const driver of drivers) {
  suite(`a file that the Python original made, opened with ${driver}`, () => {
    test("has all its messages, watermarks and agents, and the right counts", async () => {
      using folder = temporaryFolder();
      await using _ = await usedFile(folder.file("bus.db"));
      await using store = await openSqlite({ path: folder.file("bus.db"), driver });
      const one = {
        channel: "builds",
        sender: "herald",
        content: "one",
        timestamp: 1_700_000_001.5,
        signature: "c2ln",
      };
      const two = { channel: "builds", sender: "mia", content: "two", timestamp: 1_700_000_002.5, signature: "" };
      const three = { ...one, content: "three", timestamp: 1_700_000_004.5, signature: "" };
      assert.deepEqual(await store.messages.after("builds", 0, 10), [
        { id: 1, ...one, attested: false },
        { id: 2, ...two, attested: false },
        { id: 4, ...three, attested: false },
      ]);
      assert.deepEqual(
        (await store.messages.after("chat", 0, 10)).map(({ content }) => content),
        ["ünïcode 🦜"],
      );
      assert.equal(await store.messages.watermark("builds", "reader"), 2);
      assert.equal(await store.messages.pending("builds", "reader"), 1);
      assert.deepEqual(await store.messages.unread("builds", "reader", all), [{ id: 4, ...three, attested: false }]);
      assert.deepEqual(await store.messages.channels(), [
        { channel: "builds", count: 3, lastMessage: 1_700_000_004.5 },
        { channel: "chat", count: 1, lastMessage: 1_700_000_003.5 },
      ]);
      assert.deepEqual(await store.agents.list(), [
        { ...chief, identity: "", createdAt: 1_700_000_000, v2Only: false },
        { ...herald, identity: "", createdAt: 1_700_000_000.5, v2Only: false },
      ]);
      assert.equal((await store.agents.firstOperator())?.name, "chief");
    });

    test("of before there were signatures has all its messages and watermarks, and serves both", async () => {
      using folder = temporaryFolder();
      await using python = original(folder.file("bus.db"), "oldest");
      await python.send("builds", "herald", "one", 1);
      await python.read("builds", "reader");
      await python.send("builds", "herald", "two", 2);
      await using store = await openSqlite({ path: folder.file("bus.db"), driver });
      await store.messages.append({
        channel: "builds",
        sender: "mia",
        content: "three",
        timestamp: 3,
        signature: "c2ln",
      });
      await python.send("builds", "herald", "four", 4);
      assert.deepEqual(
        (await store.messages.unread("builds", "reader", all)).map(({ content, signature }) => [content, signature]),
        [
          ["two", ""],
          ["three", "c2ln"],
          ["four", ""],
        ],
      );
      assert.deepEqual(await python.read("builds", "reader"), ["two", "three", "four"]);
      assert.deepEqual(await store.messages.channels(), [{ channel: "builds", count: 4, lastMessage: 4 }]);
    });

    test("goes on being used by both at the same time", async () => {
      using folder = temporaryFolder();
      await using python = await usedFile(folder.file("bus.db"));
      await using store = await openSqlite({ path: folder.file("bus.db"), driver });
      const ids: number[] = [];
      for (let n = 0; n < 5; n++) {
        ids.push(await python.send("builds", "herald", `theirs ${n}`, 1_800_000_000 + n));
        const ours = {
          channel: "builds",
          sender: "mia",
          content: `ours ${n}`,
          timestamp: 1_800_000_000 + n,
          signature: "",
        };
        ids.push(await append(store.messages, ours));
      }
      assert.deepEqual(ids, [5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
      const written = [
        "theirs 0",
        "ours 0",
        "theirs 1",
        "ours 1",
        "theirs 2",
        "ours 2",
        "theirs 3",
        "ours 3",
        "theirs 4",
        "ours 4",
      ];
      assert.deepEqual(await python.read("builds", "reader"), ["three", ...written]);
      assert.equal(await store.messages.watermark("builds", "reader"), 14);
      assert.equal(await store.messages.pending("builds", "reader"), 0);
      await store.messages.advance("builds", "mia", 13);
      assert.deepEqual(await python.read("builds", "mia"), ["ours 4"]);
      assert.deepEqual((await store.messages.channels())[0], {
        channel: "builds",
        count: 13,
        lastMessage: 1_800_000_004,
      });
    });

    test("loses no operator to it, however often it registers the name: secure mode stays", async () => {
      using folder = temporaryFolder();
      await using python = await usedFile(folder.file("bus.db"));
      await using store = await openSqlite({ path: folder.file("bus.db"), driver });
      const before = await store.agents.find("chief");
      await assert.rejects(
        python.register({ ...herald, name: "chief", publicKey: "stolen", createdAt: 9 }),
        /an operator cannot be replaced/,
      );
      await assert.rejects(
        python.register({ ...chief, publicKey: "stolen", createdAt: 9 }),
        /an operator cannot be replaced/,
      );
      assert.deepEqual(await store.agents.find("chief"), before);
      assert.deepEqual(await store.agents.firstOperator(), before);
      await python.register({ ...herald, publicKey: "renewed", createdAt: 9 });
      await python.register({ ...chief, name: "second", createdAt: 10 });
      assert.equal((await store.agents.find("herald"))?.publicKey, "renewed");
      assert.deepEqual(await python.agents(), ["herald: agent", "second: operator", "chief: operator"]);
      assert.equal((await store.agents.firstOperator())?.name, "chief");
    });

    test("wakes who waits for a message, though it rings no bell", async () => {
      using folder = temporaryFolder();
      const path = folder.file("bus.db");
      await using python = await usedFile(path);
      await using store = await openSqlite({ path, driver });
      await using wakeup = createFileBells({ folder: `${path}-bells`, changes: store.changes });
      const look = async () => {
        const [found] = await store.messages.unread("quiet", "reader", all);
        return found?.content;
      };
      const found = waitFor({ wakeup }, { topic: "quiet", signal: new AbortController().signal }, look);
      await new Promise((resolve) => setTimeout(resolve, 700));
      await python.send("quiet", "herald", "psst", 5);
      assert.ok((await countHalfSeconds(found)) <= 2);
      assert.equal(await found, "psst");
    });
  });
}

test("a message of the original's is read by the command line, and the other way round", async () => {
  using folder = temporaryFolder();
  const path = folder.file("bus.db");
  await using python = original(path);
  await python.send("builds", "herald", "theirs", 1_700_000_001.5);
  const read = await run(["read", "builds", "reader"], { IPC_DB_PATH: path });
  assert.deepEqual(JSON.parse(read.stdout), [
    { id: 1, sender: "herald", content: "theirs", timestamp: 1_700_000_001.5 },
  ]);
  await run(["send", "builds", "mia", "ours"], { IPC_DB_PATH: path });
  assert.deepEqual(await python.read("builds", "reader"), ["ours"]);
});

test("no id is ever used twice, not even of messages that somebody deleted", async () => {
  using folder = temporaryFolder();
  const path = folder.file("bus.db");
  await using store = await openSqlite({ path });
  const message = { channel: "a", sender: "herald", content: "x", timestamp: 1, signature: "" };
  for (let n = 0; n < 3; n++) await store.messages.append(message);
  await store.messages.append({ ...message, channel: "b" });
  await store.messages.advance("a", "reader", 4);
  const byHand = await openDriver(path);
  byHand.exec("DELETE FROM messages WHERE channel = 'b' OR id = 1");
  assert.deepEqual(await store.messages.channels(), [{ channel: "a", count: 2, lastMessage: 1 }]);
  byHand.exec("DELETE FROM messages");
  byHand.close();
  assert.deepEqual(await store.messages.channels(), []);
  assert.equal(await append(store.messages, message), 5);
  assert.deepEqual(
    (await store.messages.unread("a", "reader", all)).map(({ id }) => id),
    [5],
  );
  assert.equal(await store.messages.advance("a", "other", 99), 5);
});
