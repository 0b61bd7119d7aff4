import assert from "node:assert/strict";
import { existsSync, readFileSync, statSync, truncateSync } from "node:fs";
import { suite, test } from "node:test";
import { contentsOf, secureBus, type TemporaryBus, temporaryBus } from "../support/bus.ts";

const linesOf = (text: string) => text.trimEnd().split("\n");

async function exported(bus: TemporaryBus, file: string): Promise<string[]> {
  const { code, stderr } = await bus.run("export", file);
  assert.deepEqual([code, stderr], [0, ""]);
  return linesOf(readFileSync(file, "utf8"));
}

suite("export and import", { concurrency: 4 }, () => {
  test("move a bus in secure mode with its rights", async () => {
    using bus = await secureBus("herald");
    using other = temporaryBus();
    assert.equal((await bus.run("send", "c", "herald", "mine", "--key", bus.file("herald.key"))).code, 0);
    await exported(bus, bus.file("bus.jsonl"));
    const moved = await other.run("import", bus.file("bus.jsonl"));
    assert.deepEqual([moved.code, moved.stdout, moved.stderr], [0, "imported 2 agents, 1 message\n", ""]);
    assert.deepEqual(contentsOf(await other.answer("read", "c", "me")), ["mine"]);
    assert.equal((await other.run("send", "c", "herald", "unsigned")).code, 1);
    assert.equal((await other.run("send", "c", "herald", "signed", "--key", bus.file("herald.key"))).code, 0);
    const again = await other.run("import", bus.file("bus.jsonl"));
    assert.equal(again.stdout, "imported nothing; there already: 2 agents, 1 message\n");
  });

  test("an export continues its file after an interruption, and only its owner may read it", async () => {
    using bus = temporaryBus();
    using other = temporaryBus();
    const file = bus.file("bus.jsonl");
    for (const text of ["one", "two", "three"]) await bus.run("send", "c", "a", text);
    await bus.run("read", "c", "me");
    const lines = await exported(bus, file);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    // As if it had been killed in the middle of its third message.
    const kept = lines.findIndex((line) => line.includes("three"));
    truncateSync(file, Buffer.byteLength(`${lines.slice(0, kept).join("\n")}\n`) + 20);
    const early = await other.run("import", file);
    assert.deepEqual([early.code, early.stdout], [1, ""]);
    assert.match(early.stderr, /^Error: line 4 of .*: this is not a line of an export\n$/);
    await bus.run("send", "c", "a", "four");
    const whole = await exported(bus, file);
    for (const text of ["one", "two", "three", "four"])
      assert.equal(whole.filter((line) => line.includes(`"${text}"`)).length, 1, text);
    assert.match(
      (await other.run("import", file)).stdout,
      /^imported 2 messages, 1 watermark; there already: 2 messages\n$/,
    );
    assert.deepEqual(contentsOf(await other.answer("read", "c", "me")), ["four"]);
  });

  test("an export without its last line is imported, and reported as ending early", async () => {
    using bus = temporaryBus();
    using other = temporaryBus();
    await bus.run("send", "c", "a", "one");
    const lines = await exported(bus, bus.file("bus.jsonl"));
    bus.place("short.jsonl", `${lines.slice(0, -1).join("\n")}\n`);
    const { code, stdout, stderr } = await other.run("import", bus.file("short.jsonl"));
    assert.deepEqual([code, stdout], [1, "imported 1 message\n"]);
    assert.match(stderr, /ends early: what it holds was imported/);
    assert.deepEqual(contentsOf(await other.answer("read", "c", "me")), ["one"]);
  });

  test("work through a pipe", async () => {
    using bus = temporaryBus();
    using other = temporaryBus();
    await bus.run("send", "c", "a", "\u202e\u001b[2J ü 🦜");
    const { stdout } = await bus.run("export");
    const { code } = await other.start(["import", "-"], { input: stdout }).ended;
    assert.equal(code, 0);
    assert.deepEqual(await other.answer("read", "c", "me"), await bus.answer("read", "c", "me"));
  });

  test("wake readers that wait for the imported messages", async () => {
    using bus = temporaryBus();
    using other = temporaryBus();
    await bus.run("send", "c", "a", "moved");
    await exported(bus, bus.file("bus.jsonl"));
    const waiter = other.start(["read", "c", "me", "--wait", "--timeout", "60"]);
    await other.run("import", bus.file("bus.jsonl"));
    assert.deepEqual(contentsOf(JSON.parse((await waiter.ended).stdout)), ["moved"]);
  });

  test("refuse files that are not exports, and don't change them", async () => {
    using bus = temporaryBus();
    for (const [name, text] of [
      ["notes.txt", "my notes\n"],
      ["empty.json", "{}\n"],
      ["rest.txt", "no line end"],
    ] as const) {
      bus.place(name, text);
      const written = await bus.run("export", bus.file(name));
      assert.match(written.stderr, /^Error: .* exists and is not an export\n$/);
      assert.equal(readFileSync(bus.file(name), "utf8"), text);
      assert.match(
        (await bus.run("import", bus.file(name))).stderr,
        /^Error: line 1 of .*: this is not a line of an export\n$/,
      );
    }
    assert.match(
      (await bus.run("import", bus.file("missing"))).stderr,
      /^Error: \S+missing can't be opened: there is no such file or folder\n$/,
    );
    assert.match(
      (await bus.run("export", bus.file("no/folder"))).stderr,
      /^Error: \S+ can't be opened: there is no such file or folder\n$/,
    );
    assert.equal(existsSync(bus.file("missing")), false);
    assert.match((await bus.run("import")).stderr, /^Error: .*file/);
    bus.place("long.jsonl", "x".repeat(17 * 1024 * 1024));
    assert.match(
      (await bus.run("import", bus.file("long.jsonl"))).stderr,
      /^Error: \S+long\.jsonl holds a line that is longer than 16777216 bytes\n$/,
    );
  });
});
