import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { suite, test } from "node:test";
import { aboutTheFile, contentsOf, type TemporaryBus, temporaryBus, textIn } from "../support/bus.ts";
import { original } from "../support/original.ts";
import { entry, environmentOf, type Result } from "../support/program.ts";

/** Runs a line of shell in which "$@" is the program. */
function shell(bus: TemporaryBus, line: string): Promise<Result> {
  const child = spawn("sh", ["-c", line, "sh", process.execPath, entry], { env: environmentOf(bus.environment) });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, stdout, stderr })));
}

async function pending(bus: TemporaryBus): Promise<unknown> {
  const health = await bus.answer("health", "room", "b");
  return typeof health === "object" && health !== null && "pending" in health ? health.pending : undefined;
}

const full = existsSync("/dev/full") ? false : "this system has no /dev/full";

suite("what is printed", { concurrency: 6 }, () => {
  test("a closed pipe ends it quietly, and what wasn't read stays unread", async () => {
    using bus = temporaryBus();
    await bus.start(["send", "room", "a", "-"], { input: "x".repeat(1_000_000) }).ended;
    for (const words of ["read room b", "read room b --wait", "follow room b"]) {
      const { stdout, stderr } = await shell(bus, `{ "$@" ${words}; echo "ended with $?" >&2; } | head -c 0`);
      assert.deepEqual([stdout, stderr], ["", "ended with 141\n"], words);
      assert.equal(await pending(bus), 1);
    }
    const taken = await shell(bus, `{ "$@" read room b; echo "ended with $?" >&2; } | head -c 1000`);
    assert.deepEqual([taken.stdout.length, taken.stderr], [1000, "ended with 141\n"]);
    assert.equal(await pending(bus), 1);
  });

  test("follow | head prints what head wants, and no more is consumed than was printed", async () => {
    using bus = temporaryBus();
    for (const text of ["1", "2", "3"]) await bus.run("send", "room", "a", text);
    let over = false;
    const piped = shell(bus, '"$@" follow room b | { read -r line; echo "$line"; }').finally(() => {
      over = true;
    });
    // It notices that its reader has gone when it has more to print.
    while (!over) await bus.run("send", "room", "a", "4");
    assert.match((await piped).stdout, /^\{"id":1,[^\n]*\}\n$/);
    await bus.run("send", "room", "a", "4");
    assert.ok(contentsOf(await bus.answer("read", "room", "b")).includes("4"));
  });

  test("a full disk is an error in a sentence, and the messages stay unread", { skip: full }, async () => {
    using bus = temporaryBus();
    await bus.run("send", "room", "a", "hello");
    for (const words of ["read room b", "read room b --json", "read room b --wait", "follow room b"]) {
      const { stdout, stderr } = await shell(bus, `"$@" ${words} > /dev/full; echo "ended with $?"`);
      assert.deepEqual([stdout, stderr], ["ended with 1\n", `Error: ${NO_SPACE}\n`], words);
      assert.equal(await pending(bus), 1);
    }
  });

  test("a seed whose key can't be written seeds nobody", { skip: full }, async () => {
    using bus = temporaryBus();
    const { stdout, stderr } = await shell(bus, '"$@" seed ops > /dev/full; echo "ended with $?"');
    assert.deepEqual([stdout, stderr], ["ended with 1\n", `Error: ${NO_SPACE}\n`]);
    assert.equal((await shell(bus, '{ "$@" seed ops; echo $? >&2; } | head -c 0')).stderr, "141\n");
    assert.deepEqual(await bus.answer("agents", "--json"), []);
    assert.deepEqual(await bus.answer("health"), { status: "ok", pending: 0, secure_mode: false });
  });

  test("notes that can't be written change nothing", { skip: full }, async () => {
    using bus = temporaryBus();
    const seeded = await shell(bus, '"$@" seed ops 2> /dev/full');
    assert.equal(seeded.code, 0);
    assert.match(seeded.stdout, /^-----BEGIN PRIVATE KEY-----\n/);
    assert.match((await bus.run("agents")).stdout, /\[operator\] ops/);
    assert.equal((await shell(bus, '"$@" read room 2> /dev/full')).code, 1);
  });

  test("E13 keygen never writes over a key, and leaves no half of a pair", async () => {
    using bus = temporaryBus();
    const made = await bus.run("keygen", "--out", bus.file("herald"));
    assert.deepEqual([made.code, made.stdout], [0, ""]);
    assert.equal(statSync(bus.file("herald.key")).mode & 0o777, 0o600);
    const keys = ["herald.key", "herald.pub"].map((name) => textIn(bus.file(name)));
    const again = await bus.run("keygen", "--out", bus.file("herald"));
    assert.deepEqual(again, {
      code: 1,
      stdout: "",
      stderr: `Error: ${bus.file("herald.key")} exists already; nothing was written\n`,
    });
    assert.deepEqual(
      ["herald.key", "herald.pub"].map((name) => textIn(bus.file(name))),
      keys,
    );

    bus.place("other.pub", "mine");
    const half = await bus.run("keygen", "--out", bus.file("other"));
    assert.equal(half.stderr, `Error: ${bus.file("other.pub")} exists already; nothing was written\n`);
    assert.equal(existsSync(bus.file("other.key")), false);
    assert.equal(textIn(bus.file("other.pub")), "mine");
    const nowhere = await bus.run("keygen", "--out", bus.file("no/such/folder"));
    assert.match(nowhere.stderr, /^Error: .*folder\.key can't be written: /);
  });

  test("characters that could steer a terminal are printed as escapes, and stay what they are in JSON", async () => {
    using bus = temporaryBus();
    const evil = "\u001b]0;title\u0007 \u009b31m \u202egpj.exe \u2066x\u2069 \u2028 \ufeff\u007f\r";
    await bus.run("send", "room", "a", evil);
    await bus.run("send", "r\u202eoom", "a\u009b", "x");
    const read = await bus.run("read", "room", "b");
    assert.equal(messagesContent(read.stdout), evil);
    const follow = bus.start(["follow", "room", "c"]);
    const followed = await follow.untilPrinted("\n");
    follow.child.kill();
    for (const printed of [read.stdout, followed, (await bus.run("channels")).stdout])
      assert.doesNotMatch(printed, STEERING);
  });

  test("a name with invisible characters looks like no other, wherever it is printed", async () => {
    using bus = temporaryBus();
    const name = "re\u200bviewer";
    await bus.run("send", name, name, "x");
    await bus.run("post", name, "y", "--from", name);
    const { stdout } = await bus.run("connect", name, "--json");
    const { id } = JSON.parse(stdout);
    for (const words of [
      ["channels"],
      ["read", name, "somebody"],
      ["mailboxes"],
      ["inbox", name],
      ["peers"],
      ["whoami", id],
      ["status"],
      ["traffic"],
      ["online", name],
      ["health", name, name, "--url", "http://127.0.0.1:1"],
    ]) {
      const { stdout, stderr } = await bus.run(...words);
      assert.doesNotMatch(stdout + stderr, /\u200b/, words[0]);
      if (words[0] !== "health") assert.match(stdout + stderr, /re\\u200bviewer/, words[0]);
    }
  });

  test("a path can't break the sentence that names it", async () => {
    using bus = temporaryBus();
    const missing = "can't be read: there is no such file or folder";
    for (const [words, said] of [
      [["traffic", "--key=\nError: x"], missing],
      [["send", "a", "b", "--file", "\nError: x"], missing],
      [["register", "a", "--pubkey", "\nError: x"], missing],
      [["keygen", "--out", "\nError: x/y"], "can't be written: there is no such file or folder"],
      [["import", "\nError: x"], "can't be opened: there is no such file or folder"],
      [["export", "\nError: x/y"], "can't be opened: there is no such file or folder"],
    ] as const) {
      const { code, stdout, stderr } = await bus.run(...words);
      assert.deepEqual([code, stdout, stderr.split("\n").length], [1, "", 2], stderr);
      assert.match(stderr, /^Error: \\u000aError: x/);
      assert.ok(stderr.endsWith(`${said}\n`), stderr);
    }
    bus.place("\nbinary", Buffer.from([0xff]));
    const { stderr } = await bus.run("send", "a", "b", "--file", bus.file("\nbinary"));
    assert.match(stderr, /^Error: \S+\\u000abinary is not UTF-8 text\n$/);
  });

  test(
    "a name that the original stored, an option and a path can't steer a terminal either",
    aboutTheFile,
    async () => {
      using bus = temporaryBus();
      await using python = original(bus.file("bus.db"));
      await python.register({
        name: "evil\u001b[2J\u0007\r",
        publicKey: "none",
        role: "agent",
        registeredBy: "\u001bops",
        createdAt: 1,
      });
      const listed = await bus.run("agents");
      assert.equal(listed.stdout, "  [agent]    evil\\u001b[2J\\u0007\\u000d (registered by \\u001bops)\n");
      for (const words of [
        ["\u001b[2J"],
        ["read", "a", "b", "--\u001b[2J"],
        ["send", "a", "b", "--file", "\u001b[2J"],
        ["send", "a", "b", "c", "--key", "\u001b[2J"],
        ["channels", "--url", "\u001b[2J"],
      ]) {
        const { code, stdout, stderr } = await bus.run(...words);
        assert.deepEqual([code, stdout], [1, ""]);
        assert.doesNotMatch(stderr, STEERING);
      }
    },
  );
});

const NO_SPACE = "standard output can't be written: no space is left on the device";

const STEERING = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/;

function messagesContent(printed: string): string | undefined {
  return contentsOf(JSON.parse(printed))[0];
}
