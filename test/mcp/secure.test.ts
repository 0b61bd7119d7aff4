import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { expectSuccess, secureBus, type TemporaryBus } from "../support/bus.ts";
import { ask } from "../support/http.ts";
import { NEWEST, OLDER, type Options, type Place, sse, stdio, streamable } from "../support/mcp.ts";

suite("MCP in secure mode", () => {
  const stack = new AsyncDisposableStack();
  let stage: Place & { readonly bus: TemporaryBus };

  before(async () => {
    const bus = stack.use(await secureBus("herald", "reader"));
    stage = { bus, environment: bus.environment, server: stack.use(await bus.serve()) };
  });
  after(() => stack.disposeAsync());

  const keyOf = (agent: string): Options => ({
    environment: { IPC_AGENT: agent, IPC_KEY: stage.bus.file(`${agent}.key`) },
  });
  const tokenOf = async (agent: string): Promise<Options> => {
    const { stdout } = await expectSuccess(stage.bus.run("token", agent, "--key", stage.bus.file(`${agent}.key`)));
    return { headers: { Authorization: `Bearer ${stdout.trim()}` } };
  };
  const overStdio = (agent: string) => stdio().connect(stage, keyOf(agent));
  const overHttp = async (agent: string) => streamable(NEWEST).connect(stage, await tokenOf(agent));

  test("over stdio messages are signed with IPC_KEY, and readers are told that they were verified", async () => {
    await using herald = await overStdio("herald");
    await herald.join("backend");
    await herald.call("send_message", { channel: "signed", message: "I am herald" });
    await using reader = await overStdio("reader");
    assert.match(
      await reader.call("read_messages", { channel: "signed" }),
      /^#\d+ <data from="herald" trust="verified">I am herald<\/data>$/,
    );
    const [message] = Object(JSON.parse((await stage.bus.run("read", "signed", "ops")).stdout));
    assert.partialDeepStrictEqual(message, { sender: "herald", signed: true });
  });

  for (const way of [streamable(NEWEST), streamable(OLDER), sse()]) {
    test(`a token attests what is sent over ${way.name}, messages, commands and signals`, async () => {
      const channel = `attested by ${way.name}`;
      await using herald = await way.connect(stage, await tokenOf("herald"));
      await using reader = await way.connect(stage, await tokenOf("reader"));
      const from = await herald.join("herald-role");
      const to = await reader.join("reader-role");
      await herald.call("send_message", { channel, message: "hello" });
      await herald.call("send_command", { target: to, action: "greet" });
      await herald.call("signal", { name: channel });
      assert.match(
        await reader.call("read_messages", { channel }),
        / <data from="herald" trust="attested">hello<\/data>$/,
      );
      const command = await reader.call("wait_for_command", { timeout: 20 });
      assert.ok(
        command.includes(`<data from="herald, herald-role, ${from}" trust="attested">greet {}</data>`),
        command,
      );
      const signal = await reader.call("wait_for_signal", { name: channel });
      assert.ok(signal.includes(`<data from="herald, ${from}" trust="attested">`), signal);
    });

    test(`without a token everything but looking is refused over ${way.name}, with what to do about it`, async () => {
      await using nobody = await way.connect(stage);
      assert.match(await nobody.call("list_peers"), /data|Nobody/);
      for (const [tool, given] of acting) {
        assert.match(
          await nobody.refusal(tool, given),
          /^Refused: secure mode is on\. .*el-ipc token AGENT --key FILE/,
        );
      }
    });
  }

  test("without a key everything but looking is refused over stdio, with what to do about it", async () => {
    await using nobody = await stdio().connect(stage);
    assert.match(await nobody.call("list_peers"), /data|Nobody/);
    for (const [tool, given] of acting) {
      assert.match(await nobody.refusal(tool, given), /^Refused: secure mode is on\. .*IPC_AGENT .*IPC_KEY/);
    }
  });

  test("a key that isn't the agent's own proves nothing", async () => {
    await using mallory = await stdio().connect(stage, {
      environment: { IPC_AGENT: "herald", IPC_KEY: stage.bus.file("reader.key") },
    });
    assert.match(await mallory.refusal("connect", { role: "backend" }), /^Refused: secure mode is on/);
    assert.match(
      await mallory.refusal("send_message", { channel: "c", message: "x", peer_id: "bac-000000" }),
      /^Refused/,
    );
  });

  for (const [name, connect] of [
    ["stdio", overStdio],
    ["Streamable HTTP", overHttp],
  ] as const) {
    test(`a session belongs to the agent that made it: over ${name}`, async () => {
      await using herald = await connect("herald");
      const peer = await herald.join("owned");
      await using reader = await connect("reader");
      for (const [tool, given] of [
        ["wait_for_command", { timeout: 1 }],
        ["set_role", { role: "taken" }],
        ["send_command", { target: "owned", action: "x" }],
        ["signal", { name: "x" }],
        ["send_message", { channel: "c", message: "x" }],
      ] as const) {
        // A signed message is its agent's, whatever session it names.
        if (tool === "send_message" && name === "stdio") continue;
        assert.match(await reader.refusal(tool, { ...given, peer_id: peer }), /is another agent's/);
      }
    });
  }

  test("others' mailboxes stay theirs, and the alarms the operators'", async () => {
    await using reader = await overHttp("reader");
    assert.match(await reader.refusal("read_messages", { channel: "@herald" }), /@herald is not for reader/);
    assert.match(await reader.refusal("read_messages", { channel: "security" }), /security is not for reader/);
    await using herald = await overStdio("herald");
    await herald.join("alarming");
    assert.match(await herald.refusal("send_message", { channel: "security", message: "x" }), /only the bus itself/);
  });

  test("B25 only an operator resets", async () => {
    await using reader = await overHttp("reader");
    assert.match(await reader.refusal("reset_broker"), /reader is not an operator/);
    await using herald = await overStdio("herald");
    assert.match(await herald.refusal("reset_broker"), /herald is not an operator/);
    await using ops = await overStdio("ops");
    assert.match(await ops.call("reset_broker"), /Backup: /);
  });

  test("the session of one agent is not found by another", async () => {
    const { headers: herald } = await tokenOf("herald");
    const { headers: reader } = await tokenOf("reader");
    const common = { "Content-Type": "application/json", Accept: "application/json, text/event-stream" };
    const clientInfo = { name: "test", version: "1" };
    const params = { protocolVersion: OLDER, capabilities: {}, clientInfo };
    const begun = await ask(stage.server.url, "POST /mcp", {
      headers: { ...common, ...herald },
      body: { jsonrpc: "2.0", id: 1, method: "initialize", params },
    });
    const session = { "Mcp-Session-Id": String(begun.headers["mcp-session-id"]) };
    const list = { jsonrpc: "2.0", id: 2, method: "tools/list" };
    const statusFor = async (shown: object) =>
      (await ask(stage.server.url, "POST /mcp", { headers: { ...common, ...session, ...shown }, body: list })).status;
    assert.equal(await statusFor({ ...herald }), 200);
    assert.equal(await statusFor({ ...reader }), 404);
    assert.equal(await statusFor({}), 404);
  });
});

const acting = [
  ["connect", { role: "backend" }],
  ["send_message", { channel: "c", message: "x", peer_id: "bac-000000" }],
  ["send_command", { target: "backend", action: "x", peer_id: "bac-000000" }],
  ["signal", { name: "x", peer_id: "bac-000000" }],
  ["wait_for_command", { timeout: 1, peer_id: "bac-000000" }],
  ["ack_command", { id: "cmd-000000000000" }],
  ["fail_command", { id: "cmd-000000000000" }],
  ["set_role", { role: "x", peer_id: "bac-000000" }],
  ["reset_broker", {}],
] as const;
