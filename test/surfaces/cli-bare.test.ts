import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { suite, test } from "node:test";
import { contentsOf, type TemporaryBus, temporaryBus } from "../support/bus.ts";
import { ask } from "../support/http.ts";
import { entry, untilListening } from "../support/program.ts";

/** The program's own files and nothing else, as in a clone where nobody ran npm. */
function copied(bus: TemporaryBus): string {
  const folder = bus.file("sources.d");
  mkdirSync(folder);
  for (const name of readdirSync(dirname(entry))) copyFileSync(join(dirname(entry), name), join(folder, name));
  return join(folder, "ipc-server.js");
}

suite("where no package is installed", { concurrency: 6 }, () => {
  test("E4 open mode works, and nothing is printed beside the answers", async () => {
    using bus = temporaryBus();
    const bare = { entry: copied(bus) };
    const sent = await bus.start(["send", "room", "a", "hello"], bare).ended;
    assert.deepEqual(sent, { code: 0, stdout: '{"ok":true,"id":1,"channel":"room","signed":false}\n', stderr: "" });
    const waiter = await bus.start(["read", "room", "b", "--wait"], bare).ended;
    assert.deepEqual([waiter.code, waiter.stderr], [0, ""]);
    assert.deepEqual(contentsOf(JSON.parse(waiter.stdout)), ["hello"]);
  });

  test("E3 identities work: no package is needed for them", async () => {
    using bus = temporaryBus();
    const bare = { entry: copied(bus) };
    bus.place("ops.key", (await bus.start(["seed", "ops"], bare).ended).stdout);
    await bus.start(["keygen", "--out", bus.file("herald")], bare).ended;
    const signed = ["--as", "ops", "--key", bus.file("ops.key")];
    const registered = await bus.start(["register", "herald", "--pubkey", bus.file("herald.pub"), ...signed], bare)
      .ended;
    assert.deepEqual([registered.code, registered.stderr], [0, ""]);
    const sent = await bus.start(["send", "room", "herald", "x", "--key", bus.file("herald.key")], bare).ended;
    assert.deepEqual([sent.code, sent.stderr], [0, ""]);
    assert.equal((await bus.start(["send", "room", "herald", "x"], bare).ended).code, 1);
  });

  test("it shares a database with a program that has its packages, waking it and being woken", async () => {
    using bus = temporaryBus();
    const bare = { entry: copied(bus) };
    const [here, there] = [bus.start(["read", "x", "me", "--wait"], bare), bus.start(["read", "x", "you", "--wait"])];
    await bus.run("send", "x", "a", "one");
    for (const waiter of [here, there]) {
      assert.deepEqual(contentsOf(JSON.parse((await waiter.ended).stdout)), ["one"]);
    }
    const again = bus.start(["read", "x", "you", "--wait"]);
    await bus.start(["send", "x", "a", "two"], bare).ended;
    assert.deepEqual(contentsOf(JSON.parse((await again.ended).stdout)), ["two"]);
  });

  test("a server serves, and says nothing on standard error but its log", async () => {
    using bus = temporaryBus();
    await using server = await untilListening(bus.start(["serve", "0"], { entry: copied(bus) }));
    assert.equal(
      (await ask(server.url, "POST /send", { body: { channel: "c", sender: "a", content: "x" } })).status,
      200,
    );
    assert.equal((await ask(server.url, "GET /metrics")).status, 200);
    server.child.kill();
    const { code, stdout, stderr } = await server.ended;
    assert.deepEqual([code, stdout], [0, ""]);
    for (const line of stderr.trimEnd().split("\n")) assert.equal(typeof JSON.parse(line), "object");
  });
});
