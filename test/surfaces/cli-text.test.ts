import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { contentsOf, temporaryBus } from "../support/bus.ts";

suite("a message's text", { concurrency: 6 }, () => {
  test("is read from standard input for a dash, without the last line end", async () => {
    using bus = temporaryBus();
    const send = (input: string) => bus.start(["send", "room", "a", "-"], { input }).ended;
    for (const input of ["one\n", "two\r\n", "three", "four\n\n", "f\tï\u0000ve 🎉"]) {
      assert.equal((await send(input)).code, 0);
    }
    const contents = contentsOf(await bus.answer("read", "room", "b"));
    assert.deepEqual(contents, ["one", "two", "three", "four\n", "f\tï\u0000ve 🎉"]);
    const named = await bus.start(["send", "room", "a", "--content", "-"], { input: "six" }).ended;
    assert.equal(named.code, 0);
    assert.deepEqual(contentsOf(await bus.answer("read", "room", "b")), ["six"]);
  });

  test("is read from a file with --file, without the last line end, as from standard input", async () => {
    using bus = temporaryBus();
    const text = "# Report\n\n- all green";
    for (const end of ["", "\n", "\r\n"]) {
      await bus.run("send", "room", "a", "--file", bus.place("report.md", text + end));
      assert.deepEqual(contentsOf(await bus.answer("read", "room", "b")), [text]);
    }
    await bus.with({ IPC_AGENT: "me" }).run("send", "room", "--file", bus.file("report.md"));
    assert.deepEqual(contentsOf(await bus.answer("read", "room", "b")), [text]);
  });

  test("is refused when it is empty, not UTF-8, over 1 MiB, or not there", async () => {
    using bus = temporaryBus();
    const send = (input: string | Uint8Array) => bus.start(["send", "room", "a", "-"], { input }).ended;
    assert.match((await send("")).stderr, /^Error: content required\n/);
    assert.match((await send("\n")).stderr, /^Error: content required\n/);
    assert.equal((await send(Buffer.from([0x61, 0xff]))).stderr, "Error: standard input is not UTF-8 text\n");
    const large = "x".repeat(1024 * 1024);
    assert.equal((await send(large)).code, 0);
    assert.equal((await send(`${large}x`)).stderr, "Error: content must be 1 MiB of UTF-8 at most\n");
    const file = async (path: string) => (await bus.run("send", "room", "a", "--file", path)).stderr;
    assert.equal(
      await file(bus.place("bytes", Buffer.from([0xc3]))),
      `Error: ${bus.file("bytes")} is not UTF-8 text\n`,
    );
    assert.equal(await file("/nonexistent"), "Error: /nonexistent can't be read: there is no such file or folder\n");
    assert.match(await file(bus.file(".")), /^Error: .* can't be read: it is a folder\n$/);
    assert.equal(await file(bus.place("split", `${large}é`)), "Error: content must be 1 MiB of UTF-8 at most\n");
    assert.equal(await file("/dev/zero"), "Error: content must be 1 MiB of UTF-8 at most\n");
    assert.match(
      (await bus.run("send", "room", "a", "x", "--key", "/dev/zero")).stderr,
      /^Error: an Ed25519 key is needed, and this is /,
    );
    assert.equal(contentsOf(await bus.answer("read", "room", "b")).length, 1);
  });

  test("is waited for if it comes slowly, and a signal ends the wait at once", async () => {
    using bus = temporaryBus();
    const pipe = bus.file("pipe");
    assert.equal(spawnSync("mkfifo", [pipe]).status, 0);
    const slow = bus.start(["send", "room", "a", "--file", pipe]);
    const stopped = bus.start(["send", "room", "a", "-"], { input: null });
    await sleep(1_000);
    stopped.child.kill("SIGTERM");
    assert.equal((await stopped.ended).stdout, "");
    writeFileSync(pipe, "came late\n");
    assert.equal((await slow.ended).code, 0);
    assert.deepEqual(contentsOf(await bus.answer("read", "room", "b")), ["came late"]);
  });

  test("may be given once only", async () => {
    using bus = temporaryBus();
    const file = bus.place("text", "from a file");
    const both = await bus.run("send", "room", "a", "from a word", "--file", file);
    assert.deepEqual([both.code, both.stdout], [1, ""]);
    assert.deepEqual(await bus.answer("channels"), []);
  });

  test("may begin with a dash: behind --, with --content=, or where it can't be an option", async () => {
    using bus = temporaryBus();
    const texts = ["--wait", "-h", "--", "- a list\n- of things", "-1", "--- a/file", "->", "--note: see below"];
    for (const text of texts) assert.equal((await bus.run("send", "room", "a", "--", text)).code, 0, text);
    assert.deepEqual(contentsOf(await bus.answer("read", "room", "b")), texts);
    const plain = ["- a list\n- of things", "-1", "-0.5 %", "--- a/file", "---", "->", "--note: see below", "-x y"];
    for (const text of plain) assert.equal((await bus.run("send", "room", "a", text)).code, 0, text);
    assert.deepEqual(contentsOf(await bus.answer("read", "room", "b")), plain);
    await bus.run("send", "room", "a", "--content=--wait");
    assert.deepEqual(contentsOf(await bus.answer("read", "room", "b")), ["--wait"]);
    const unknown = await bus.run("send", "room", "a", "-hello");
    assert.equal(
      unknown.stderr,
      "Error: unknown option -hello; see el-ipc send --help, or put -- before words that start with a dash\n",
    );
  });

  test("keeps every character that a shell can pass on", async () => {
    using bus = temporaryBus();
    const texts = [
      "\u001b[31mred",
      "line\nline\r\n",
      "\u202etxt.exe",
      "\ufeff",
      "'\"`$x\\",
      "日本語 🎉",
      "\u0085\u009b",
    ];
    for (const text of texts) await bus.run("send", "room", "a", text);
    assert.deepEqual(contentsOf(await bus.answer("read", "room", "b")), texts);
  });
});
