import assert from "node:assert/strict";
import { cpSync, readdirSync } from "node:fs";
import { dirname } from "node:path";
import { suite, test } from "node:test";
import { aboutTheFile, expectSuccess, secureBus, temporaryBus } from "../support/bus.ts";
import { ask } from "../support/http.ts";
import { NEWEST, OLDER, stdio } from "../support/mcp.ts";
import { entry, isAlive, waitUntil } from "../support/program.ts";

const clientInfo = { name: "test", version: "1" };

const opening = [
  { id: 1, method: "initialize", params: { protocolVersion: OLDER, capabilities: {}, clientInfo } },
  { method: "notifications/initialized" },
];

function lines(...messages: readonly object[]): string {
  return messages.map((message) => `${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`).join("");
}

const call = (id: number, name: string, given: object = {}) => ({
  id,
  method: "tools/call",
  params: { name, arguments: given },
});

suite("el-ipc mcp", { concurrency: 4 }, () => {
  test("ends with its input, and answers first what was asked before", async () => {
    using bus = temporaryBus();
    const input = lines(...opening, call(2, "connect", { role: "brief" }), call(3, "list_peers"), {
      id: 4,
      method: "tools/list",
    });
    const { code, stdout, stderr } = await bus.start(["mcp"], { input }).ended;
    assert.deepEqual([code, stderr], [0, ""]);
    const answers = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    assert.deepEqual(answers.map(({ id }) => id).sort(), [1, 2, 3, 4]);
    assert.ok(
      answers.every(({ jsonrpc }) => jsonrpc === "2.0"),
      "nothing but the protocol",
    );
  });

  test("a wait doesn't keep it from ending with its input", async () => {
    using bus = temporaryBus();
    const input = lines(...opening, call(2, "wait_for_signal", { name: "never", timeout: 300 }));
    const started = performance.now();
    const { code, stderr } = await bus.start(["mcp"], { input }).ended;
    assert.deepEqual([code, stderr], [0, ""]);
    assert.ok(performance.now() - started < 10_000);
  });

  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    test(`ends with ${signal}`, async () => {
      using bus = temporaryBus();
      await using served = bus.start(["mcp"], { input: null });
      served.child.stdin.write(lines(...opening));
      await served.untilPrinted("serverInfo");
      served.child.kill(signal);
      assert.equal((await served.ended).stderr, "");
    });
  }

  test("leaves no process behind when its client closes the connection", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const model = await stdio().connect({ environment: bus.environment, server });
    const { transport } = model.client;
    const pid = transport !== undefined && "pid" in transport ? Number(transport.pid) : Number.NaN;
    assert.equal(process.kill(pid, 0), true);
    await model.client.close();
    await waitUntil(() => !isAlive(pid), "it is gone");
  });

  test("garbage on its input doesn't end it, and reaches neither output nor errors", async () => {
    using bus = temporaryBus();
    const input = `garbage\n{"jsonrpc":"2.0"}\n${lines(...opening, call(2, "list_channels"))}`;
    const { code, stdout, stderr } = await bus.start(["mcp"], { input }).ended;
    assert.deepEqual([code, stderr], [0, ""]);
    assert.match(stdout, /No channels/);
    for (const line of stdout.trimEnd().split("\n")) JSON.parse(line);
  });

  test("a failed start is reported in a sentence on standard error", async () => {
    using bus = temporaryBus();
    const { code, stdout, stderr } = await bus.run("mcp", "--key", bus.file("nowhere.key"));
    assert.deepEqual([code, stdout], [1, ""]);
    assert.match(stderr, /^Error: .*nowhere\.key can't be read: there is no such file or folder\n$/);
  });

  test("with IPC_URL it is a client of that server, by HTTP or by TCP", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve({}, "--tcp", "0");
    const [, tcp = ""] = /"tcp":"(tcp:[^"]+)"/.exec(await server.untilLogged("tcp")) ?? [];
    for (const [revision, url] of [
      [OLDER, server.url],
      [NEWEST, server.url],
      [NEWEST, tcp],
    ] as const) {
      const environment = { IPC_URL: url, IPC_DB_PATH: bus.file("unused.db") };
      await using model = await stdio(revision).connect({ environment: bus.environment, server }, { environment });
      const peer = await model.join("remote");
      const waiting = model.call("wait_for_command", { timeout: 20 });
      await ask(server.url, "POST /commands/send", { body: { target: peer, action: "go" } });
      const [id = ""] = /cmd-\w+/.exec(await waiting) ?? [];
      assert.match(await model.call("ack_command", { id, result: { ok: true } }), /acknowledged/);
      await model.call("send_message", { channel: "far", message: "hello" });
      assert.match(await model.call("read_messages", { channel: "far" }), /hello/);
      assert.match(await model.call("wait_for_signal", { name: "go_done" }), /"ok":true/);
      assert.match(await model.call("wait_for_command", { timeout: 0.2 }), /No command came/);
    }
    assert.ok(!readdirSync(dirname(bus.file("x"))).some((name) => name.startsWith("unused")));
  });

  test("--agent and --key are IPC_AGENT and IPC_KEY", async () => {
    using bus = await secureBus("herald");
    const input = lines(...opening, call(2, "connect", { role: "keyed" }));
    const words = ["mcp", "--agent", "herald", "--key", bus.file("herald.key")];
    const { code, stdout } = await bus.start(words, { input }).ended;
    assert.equal(code, 0);
    assert.match(stdout, /peer_id: key-/);
    const { peers } = Object(await bus.answer("peers", "--json"));
    assert.equal(peers[0].agent, "herald");
  });

  test("a bus that gets its operator while it is served is in secure mode at once", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    await using model = await stdio().connect({ environment: bus.environment, server });
    await model.join("early");
    await model.call("send_message", { channel: "c", message: "open" });
    await expectSuccess(bus.run("seed", "ops"));
    assert.match(await model.refusal("send_message", { channel: "c", message: "secure" }), /secure mode is on/);
  });

  test("a fresh send and read load nothing of MCP", aboutTheFile, async () => {
    using bus = temporaryBus();
    for (const name of ["ipc-server.js", "ipc-cli.js", "package.json"])
      cpSync(new URL(name, `file://${entry}`), bus.file(name));
    const alone = { entry: bus.file("ipc-server.js") };
    assert.deepEqual((await bus.start(["send", "c", "a", "hi"], alone).ended).stderr, "");
    assert.match((await bus.start(["read", "c", "b"], alone).ended).stdout, /hi/);
    assert.match((await bus.start(["mcp", "--help"], alone).ended).stdout, /Usage: el-ipc mcp/);
    assert.equal((await bus.start(["mcp"], alone).ended).code, 1);
  });
});
