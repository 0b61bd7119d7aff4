import assert from "node:assert/strict";
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { suite, test } from "node:test";
import { isIpcError } from "../../src/core/errors.ts";
import { migrations, openDatabase } from "../../src/storage/sqlite/database.ts";
import { drivers, openDriver } from "../../src/storage/sqlite/driver.ts";
import { openSqlite } from "../../src/storage/sqlite/open.ts";
import { run, temporaryFolder } from "../support/program.ts";
import { append } from "../support/store.ts";

const tables = new URL("../../src/storage/sqlite/tables.sql", import.meta.url);

test("the versions of the tables are numbered in order, and a new file has the last", async () => {
  const numbers = [...readFileSync(tables, "utf8").matchAll(/^-- Version (\d+): /gm)].map(([, number]) =>
    Number(number),
  );
  assert.deepEqual(
    numbers,
    migrations.map((_, index) => index + 1),
  );
  using folder = temporaryFolder();
  const driver = await openDatabase({ path: folder.file("bus.db") });
  assert.equal(driver.prepare("PRAGMA user_version").get()?.user_version, numbers.length);
  driver.close();
});

const NOBODY = 65_534;
const isRoot = process.getuid?.() === 0;

const message = { channel: "a", sender: "herald", content: "one", timestamp: 1, signature: "" };

function permissions(path: string): string {
  return (statSync(path).mode & 0o777).toString(8);
}

/** A folder that everybody may write to, as /tmp. */
function sharedFolder() {
  const folder = temporaryFolder();
  chmodSync(folder.path, 0o1777);
  return folder;
}

/** That opening is refused with a sentence about this file, by each library and by the program, with nothing of the inside. */
async function assertRefused(path: string, sentence: RegExp): Promise<void> {
  for (const driver of drivers) {
    const opening = openSqlite({ path, driver }).then((store) => store[Symbol.asyncDispose]());
    await assert.rejects(opening, (error) => {
      assert.ok(isIpcError(error), `${driver}: ${error}`);
      assert.ok(error.message.startsWith(`The database ${path}`), error.message);
      assert.match(error.message, sentence);
      return true;
    });
  }
  for (const words of [
    ["send", "a", "herald", "one"],
    ["read", "a", "herald"],
  ]) {
    const { code, stdout, stderr } = await run(words, { IPC_DB_PATH: path });
    assert.deepEqual([code, stdout], [1, ""]);
    assert.match(stderr, /^Error: The database .*\n$/);
    assert.match(stderr, sentence);
  }
}

for (const driver of drivers) {
  test(`E40 a new database and all that lies beside it are for their owner alone (${driver})`, async () => {
    using folder = temporaryFolder();
    const before = process.umask(0);
    try {
      await using store = await openSqlite({ path: folder.file("bus.db"), driver });
      await store.messages.append(message);
      for (const name of ["bus.db", "bus.db-wal", "bus.db-shm"]) assert.equal(permissions(folder.file(name)), "600");
    } finally {
      process.umask(before);
    }
  });

  test(`opening a database that is up to date doesn't wait for who writes to it (${driver})`, async () => {
    using folder = temporaryFolder();
    const path = folder.file("bus.db");
    const writer = await openDatabase({ path, driver });
    writer.exec("BEGIN IMMEDIATE");
    await using store = await openSqlite({ path, driver });
    assert.deepEqual(await store.messages.channels(), []);
    writer.exec("COMMIT");
    writer.close();
  });

  test(`opening a database that is up to date writes nothing (${driver})`, async () => {
    using folder = temporaryFolder();
    const path = folder.file("bus.db");
    await using store = await openSqlite({ path, driver });
    await store.messages.append(message);
    const observer = await openDriver(path, driver);
    const version = () => observer.prepare("PRAGMA data_version").get();
    const files = () => [path, `${path}-wal`].map((file) => readFileSync(file));
    const before = { version: version(), files: files() };
    await using other = await openSqlite({ path, driver });
    assert.deepEqual(await other.messages.channels(), [{ channel: "a", count: 1, lastMessage: 1 }]);
    assert.deepEqual({ version: version(), files: files() }, before);
    observer.close();
  });
}

