import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { isIpcError } from "../../src/core/errors.ts";
import type { NewMessage } from "../../src/core/store.ts";
import { readEnvironment } from "../../src/environment.ts";
import { type Connection, connect, createChanges } from "../../src/storage/sqlite/connection.ts";
import { openDatabase } from "../../src/storage/sqlite/database.ts";
import { type Driver, drivers } from "../../src/storage/sqlite/driver.ts";
import { createMessageStore } from "../../src/storage/sqlite/messages.ts";
import { openSqlite } from "../../src/storage/sqlite/open.ts";
import { textOf } from "../../src/storage/sqlite/rows.ts";
import { run, startModule, temporaryFolder } from "../support/program.ts";
import { append } from "../support/store.ts";

const holder = new URL("lock-process.ts", import.meta.url);
const opener = new URL("sender-process.ts", import.meta.url);

function message(content: string, channel = "a"): NewMessage {
  return { channel, sender: "herald", content, timestamp: 1, signature: "" };
}

/** SQLite makes NULL of it, which the table refuses. */
const refusedMessage: NewMessage = { ...message("refused"), timestamp: Number.NaN };

function firstValue(driver: Driver, sql: string): unknown {
  return Object.values(driver.prepare(sql).get() ?? {})[0];
}

for (const library of drivers) {
  suite(`writing with ${library}`, () => {
    test("of writes that share a commit a refused one undoes itself alone", async () => {
      using folder = temporaryFolder();
      await using store = await openSqlite({ path: folder.file("bus.db"), driver: library });
      const sent = await Promise.allSettled(
        [message("one"), refusedMessage, message("two"), refusedMessage, message("three")].map((one) =>
          append(store.messages, one),
        ),
      );
      assert.deepEqual(
        sent.map(({ status }) => status),
        ["fulfilled", "rejected", "fulfilled", "rejected", "fulfilled"],
      );
      const found = await store.messages.after("a", 0, 10);
      assert.deepEqual(
        found.map(({ id, content }) => [id, content]),
        [
          [1, "one"],
          [2, "two"],
          [3, "three"],
        ],
      );
      assert.equal((await store.messages.channels())[0]?.count, 3);
    });

    test("a refused write alone leaves nothing behind, and the next one succeeds", async () => {
      using folder = temporaryFolder();
      await using store = await openSqlite({ path: folder.file("bus.db"), driver: library });
      await assert.rejects(store.messages.append(refusedMessage), /NOT NULL/);
      assert.deepEqual(await store.messages.channels(), []);
      assert.equal(await append(store.messages, message("one")), 1);
    });

    test("writes that share a commit see each other's", async () => {
      using folder = temporaryFolder();
      await using store = await openSqlite({ path: folder.file("bus.db"), driver: library });
      const [id, at] = await Promise.all([
        append(store.messages, message("one")),
        store.messages.advance("a", "reader", 1),
      ]);
      assert.deepEqual([id, at], [1, 1]);
    });

    test("a disk that is full is said to everybody, what was answered is there, and it goes on once there is room", async () => {
      using folder = temporaryFolder();
      const driver = await openDatabase({ path: folder.file("bus.db"), driver: library });
      const pages = Number(firstValue(driver, "PRAGMA page_count"));
      driver.exec(`PRAGMA max_page_count = ${pages + 8}`);
      const connection = connect(driver, folder.file("bus.db"));
      const messages = createMessageStore(connection);
      const isFull = (error: unknown) => {
        assert.ok(isIpcError(error), String(error));
        assert.match(error.message, /^The database .* can't grow: the disk is full\. Make room on it and try again; /);
      };
      const answered: number[] = [];
      const fill = async () => {
        const sent = await Promise.allSettled(
          Array.from({ length: 3 }, () => append(messages, message("x".repeat(3_000)))),
        );
        for (const one of sent) {
          if (one.status === "fulfilled") answered.push(one.value);
          else isFull(one.reason);
        }
        return sent.some(({ status }) => status === "rejected");
      };
      while (!(await fill())) assert.ok(answered.length < 100, "it never fills up");
      await assert.rejects(messages.append(message("x".repeat(30_000))), (error) => {
        isFull(error);
        return true;
      });
      driver.exec("PRAGMA max_page_count = 10000");
      answered.push(await append(messages, message("at last")));
      assert.deepEqual(
        (await messages.after("a", 0, 1_000)).map(({ id }) => id),
        answered,
      );
      assert.equal(firstValue(driver, "PRAGMA integrity_check"), "ok");
      await connection.close();
    });

    test("a failure that ends the whole commit is told to everybody in it by its own name, and the next one succeeds", async () => {
      using folder = temporaryFolder();
      const driver = await openDatabase({ path: folder.file("bus.db"), driver: library });
      driver.exec(`CREATE TRIGGER ending BEFORE INSERT ON messages WHEN NEW.content = 'poison'
        BEGIN SELECT RAISE(ROLLBACK, 'poisoned'); END`);
      const connection = connect(driver, folder.file("bus.db"));
      const messages = createMessageStore(connection);
      const sent = await Promise.allSettled(
        [message("one"), message("poison"), message("two")].map((one) => append(messages, one)),
      );
      for (const one of sent) assert.match(one.status === "rejected" ? String(one.reason) : "it succeeded", /poisoned/);
      assert.deepEqual(await messages.channels(), []);
      assert.ok((await append(messages, message("three"))) > 0);
      assert.deepEqual((await messages.channels())[0]?.count, 1);
      await connection.close();
    });

    test("a commit between any two of its statements never hides a changed channel", async () => {
      using folder = temporaryFolder();
      const path = folder.file("bus.db");
      const other = createMessageStore(connect(await openDatabase({ path, driver: library }), path));
      const writer = await openDatabase({ path, driver: library });
      const connection = connect(await openDatabase({ path, driver: library }), path);
      let countdown = Number.POSITIVE_INFINITY;
      const disturbed: Connection = {
        ...connection,
        statement(sql) {
          if (countdown-- === 0) {
            writer.exec(
              "INSERT INTO messages (channel, sender, content, created_at) VALUES ('theirs', 'they', 'x', 1)",
            );
          }
          return connection.statement(sql);
        },
      };
      for (const before of ["nothing", "a commit"]) {
        for (let position = 0; position < 5; position++) {
          const changed = createChanges(disturbed);
          await changed();
          if (before === "a commit") await other.append(message("x", "earlier"));
          countdown = position;
          const told = new Set((await changed())?.channels);
          const cameLater = countdown >= 0;
          for (let look = 0; look < 2; look++)
            for (const channel of (await changed())?.channels ?? []) told.add(channel);
          assert.ok(cameLater || told.has("theirs"), `${before} before, a commit at statement ${position}`);
          assert.equal(told.has("earlier"), before === "a commit");
          countdown = Number.POSITIVE_INFINITY;
        }
      }
      writer.close();
      await connection.close();
    });

    test("a send waits while another process holds the file, and everything else goes on meanwhile", async () => {
      using folder = temporaryFolder();
      const path = folder.file("bus.db");
      await using store = await openSqlite({ path, driver: library });
      await store.messages.append(message("before"));
      const driver = await openDatabase({ path, driver: library });
      assert.equal(firstValue(driver, "PRAGMA busy_timeout"), 0, "SQLite doesn't hold the event loop while it waits");
      driver.close();
      await using other = startModule(holder, [path], {}, { input: null });
      await other.untilLogged("holding");
      const sending = append(store.messages, message("after"));
      // A turn that took a sixth of a second would let the send come to the end of its patience before it is done.
      for (let turns = 0; turns < 60; turns++) {
        assert.equal(await store.messages.pending("a", "reader"), 1);
        assert.equal(await Promise.race([sending, sleep(10, "it waits")]), "it waits");
      }
      other.child.stdin.end();
      assert.equal(await sending, 3);
      await other.ended;
      assert.deepEqual(
        (await store.messages.after("a", 0, 10)).map(({ content }) => content),
        ["before", "held", "after"],
      );
    });
  });
}

test("the command line's send waits while another process holds the file", async () => {
  using folder = temporaryFolder();
  const path = folder.file("bus.db");
  await using other = startModule(holder, [path], {}, { input: null });
  await other.untilLogged("holding");
  const sending = run(["send", "a", "herald", "after"], { IPC_DB_PATH: path });
  assert.equal(await Promise.race([sending, sleep(800, "it waits")]), "it waits");
  other.child.stdin.end();
  const { code, stdout, stderr } = await sending;
  assert.deepEqual([code, JSON.parse(stdout).id, stderr], [0, 2, ""]);
});

test("six processes that make one new file at once all succeed", async () => {
  for (let round = 0; round < 3; round++) {
    using folder = temporaryFolder();
    const path = folder.file("bus.db");
    const moment = String(Date.now() + 600);
    const results = await Promise.all(
      Array.from({ length: 6 }, (_, n) => startModule(opener, [path, drivers[n % 2] ?? "", moment]).ended),
    );
    for (const { code, stderr } of results) assert.deepEqual([code, stderr], [0, ""]);
    const ids = results.map(({ stdout }) => Number(stdout)).toSorted();
    assert.deepEqual(ids, [1, 2, 3, 4, 5, 6]);
    const driver = await openDatabase({ path });
    assert.equal(firstValue(driver, "PRAGMA integrity_check"), "ok");
    driver.close();
  }
});

for (const library of drivers) {
  test(`what was answered survives a power cut, unless IPC_DURABILITY is normal (${library})`, async () => {
    using folder = temporaryFolder();
    const [normal, full] = [1, 2];
    for (const [said, synchronous] of [
      [undefined, full],
      ["", full],
      ["full", full],
      ["normal", normal],
    ] as const) {
      const { durability } = readEnvironment(said === undefined ? {} : { IPC_DURABILITY: said });
      const driver = await openDatabase({ path: folder.file("bus.db"), durability, driver: library });
      assert.equal(firstValue(driver, "PRAGMA synchronous"), synchronous, `IPC_DURABILITY=${said}`);
      assert.equal(firstValue(driver, "PRAGMA journal_mode"), "wal");
      driver.close();
    }
    const driver = await openDatabase({ path: folder.file("bus.db"), driver: library });
    assert.equal(firstValue(driver, "PRAGMA synchronous"), full, "where nobody says anything");
    driver.close();
  });
}

test("a durability that doesn't exist is refused", async () => {
  using folder = temporaryFolder();
  const { code, stdout, stderr } = await run(["send", "a", "herald", "x"], {
    IPC_DB_PATH: folder.file("bus.db"),
    IPC_DURABILITY: "none",
  });
  assert.deepEqual([code, stdout, stderr], [1, "", 'Error: IPC_DURABILITY must be full or normal, not "none"\n']);
});

test("a column that another program filled with something else is read as what it should be", async () => {
  using folder = temporaryFolder();
  for (const library of drivers) {
    const path = folder.file(`${library.replace(":", "-")}.db`);
    const driver = await openDatabase({ path, driver: library });
    driver.exec(
      "INSERT INTO messages (channel, sender, content, created_at, signature) VALUES ('a', 7, 1.5, 'soon', NULL)",
    );
    await using store = await openSqlite({ path, driver: library });
    driver.exec(
      "INSERT INTO messages (channel, sender, content, created_at) VALUES ('a', 'x', CAST('ünïcode' AS BLOB), 2)",
    );
    const [found, bytes] = await store.messages.after("a", 0, 2);
    assert.equal(bytes?.content, "ünïcode");
    assert.deepEqual(found, {
      id: 1,
      channel: "a",
      sender: "7",
      content: "1.5",
      timestamp: 0,
      signature: "",
      attested: false,
    });
    assert.equal(textOf({ absent: undefined }, "absent"), "");
    driver.close();
  }
});
