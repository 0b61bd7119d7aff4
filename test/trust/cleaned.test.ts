import assert from "node:assert/strict";
import { copyFileSync, existsSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { suite, test } from "node:test";
import { signRegistration, signV1, signV2, stampFor, tokenOf } from "../support/identity.ts";
import { type Bus, eventually, openBus, secureBus, succeeded } from "../support/secure-bus.ts";

const said = { channel: "builds", content: "main is green" };

function clean(bus: Bus): void {
  for (const name of readdirSync(bus.home)) if (name.startsWith("bus.db")) rmSync(bus.file(name), { recursive: true });
}

suite("a database that was in secure mode and is gone", { concurrency: 3 }, () => {
  test("D5 secure mode never goes off by itself: a cleaned /tmp is refused, not taken for a new open bus", async () => {
    using bus = openBus();
    const { stdout } = await succeeded(bus.run("seed", "ops"));
    bus.write("ops.key", stdout);
    assert.equal(readFileSync(bus.file(".config/el-ipc/databases"), "utf8"), `${bus.database}\n`);
    clean(bus);
    for (const words of [
      ["send", "c", "a", "x"],
      ["read", "c", "a"],
      ["read", "c", "a", "--wait"],
      ["serve", "0"],
      ["channels"],
    ]) {
      const { code, stdout, stderr } = await bus.run(...words);
      assert.match(
        stderr,
        /^Error: The database \S+bus\.db had an operator and has none now: [^\n]+ seed an operator anew, or remove its line from \S+databases[^\n]+\n$/,
      );
      assert.deepEqual([code, stdout], [1, ""], words.join(" "));
    }
    assert.equal((await bus.run("keygen")).code, 0);

    const again = await succeeded(bus.run("seed", "ops"));
    const key = bus.write("new.key", again.stdout);
    await succeeded(bus.run("send", "c", "ops", "x", "--key", key));
    assert.equal((await bus.run("send", "c", "ops", "x")).code, 1);
  });

  test("another file in its place is refused, too; without its line the bus starts in open mode", async () => {
    using bus = openBus();
    using open = openBus();
    await succeeded(bus.run("seed", "ops"));
    await succeeded(open.run("send", "c", "a", "from elsewhere"));
    clean(bus);
    copyFileSync(open.database, bus.database);
    assert.match((await bus.run("read", "c", "a")).stderr, /had an operator and has none now: it was replaced/);
    bus.write(".config/el-ipc/databases", "");
    assert.equal((await bus.read("c", "a"))[0]?.content, "from elsewhere");
  });

  test("a server whose database is removed says so, and acknowledges nothing into nowhere", async () => {
    using bus = await secureBus();
    await using server = await bus.serve();
    const send = () => server.ask("POST /send", { body: signV1(bus.herald, said) });
    assert.equal((await send()).status, 200);
    clean(bus);
    await new Promise((resolve) => setTimeout(resolve, 1_050));
    for (const _ of [1, 2]) {
      const { status, json } = await send();
      assert.match(
        String(json.error),
        /^The database \S+ was removed or replaced while it was in use: start again to use it$/,
      );
      assert.equal(status, 500);
    }
    const health = await server.ask("GET /health");
    assert.match(String(health.json.error), /was removed or replaced/);
    copyFileSync(new URL("../../package.json", import.meta.url), bus.database);
    assert.equal((await send()).status, 500);
  });
});

suite("a waiter on a database that is removed", { concurrency: 3 }, () => {
  test("is told, and doesn't wait for what can't come any more", async () => {
    using bus = openBus();
    await succeeded(bus.run("channels"));
    const waiters = [bus.start("read", "c", "me", "--wait", "--timeout", "20"), bus.start("follow", "d", "other")];
    const bells = () => (existsSync(bus.file("bus.db-bells")) ? readdirSync(bus.file("bus.db-bells")) : []);
    await eventually(() => bells().length === 2, "both wait");
    await new Promise((resolve) => setTimeout(resolve, 200));
    for (const name of ["bus.db", "bus.db-wal", "bus.db-shm"]) rmSync(bus.file(name), { force: true });
    for (const channel of ["c", "d"]) await succeeded(bus.run("send", channel, "sender", "to the new one"));
    for (const waiter of waiters) {
      const { code, stdout, stderr } = await waiter.ended;
      assert.match(
        stderr,
        /^Error: The database \S+ was removed or replaced while it was in use: start again to use it\n$/,
      );
      assert.deepEqual([code, stdout], [1, ""]);
    }
  });
});

suite("a reset", { concurrency: 3 }, () => {
  test("it makes a backup for its owner alone, and keeps agents, nonces, watermarks, ids and the alarms", async () => {
    using bus = await secureBus();
    const { herald, scout, ops, did } = bus;
    await using server = await bus.serve();
    const body = signV2(herald, said, stampFor(did));
    const { id } = (await server.ask("POST /send", { body })).json;
    for (let n = 0; n < 3; n++) await server.ask("POST /send", { body: signV1(scout, { ...said, content: `${n}` }) });
    await server.ask("GET /messages?channel=builds&agent=reader");
    await server.ask("POST /send", { body: { ...said, sender: "herald" } });
    const token = tokenOf(ops, did);
    const attested = await server.ask("POST /send", { body: { ...said, sender: "ops" }, bearer: token });
    const answer = await server.ask("POST /reset", { body: {}, bearer: token });
    assert.deepEqual([answer.status, answer.json.ok, answer.json.removed], [200, true, 5]);
    const backup = String(answer.json.backup);
    assert.equal(statSync(backup).mode & 0o777, 0o600);
    assert.equal(backup.startsWith(bus.database), true);

    assert.deepEqual((await server.ask("POST /send", { body })).json, { ok: true, id, duplicate: true });
    assert.deepEqual(bus.sql("SELECT channel FROM messages"), bus.sql("SELECT 'security' AS channel"));
    assert.equal(bus.sql("SELECT 1 FROM attested").length, 0);
    assert.equal(bus.sql("SELECT 1 FROM agents").length, 3);
    const watermark = Number(bus.sql("SELECT last_id FROM watermarks WHERE agent = 'reader'")[0]?.last_id);
    assert.equal(watermark, Number(id) + 3);
    const next = (await server.ask("POST /send", { body: signV1(herald, said) })).json;
    assert.equal(Number(next.id), Number(attested.json.id) + 1);
    assert.equal((await bus.read("builds", "reader")).length, 1);
    const again = signRegistration(ops, herald, stampFor(did));
    assert.equal((await server.ask("POST /register", { body: again })).status, 200);
    const second = await server.ask("POST /reset", { body: {}, bearer: token });
    assert.notEqual(second.json.backup, backup);
  });

  test("its backup restores the bus as it was", async () => {
    using bus = await secureBus();
    const key = bus.keyOf(bus.herald);
    for (const text of ["one", "two"]) await succeeded(bus.run("send", "builds", "herald", text, "--key", key));
    const { stdout } = await succeeded(bus.run("reset"));
    assert.equal((await bus.read("builds", "reader")).length, 0);
    const backup = /"backup":"([^"]+)"/.exec(stdout)?.[1] ?? "";
    copyFileSync(backup, bus.database);
    assert.deepEqual(
      (await bus.read("builds", "scout")).map(({ content, signed }) => [content, signed]),
      [
        ["one", true],
        ["two", true],
      ],
    );
    assert.equal((await bus.run("send", "builds", "herald", "x")).code, 1);
    await succeeded(bus.run("send", "builds", "herald", "three", "--key", key));
  });

  test("a reset that can't make its backup removes nothing", async () => {
    using bus = openBus();
    // A name so long that none can be made of it.
    const IPC_DB_PATH = bus.file("b".repeat(240));
    await succeeded(bus.runWith({ IPC_DB_PATH }, "send", "builds", "herald", "kept"));
    const { code, stdout } = await bus.runWith({ IPC_DB_PATH }, "reset");
    assert.deepEqual([code, stdout], [1, ""]);
    assert.match((await bus.runWith({ IPC_DB_PATH }, "read", "builds", "reader")).stdout, /kept/);
  });

  test("messages sent while it runs are kept, and each is answered", async () => {
    using bus = openBus();
    await using server = await bus.serve();
    const send = (n: number) => server.ask("POST /send", { body: { channel: "c", sender: "a", content: String(n) } });
    for (let n = 0; n < 10; n++) await send(n);
    const [reset, ...sent] = await Promise.all([
      server.ask("POST /reset", { body: {} }),
      ...Array.from({ length: 40 }, (_, n) => send(n)),
    ]);
    assert.equal(reset.status, 200);
    for (const { status } of sent) assert.equal(status, 200);
    const left = bus.sql("SELECT count(*) AS count FROM messages")[0]?.count;
    assert.equal(Number(left) + Number(reset.json.removed), 50);
  });
});