suite("in a folder that others can write to", () => {
  test("a file and folder of one's own serve", async () => {
    using folder = sharedFolder();
    const path = folder.file("bus.db");
    for (let round = 0; round < 2; round++) {
      await using store = await openSqlite({ path });
      await store.messages.append(message);
    }
  });

  for (const companion of ["", "-wal", "-shm", "-journal"]) {
    test(`a symbolic link in the place of bus.db${companion} is refused, and what it points to stays as it is`, async () => {
      using folder = sharedFolder();
      using elsewhere = temporaryFolder();
      const target = elsewhere.file("precious");
      writeFileSync(target, "precious");
      symlinkSync(target, folder.file(`bus.db${companion}`));
      const opening = openSqlite({ path: folder.file("bus.db") });
      await assert.rejects(
        opening,
        /is refused: it is a symbolic link, in a folder that others can write to\. Set IPC_DB_PATH/,
      );
      assert.equal(readFileSync(target, "utf8"), "precious");
    });
  }

  test("a symbolic link that points nowhere is refused, and nothing is made there", async () => {
    using folder = sharedFolder();
    symlinkSync(folder.file("elsewhere"), folder.file("bus.db"));
    await assertRefused(folder.file("bus.db"), /it is a symbolic link/);
    assert.ok(!existsSync(folder.file("elsewhere")));
  });

  test("somebody else's file is refused, whatever its mode", {
    skip: !isRoot && "only root can give files away",
  }, async () => {
    using folder = sharedFolder();
    const path = folder.file("bus.db");
    await (await openSqlite({ path }))[Symbol.asyncDispose]();
    const before = readFileSync(path);
    chownSync(path, NOBODY, NOBODY);
    chmodSync(path, 0o666);
    await assertRefused(path, /it belongs to somebody else/);
    assert.deepEqual(readFileSync(path), before);
  });

  test("somebody else's log beside one's own file is refused", {
    skip: !isRoot && "only root can give files away",
  }, async () => {
    using folder = sharedFolder();
    writeFileSync(folder.file("bus.db-wal"), "");
    chownSync(folder.file("bus.db-wal"), NOBODY, NOBODY);
    await assertRefused(folder.file("bus.db"), /bus\.db-wal is refused: it belongs to somebody else/);
  });

  test("a folder in the file's place is refused", async () => {
    using folder = sharedFolder();
    mkdirSync(folder.file("bus.db"));
    await assertRefused(folder.file("bus.db"), /it is not a file/);
  });
});

test("in a folder of one's own a link to the database serves: who may put it there may read the file anyway", async () => {
  using folder = temporaryFolder();
  await (await openSqlite({ path: folder.file("real.db") }))[Symbol.asyncDispose]();
  symlinkSync(folder.file("real.db"), folder.file("bus.db"));
  await using store = await openSqlite({ path: folder.file("bus.db") });
  assert.equal(await append(store.messages, message), 1);
});

test("a folder that doesn't exist is said, and not made", async () => {
  using folder = temporaryFolder();
  await assertRefused(folder.file("nowhere/bus.db"), /can't be opened: .*nowhere doesn't exist/);
  assert.ok(!existsSync(folder.file("nowhere")));
});

