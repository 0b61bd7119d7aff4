import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmodSync, statSync } from "node:fs";
import { suite, test } from "node:test";
import { secureBus, type TemporaryBus, temporaryBus, textIn } from "../support/bus.ts";
import { entry, environmentOf } from "../support/program.ts";

/** Runs the program with its standard output in a file, made under a umask; answers with what it says beside it. */
function into(bus: TemporaryBus, file: string, umask: string, ...words: string[]): Promise<string> {
  const line = `umask ${umask}; exec "$@" > "${bus.file(file)}"`;
  const child = spawn("sh", ["-c", line, "sh", process.execPath, entry, ...words], {
    env: environmentOf(bus.environment),
  });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  return new Promise((resolve) => child.on("close", () => resolve(said)));
}

suite("warnings", { concurrency: 4 }, () => {
  test("printing a private key into a file that others can read gives a warning", async () => {
    using bus = temporaryBus();
    const warning = /^Warning: others can read the file that this private key went to; chmod 600 it/m;
    assert.match(await into(bus, "ops.key", "022", "seed", "ops"), warning);
    assert.equal(statSync(bus.file("ops.key")).mode & 0o777, 0o644);
    assert.match(textIn(bus.file("ops.key")), /^-----BEGIN PRIVATE KEY-----/);
    assert.match(await into(bus, "pair", "022", "keygen"), warning);
    for (const [file, umask, ...words] of [
      ["second.key", "077", "seed", "second"],
      ["nothing", "022", "keygen", "--out", bus.file("pair")],
      ["agents", "022", "agents"],
    ] as const) {
      assert.doesNotMatch(await into(bus, file, umask, ...words), /Warning/, words.join(" "));
    }
    assert.doesNotMatch((await bus.run("seed", "third")).stderr, /Warning/);
  });

  test("an unwritable notes folder is reported once, but not by a waiter", async () => {
    using bus = await secureBus("herald");
    await using server = await bus.serve();
    // A file where the folder should be: that stops root, too.
    const lost = bus.with({ XDG_CONFIG_HOME: bus.place("config", "") });
    const at = ["--key", bus.file("herald.key"), "--url", server.url];
    const sent = await lost.run("send", "room", "herald", "hello", ...at);
    assert.equal(sent.code, 0);
    assert.equal(
      sent.stderr,
      `Warning: ${bus.file("config")}/el-ipc/servers can't be written, so nobody will notice if another server answers there\n`,
    );
    const waited = await lost.run("read", "room", "herald", "--wait", ...at);
    assert.deepEqual([waited.code, waited.stderr], [0, ""]);
    assert.equal((await bus.run("send", "room", "herald", "again", ...at)).stderr, "");

    using other = temporaryBus();
    const seeded = await other.with({ XDG_CONFIG_HOME: bus.file("config") }).run("seed", "ops");
    assert.equal(seeded.code, 0);
    assert.match(
      seeded.stderr,
      /^Warning: \S+\/databases can't be written, so nobody will notice if this database is lost$/m,
    );
  });

  test("a wrong key is reported as such", async () => {
    using bus = await secureBus("herald", "scout");
    await using server = await bus.serve();
    chmodSync(bus.file("scout.key"), 0o600);
    for (const place of [[], ["--url", server.url]]) {
      const { code, stderr } = await bus.run("send", "room", "herald", "x", "--key", bus.file("scout.key"), ...place);
      assert.deepEqual(
        [code, stderr],
        [
          1,
          "Error: invalid signature: is this the key that is registered for that name? `el-ipc agents --keys` shows it\n",
        ],
      );
    }
  });
});
