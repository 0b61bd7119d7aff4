import assert from "node:assert/strict";
import { cpSync, mkdirSync, rmSync } from "node:fs";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { contentsOf, messagesOf, temporaryBus } from "../support/bus.ts";
import { ask } from "../support/http.ts";
import { startNats } from "../support/nats-server.ts";
import { natsSuite } from "../support/nats-suite.ts";
import { entry, run, start, startServer, temporaryFolder, waitUntil } from "../support/program.ts";
import { freePort } from "../support/sockets.ts";

natsSuite("the command line on a NATS server", (server) => {
  test("one variable is enough: what one sends wakes another, and a server beside them", async () => {
    const environment = { IPC_STORE: server.freshBus() };
    const waiter = start(["read", "c", "me", "--wait"], environment);
    await using http = await startServer(environment);
    const poll = ask(http.url, "GET /messages?channel=c&agent=web&wait=true");
    const isHeard = async () =>
      (await (await fetch(`${server.monitor}/subsz?subs=1`)).text()).match(/\.bell\./g)?.length === 2;
    await waitUntil(isHeard, "both wait");
    assert.equal((await run(["send", "c", "herald", "wake up"], environment)).code, 0);
    const { code, stdout, stderr } = await waiter.ended;
    assert.deepEqual([code, stderr], [0, ""]);
    assert.deepEqual(contentsOf(JSON.parse(stdout)), ["wake up"]);
    assert.deepEqual(contentsOf((await poll).json), ["wake up"]);
    assert.equal((await run(["read", "c", "me"], environment)).stdout, "[]\n");
  });

  test("--store names it for one command, and wins over the environment; with --url it is one too many", async () => {
    using bus = temporaryBus();
    const store = server.freshBus();
    await bus.run("send", "c", "a", "on nats", "--store", store);
    const elsewhere = bus.with({ IPC_URL: "http://127.0.0.1:1" });
    assert.deepEqual(contentsOf(await elsewhere.answer("read", "c", "b", `--store=${store}`)), ["on nats"]);
    await using http = await bus.serve({}, "--store", store);
    assert.equal(messagesOf((await ask(http.url, "GET /messages?channel=c&agent=d")).json).length, 1);
    const { stderr } = await bus.run("channels", "--store", store, "--url", http.url);
    assert.match(stderr, /^Error: --url and --store name two buses: give one\n$/);
    const wrong = await bus.run("channels", "--store", "/tmp/x.db");
    assert.match(wrong.stderr, /^Error: --store must be nats:\/\/HOST:PORT or tls:\/\/HOST:PORT; for a database/);
  });

  test("E10 secure mode, signed sends and refused ones are the same", async () => {
    using bus = temporaryBus();
    const on = bus.with({ IPC_STORE: server.freshBus() });
    bus.place("ops.key", (await on.run("seed", "ops")).stdout);
    await on.run("keygen", "--out", bus.file("herald"));
    const signed = ["--as", "ops", "--key", bus.file("ops.key")];
    assert.equal((await on.run("register", "herald", "--pubkey", bus.file("herald.pub"), ...signed)).code, 0);
    assert.equal((await on.run("send", "c", "herald", "mine", "--key", bus.file("herald.key"))).code, 0);
    for (const words of [
      ["send", "c", "herald", "unsigned"],
      ["send", "c", "herald", "forged", "--key", bus.file("ops.key")],
    ]) {
      assert.equal((await on.run(...words)).code, 1, words.join(" "));
    }
    const [only, ...more] = messagesOf(await on.answer("read", "c", "me"));
    assert.deepEqual([only?.content, only?.signed, more.length], ["mine", true, 0]);
  });

  test("a reset whose backup can't be made removes nothing, and says so", async () => {
    using bus = temporaryBus();
    const on = bus.with({ IPC_STORE: server.freshBus(), XDG_CONFIG_HOME: bus.file("config") });
    await on.run("send", "c", "a", "kept");
    mkdirSync(bus.file("config/el-ipc"), { recursive: true, mode: 0o700 });
    bus.place("config/el-ipc/backups", "no folder");
    const { code, stdout, stderr } = await on.run("reset");
    assert.deepEqual([code, stdout], [1, ""]);
    assert.match(stderr, /^Error: The backup \S+\.db can't be made, so nothing was removed: ENOTDIR/);
    assert.deepEqual(contentsOf(await on.answer("read", "c", "me")), ["kept"]);
  });

  test("a server that isn't there is told at once; with wait= it is waited for", async () => {
    const port = await freePort();
    const started = performance.now();
    const { code, stdout, stderr } = await run(["send", "c", "a", "x"], { IPC_STORE: `nats://127.0.0.1:${port}` });
    assert.deepEqual([code, stdout], [1, ""]);
    assert.match(stderr, /^Error: NATS at nats:\/\/127\.0\.0\.1:\d+\/el-ipc can't be reached: connection refused\n$/);
    assert.ok(performance.now() - started < 5_000);
    const waits = start(["send", "c", "a", "late"], { IPC_STORE: `nats://127.0.0.1:${port}?wait=60` });
    const retries = start(["send", "d", "a", "late", "--retry"], { IPC_STORE: `nats://127.0.0.1:${port}/other` });
    await sleep(500);
    using folder = temporaryFolder();
    await using _late = await startNats("", { port, folder: folder.path });
    assert.deepEqual(JSON.parse((await waits.ended).stdout), { ok: true, id: 1, channel: "c", signed: false });
    assert.deepEqual(JSON.parse((await retries.ended).stdout), { ok: true, id: 1, channel: "d", signed: false });
  });

  test("Ctrl-C ends who waits for a server, before it was there and after it went", async () => {
    const [port, folder] = [await freePort(), temporaryFolder()];
    const store = `nats://127.0.0.1:${port}`;
    const never = start(["read", "c", "me", "--wait", "--retry", "--store", store], {});
    await sleep(1_000);
    never.child.kill("SIGINT");
    assert.deepEqual(await never.ended, { code: 130, stdout: "", stderr: "" });
    const passing = await startNats("", { port, folder: folder.path });
    const left = start(["follow", "c", "me", "--retry", "--store", store], {});
    await run(["send", "c", "a", "x", "--store", store], {});
    await left.untilPrinted("x");
    await passing[Symbol.asyncDispose]();
    await sleep(3_000);
    assert.equal(left.child.exitCode, null, "it waits");
    const asked = performance.now();
    left.child.kill("SIGINT");
    assert.equal((await left.ended).code, 130);
    assert.ok(performance.now() - asked < 8_000);
    folder[Symbol.dispose]();
  });

  test("--retry is for a NATS server alone", async () => {
    using bus = temporaryBus();
    const database = bus.with({ IPC_STORE: "" });
    assert.match(
      (await database.run("channels", "--retry")).stderr,
      /^Error: --retry waits for a NATS server: name one/,
    );
    const far = await bus.run("channels", "--retry", "--url", "http://127.0.0.1:1");
    assert.match(far.stderr, /^Error: --retry waits for a NATS server, and --url asks another/);
  });

  test("a command on a database loads nothing of it", async () => {
    using folder = temporaryFolder();
    cpSync(new URL(".", `file://${entry}`), folder.file("sources.d"), { recursive: true });
    rmSync(folder.file("sources.d/ipc-nats.js"));
    const copy = { entry: folder.file("sources.d/ipc-server.js") };
    const sent = await start(["send", "c", "a", "x"], { IPC_DB_PATH: folder.file("bus.db") }, copy).ended;
    assert.deepEqual([sent.code, sent.stderr], [0, ""]);
    assert.equal((await start(["send", "c", "a", "x"], { IPC_STORE: server.freshBus() }, copy).ended).code, 1);
  });
});
