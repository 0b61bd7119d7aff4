import assert from "node:assert/strict";
import {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { suite, type TestContext, test } from "node:test";
import { aboutTheFile, contentsOf, messagesOf, type TemporaryBus, temporaryBus } from "../support/bus.ts";
import { type Disk, smallDisk } from "../support/disk.ts";
import { ask } from "../support/http.ts";
import { type Result, run, startServer } from "../support/program.ts";

const NO_ROOM =
  /^Error: The database \S+ can't (grow: the disk is full|be read or written: its disk is full or failing)\. Make room on it and try again; what was acknowledged is there\n$/;

interface SmallBus extends Disposable {
  readonly disk: Disk;
  readonly path: string;
  run(...words: string[]): Promise<Result>;
}

/** A bus on a disk of 2 MiB; skips the test where there can be none. */
function onSmallDisk(t: TestContext): SmallBus | undefined {
  const disk = smallDisk(2);
  const path = join(disk.path ?? "", "bus.db");
  if (disk.path !== undefined)
    return { disk, path, run: (...words) => run(words, { IPC_DB_PATH: path }), [Symbol.dispose]: disk[Symbol.dispose] };
  disk[Symbol.dispose]();
  t.skip(disk.why);
  return undefined;
}

/** Fills the disk but for so many bytes. */
function fill({ path }: Disk, left = 0): void {
  const file = join(path ?? "", "filler");
  for (const size of [64 * 1024, 4096, 512]) {
    for (let full = false; !full; ) {
      try {
        writeFileSync(file, Buffer.alloc(size), { flag: "a" });
      } catch {
        full = true;
      }
    }
  }
  if (left > 0) writeFileSync(file, readFileSync(file).subarray(left));
}

const empty = ({ path }: Disk) => rmSync(join(path ?? "", "filler"));

suite("a disk that is full", { concurrency: 3, ...aboutTheFile }, () => {
  test("fails sends with a sentence, keeps what was acknowledged, and goes on once there is room", async (t) => {
    using bus = onSmallDisk(t);
    if (bus === undefined) return;
    await using server = await startServer({ IPC_DB_PATH: bus.path });
    const post = (content: string) =>
      ask(server.url, "POST /send", { body: { channel: "room", sender: "a", content } });
    const acknowledged: number[] = [];
    const keep = (json: unknown) => acknowledged.push(Object(json).id);
    keep((await post("first")).json);
    keep(JSON.parse((await bus.run("send", "room", "a", "second")).stdout));
    fill(bus.disk);
    for (let refused = 0; refused < 5; ) {
      const { status, json } = await post("x".repeat(20_000));
      if (status === 200) keep(json);
      else {
        assert.equal(status, 500);
        assert.match(`Error: ${Object(json).error}\n`, NO_ROOM);
        refused++;
      }
      const sent = await bus.run("send", "room", "a", "x".repeat(20_000));
      if (sent.code === 0) keep(JSON.parse(sent.stdout));
      else {
        assert.deepEqual([sent.code, sent.stdout], [1, ""]);
        assert.match(sent.stderr, NO_ROOM);
      }
    }
    // Operations that change the database report the failure; those that only read it go on.
    for (const words of [
      ["prune", "--keep", "1"],
      ["post", "me", "x".repeat(20_000), "--from", "a"],
      ["connect", "x".repeat(90)],
    ]) {
      const { code, stderr } = await bus.run(...words);
      if (code !== 0) assert.match(stderr, NO_ROOM, words[0]);
    }
    assert.equal((await ask(server.url, "GET /health")).status, 200);
    assert.deepEqual(
      messagesOf(JSON.parse((await bus.run("read", "room", "watcher", "--peek")).stdout)).map(({ id }) => id),
      acknowledged,
    );
    empty(bus.disk);
    keep((await post("after")).json);
    keep(JSON.parse((await bus.run("send", "room", "a", "at last")).stdout));
    const read = (await ask(server.url, "GET /messages?channel=room&agent=reader")).json;
    assert.deepEqual(
      messagesOf(read).map(({ id }) => id),
      acknowledged,
    );
    assert.deepEqual((await bus.run("read", "room", "reader")).stdout, "[]\n");
    assert.match((await bus.run("prune", "--keep", "1")).stdout, /^Removed \d+ messages/);
    assert.equal(messagesOf(JSON.parse((await bus.run("read", "room", "late")).stdout)).length, 1);
    assert.doesNotMatch((await ask(server.url, "GET /metrics")).text, /status="500"[^\n]* 0$/m);
  });

  test("is reported by whatever opens the database on it, however little room is left", async (t) => {
    using bus = onSmallDisk(t);
    if (bus === undefined) return;
    await bus.run("send", "room", "a", "kept");
    assert.deepEqual(readdirSync(bus.disk.path ?? ""), ["bus.db"]);
    for (const left of [0, 4096, 16_384, 24_576, 32_768]) {
      fill(bus.disk, left);
      for (const words of [
        ["send", "room", "a", "x"],
        ["read", "room", "b"],
        ["channels"],
        ["health"],
        ["read", "room", "b", "--wait", "--timeout", "0.2"],
      ]) {
        const { code, stdout, stderr } = await bus.run(...words);
        if (code === 0 && left > 4096) continue;
        assert.equal(code, 1, `${words} with ${left}`);
        // Where there is room to read but not to note it, the reader has it, and gets it again.
        if (left <= 4096) assert.equal(stdout, "");
        assert.match(stderr, NO_ROOM, `${words} with ${left}`);
      }
      empty(bus.disk);
    }
    assert.equal(contentsOf(JSON.parse((await bus.run("read", "room", "late")).stdout))[0], "kept");
  });

  test("keeps a reset from removing anything, says so, and leaves no half of a backup", async (t) => {
    using bus = onSmallDisk(t);
    if (bus === undefined) return;
    await using server = await startServer({ IPC_DB_PATH: bus.path });
    for (let n = 0; n < 8; n++) await bus.run("send", "room", "a", "x".repeat(50_000));
    fill(bus.disk, 200_000);
    const sentence =
      /The backup \S+ can't be made, so nothing was removed: .*\. Make room on its disk, and see whether this user may write to its folder; prune needs no backup/;
    const { code, stdout, stderr } = await bus.run("reset");
    assert.deepEqual([code, stdout], [1, ""]);
    assert.match(stderr, sentence);
    const far = await ask(server.url, "POST /reset", { body: {} });
    assert.equal(far.status, 500);
    assert.match(Object(far.json).error, sentence);
    assert.ok(!readdirSync(bus.disk.path ?? "").some((name) => name.includes("backup")));
    assert.equal(messagesOf(JSON.parse((await bus.run("read", "room", "b", "--peek")).stdout)).length, 8);
    empty(bus.disk);
    assert.equal((await bus.run("reset")).code, 0);
    assert.equal((await bus.run("read", "room", "b")).stdout, "[]\n");
  });
});

test("a read-only disk is reported, and sends succeed once it can be written again", aboutTheFile, async (t) => {
  using bus = onSmallDisk(t);
  if (bus === undefined) return;
  await bus.run("send", "room", "a", "kept");
  bus.disk.remount("ro");
  for (const words of [
    ["send", "room", "a", "x"],
    ["read", "room", "b"],
    ["prune", "--keep", "1"],
    ["serve", "0"],
  ]) {
    const { code, stdout, stderr } = await bus.run(...words);
    assert.deepEqual([code, stdout], [1, ""], words[0]);
    assert.match(
      stderr,
      /^Error: The database \S+ can't be written: see whether .*, and whether the disk is read-only or full\n$/,
    );
  }
  bus.disk.remount("rw");
  await bus.run("send", "room", "a", "after");
  assert.deepEqual(contentsOf(JSON.parse((await bus.run("read", "room", "b")).stdout)), ["kept", "after"]);
});

test("the log of a killed process is read by the next one, with or without its index", aboutTheFile, async () => {
  using bus = temporaryBus();
  const { database, log } = await killedInTheMiddle(bus);
  const sent = contentsOf(await bus.answer("read", "room", "a", "--peek"));
  for (const copied of [
    ["bus.db", "bus.db-wal"],
    ["bus.db", "bus.db-wal", "bus.db-shm"],
  ]) {
    using other = temporaryBus();
    for (const name of copied) other.place(name, name === "bus.db" ? database : (log[name] ?? ""));
    assert.deepEqual(contentsOf(await other.answer("read", "room", "b")), sent);
    assert.equal((await other.run("send", "room", "a", "on it goes")).code, 0);
  }
});

/** The files left by a server that was killed after 50 answers, all of it outside the database file itself. */
async function killedInTheMiddle(bus: TemporaryBus): Promise<{ database: Buffer; log: Record<string, Buffer> }> {
  await using server = await bus.serve();
  for (let n = 0; n < 50; n++)
    await ask(server.url, "POST /send", { body: { channel: "room", sender: "a", content: `${n}` } });
  server.child.kill("SIGKILL");
  await server.ended;
  const read = (name: string) => readFileSync(bus.file(name));
  assert.ok(statSync(bus.file("bus.db-wal")).size > 50 * 4096);
  return { database: read("bus.db"), log: { "bus.db-wal": read("bus.db-wal"), "bus.db-shm": read("bus.db-shm") } };
}

test("a damaged file is reported near and far, and following the advice repairs it", aboutTheFile, async () => {
  using bus = temporaryBus();
  for (let n = 0; n < 30; n++) await bus.run("send", "room", "a", `${n} ${"x".repeat(9_000)}`);
  const { backup } = Object(await bus.answer("reset"));
  copyFileSync(backup, bus.file("bus.db"));
  const bytes = readFileSync(bus.file("bus.db"));
  bytes.fill(0xa5, Math.floor(bytes.length / 3));
  writeFileSync(bus.file("bus.db"), bytes);
  const sentence =
    /The database \S+ is damaged: stop what has it open, move it away together with its -wal and -shm, and put a backup in its place, or begin anew without one/;
  const near = await bus.run("read", "room", "b");
  assert.deepEqual([near.code, near.stdout], [1, ""]);
  assert.match(near.stderr, sentence);
  {
    await using server = await bus.serve();
    const far = await ask(server.url, "GET /messages?channel=room&agent=b");
    assert.equal(far.status, 500);
    assert.match(Object(far.json).error, sentence);
    assert.equal((await ask(server.url, "GET /health")).status, 200, "the server lives on");
    server.child.kill("SIGTERM");
    await server.ended;
  }
  for (const name of ["bus.db", "bus.db-wal", "bus.db-shm"])
    if (existsSync(bus.file(name))) renameSync(bus.file(name), bus.file(`${name}.away`));
  copyFileSync(backup, bus.file("bus.db"));
  assert.equal(contentsOf(await bus.answer("read", "room", "b")).length, 30);
});