test("a folder in the place of the database is said", async () => {
  using folder = temporaryFolder();
  mkdirSync(folder.file("bus.db"));
  await assertRefused(folder.file("bus.db"), /can't be /);
});

test("a file in the place of a folder is said", async () => {
  using folder = temporaryFolder();
  writeFileSync(folder.file("file"), "");
  await assertRefused(folder.file("file/bus.db"), /can't be /);
});

test("a file that is no database is said, and stays as it is", async () => {
  using folder = temporaryFolder();
  const text = "Dear diary,\n".repeat(1_000);
  writeFileSync(folder.file("bus.db"), text);
  await assertRefused(folder.file("bus.db"), /is not an SQLite database/);
  assert.equal(readFileSync(folder.file("bus.db"), "utf8"), text);
});

test("another program's database is said, and stays as it is", async () => {
  using folder = temporaryFolder();
  const path = folder.file("bus.db");
  const other = await openDriver(path);
  other.exec("CREATE TABLE messages (id INTEGER PRIMARY KEY, mailbox TEXT, body TEXT)");
  other.exec("INSERT INTO messages VALUES (1, 'in', 'hi')");
  other.close();
  await assertRefused(path, /holds tables of another program; set IPC_DB_PATH/);
  const again = await openDriver(path);
  const { tables } = Object(again.prepare("SELECT group_concat(name) AS tables FROM sqlite_schema").get());
  const { body } = Object(again.prepare("SELECT body FROM messages").get());
  assert.deepEqual([tables, body], ["messages", "hi"]);
  again.close();
});

test("a database of a newer el-ipc is said, and stays as it is", async () => {
  using folder = temporaryFolder();
  const path = folder.file("bus.db");
  const newer = await openDatabase({ path });
  newer.exec("PRAGMA user_version = 1000");
  newer.close();
  const before = readFileSync(path);
  await assertRefused(path, /was made by a newer el-ipc; update this one to use it/);
  assert.deepEqual(readFileSync(path), before);
});

for (const driver of drivers) {
  test(`a damaged database is said, by whatever meets the damage, and nothing of it is lost (${driver})`, async () => {
    using folder = temporaryFolder();
    const path = folder.file("bus.db");
    {
      await using store = await openSqlite({ path, driver });
      await Promise.all(
        Array.from({ length: 300 }, (_, n) => store.messages.append({ ...message, content: `${n} `.repeat(200) })),
      );
    }
    copyFileSync(path, folder.file("whole.db"));
    const bytes = readFileSync(path);
    // All but the first pages, which hold the schema.
    bytes.fill(0xa5, 4096 * 50);
    writeFileSync(path, bytes);
    await using store = await openSqlite({ path, driver });
    const damaged = (error: unknown) => {
      assert.ok(isIpcError(error), String(error));
      assert.match(
        error.message,
        /^The database .* is damaged: stop what has it open, move it away together with its -wal and -shm, and put a backup in its place/,
      );
      return true;
    };
    await assert.rejects(store.messages.unread("a", "reader", { limit: 1_000, others: false }), damaged);
    const [first, second] = await Promise.allSettled([store.messages.append(message), store.messages.append(message)]);
    assert.ok(first.status === "rejected" && second.status === "rejected");
    damaged(first.reason);
    const { code, stdout, stderr } = await run(["read", "a", "reader"], { IPC_DB_PATH: path });
    assert.deepEqual([code, stdout], [1, ""]);
    assert.match(stderr, /^Error: The database .* is damaged: .*\n$/);
    assert.deepEqual(readFileSync(path).subarray(4096), bytes.subarray(4096));
  });

  test(`a database that its user may only read is said, and what it holds can be (${driver})`, async () => {
    using folder = temporaryFolder();
    const path = folder.file("bus.db");
    const writer = await openSqlite({ path, driver });
    await writer.messages.append(message);
    chmodSync(path, 0o444);
    for (const companion of ["-wal", "-shm"]) chmodSync(path + companion, 0o644);
    chmodSync(folder.path, 0o755);
    // The file's mode says nothing to root.
    if (isRoot) process.seteuid?.(NOBODY);
    try {
      await using store = await openSqlite({ path, driver });
      await assert.rejects(store.messages.append(message), (error) => {
        assert.ok(isIpcError(error), String(error));
        assert.match(error.message, /^The database .* can't be written: see whether this user may write to/);
        return true;
      });
      assert.equal(await store.messages.pending("a", "reader"), 1);
    } finally {
      if (isRoot) process.seteuid?.(0);
      await writer[Symbol.asyncDispose]();
    }
  });
}
