import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { type TemporaryBus, temporaryBus } from "../support/bus.ts";
import { ask } from "../support/http.ts";
import { everyWay, type Model, type Place } from "../support/mcp.ts";
import { waitUntil } from "../support/program.ts";

/** A bus with a server, for all of a suite. */
interface Stage extends Place {
  readonly bus: TemporaryBus;
}

const quoted = /^<data from="([^"]*)" trust="(\w+)">([\s\S]*)<\/data>$/;

for (const way of everyWay) {
  suite(`MCP over ${way.name}`, () => {
    const stack = new AsyncDisposableStack();
    let stage: Stage;
    let model: Model;

    before(async () => {
      const bus = stack.use(temporaryBus());
      stage = { bus, environment: bus.environment, server: stack.use(await bus.serve()) };
      model = stack.use(await way.connect(stage));
    });
    after(() => stack.disposeAsync());

    const get = async (path: string): Promise<Record<string, unknown>> =>
      Object((await ask(stage.server.url, `GET ${path}`)).json);

    test("B11 a client is told what this is, and lists the tools", async () => {
      assert.match(model.client.getInstructions() ?? "", /data, never an order/);
      assert.equal(model.client.getServerVersion()?.name, "el-ipc");
      const { tools } = await model.client.listTools();
      const names = tools.map(({ name }) => name);
      for (const name of originalTools) assert.ok(names.includes(name), name);
    });

    test("B12 B13 connect() says who is online and which roles are free, and asks for one", async () => {
      const alone = await model.call("connect");
      assert.match(alone, /Nobody is connected/);
      assert.match(alone, /Free roles: orchestrator, backend, .*ask; then connect\(role\)/);
      assert.deepEqual((await get("/peers")).peers, []);
      await ask(stage.server.url, "POST /peers/connect", { body: { role: "backend", capabilities: ["node"] } });
      const accompanied = await model.call("connect");
      assert.match(
        accompanied,
        /<data from="peers" trust="unverified">bac-[0-9a-f]{6} {2}backend {2}online {2}can node<\/data>/,
      );
      assert.doesNotMatch(accompanied.split("\n").at(-1) ?? "", /backend/);
    });

    test("B14 connect(role, capabilities) registers the session under its role", async () => {
      const peer = await model.join("orchestrator", ["planning", "review"]);
      assert.match(peer, /^orc-[0-9a-f]{6}$/);
      const { peer: shown } = await get(`/peers/${peer}`);
      assert.partialDeepStrictEqual(shown, {
        role: "orchestrator",
        capabilities: ["planning", "review"],
        status: "online",
      });
      assert.match(await model.refusal("connect", { role: "orchestrator" }), /There is already an orchestrator/);
    });

    test("B15 my_info() answers with id and role", async () => {
      assert.match(await model.call("my_info"), new RegExp(`^${model.peer} {2}orchestrator {2}online`));
    });

    test("B16 list_peers() lists everybody", async () => {
      const [, from, trust, text = ""] = quoted.exec(await model.call("list_peers")) ?? [];
      assert.deepEqual([from, trust], ["peers", "unverified"]);
      assert.deepEqual(
        text.split("\n").map((line) => line.split("  ")[1]),
        ["backend", "orchestrator"],
      );
    });

    test("B17 B18 B19 a command goes to a role, is waited for, acknowledged, and its sender hears of it", async () => {
      await using backend = await way.connect(stage);
      await backend.join("worker");
      const waiting = backend.call("wait_for_command", { timeout: 30 });
      const sent = await model.call("send_command", {
        target: "worker",
        action: "start_server",
        params: { port: 7400 },
      });
      const [, id = ""] = /^(cmd-\w+) sent to wor-/.exec(sent) ?? [];
      const [taken, rest = ""] = (await waiting).split(/: (.*)/s);
      assert.equal(taken, id);
      assert.deepEqual(quoted.exec(rest)?.slice(1), [
        `orchestrator, ${model.peer}`,
        "unverified",
        'start_server {"port":7400}',
      ]);
      assert.match(
        await backend.call("ack_command", { id, result: { url: "http://localhost:7400" } }),
        /is acknowledged/,
      );
      assert.match(
        await backend.call("ack_command", { id, result: { url: "http://localhost:7400" } }),
        /is acknowledged/,
      );
      assert.match(await backend.refusal("ack_command", { id, result: { other: 1 } }), /ended differently/);

      const heard = await model.call("wait_for_command", { timeout: 30 });
      const [, , , told = ""] = /^(How .*ended): <data from="([^"]*)" trust="\w+">(.*)<\/data>$/.exec(heard) ?? [];
      assert.partialDeepStrictEqual(JSON.parse(told), {
        command_id: id,
        status: "acked",
        result: { url: "http://localhost:7400" },
      });
      await waitUntil(async () => {
        const { commands } = await get(`/commands?peer=${model.peer}&status=acked`);
        return Array.isArray(commands) && commands.some(({ kind }) => kind === "command_response");
      }, "a response asks for no acknowledgement");
    });

    test("a command that won't be done is failed, and its sender hears why", async () => {
      await using backend = await way.connect(stage);
      const peer = await backend.join("refuser");
      await model.call("send_command", { target: peer, action: "delete_everything" });
      const [id = ""] = /cmd-\w+/.exec(await backend.call("wait_for_command", { timeout: 30 })) ?? [];
      assert.match(await backend.call("fail_command", { id, error: "not my task" }), /has failed/);
      assert.match(
        await model.call("wait_for_command", { timeout: 30 }),
        /"status":"failed","result":\{"error":"not my task"\}/,
      );
    });

    test("B18 a wait for a command ends in time with a sentence, which is no error", async () => {
      assert.match(await model.call("wait_for_command", { timeout: 0.2 }), /^No command came/);
    });

    test("B20 B21 messages are sent to a channel, and read from an id on", async () => {
      const first = await model.call("send_message", { channel: "builds", message: "main is red" });
      const [, id = ""] = /^Sent as #(\d+)$/.exec(first) ?? [];
      await ask(stage.server.url, "POST /channels/builds/send?from=ci", { body: { status: "green" } });
      const [one = "", two = "", more] = (await model.call("read_messages", { channel: "builds" })).split("\n");
      assert.equal(one, `#${id} <data from="${model.peer}" trust="unverified">main is red</data>`);
      assert.match(two, /^#\d+ <data from="ci" trust="unverified">\{"status":"green"\}<\/data>$/);
      assert.equal(more, undefined);
      assert.equal(await model.call("read_messages", { channel: "builds", since_id: Number(id) }), two);
      assert.match(await model.call("read_messages", { channel: "builds", limit: 1 }), /There may be more/);
      assert.equal(await model.call("read_messages", { channel: "empty" }), "No messages");
      const { messages } = await get("/channels/builds/messages");
      assert.ok(Array.isArray(messages));
      assert.equal(messages[0]?.data, "main is red");
    });

    test("reading with a timeout waits for a message", async () => {
      const waiting = model.call("read_messages", { channel: "slow", timeout: 30 });
      await ask(stage.server.url, "POST /channels/slow/send?from=ci", { body: JSON.stringify("at last") });
      assert.match(await waiting, /at last/);
      assert.equal(await model.call("read_messages", { channel: "silent", timeout: 0.1 }), "No messages");
    });

    test("B22 B23 a signal reaches waits from before and after it was set", async () => {
      const waiting = model.call("wait_for_signal", { name: "ready", timeout: 30 });
      assert.equal(await model.call("signal", { name: "ready", data: { port: 7400 } }), "ready is set");
      const expected = `<data from="${model.peer}" trust="unverified">ready {"port":7400}</data>`;
      assert.equal(await waiting, expected);
      assert.equal(await model.call("wait_for_signal", { name: "ready" }), expected);
      assert.match(await model.call("wait_for_signal", { name: "never", timeout: 0.1 }), /was not set in that time/);
    });

    test("a role is changed, channels are listed", async () => {
      assert.match(await model.call("set_role", { role: "planner" }), /planner/);
      assert.match(await model.call("list_channels"), /builds: 2/);
    });

    test("B24 broker_status() says in a few lines what is on the bus", async () => {
      const status = await model.call("broker_status");
      assert.match(status, /^Open mode\n<data from="bus" trust="unverified">peers online: /);
      assert.match(status, new RegExp(`${model.peer} planner`));
      assert.match(status, /builds \(2\)/);
      assert.ok(status.length < 1_500);
    });

    test("a tool that fails says what to do", async () => {
      assert.equal(await model.refusal("send_message", { channel: "builds" }), "message required");
      assert.match(await model.refusal("send_message", { channel: "a\nb", message: "x" }), /^channel must not contain/);
      assert.match(
        await model.refusal("read_messages", { channel: "c", since_id: -1 }),
        /^since_id must be a whole number/,
      );
      assert.match(await model.refusal("my_info", { id: "x" }), /^unknown argument "id"; my_info takes peer_id/);
      assert.match(
        await model.refusal("send_command", { target: "nobody", action: "x" }),
        /There is no session and no role nobody/,
      );
      assert.match(
        await model.refusal("my_info", { peer_id: "bac-000000" }),
        /There is no session bac-000000: connect first/,
      );
      await assert.rejects(model.call("no_such_tool"), /There is no tool no_such_tool/);
    });

    test("a client that isn't connected is told to connect, and never speaks as a human", async () => {
      await using stranger = await way.connect(stage);
      for (const [tool, given] of [
        ["send_message", { channel: "builds", message: "x" }],
        ["send_command", { target: "backend", action: "x" }],
        ["signal", { name: "x" }],
        ["wait_for_command", {}],
        ["my_info", {}],
      ] as const) {
        assert.match(await stranger.refusal(tool, given), /^You are not connected: call connect with a role/);
      }
    });

    test("numbers and objects written as text are understood", async () => {
      assert.equal(await model.call("read_messages", { channel: "empty", since_id: "5" }), "No messages");
      await model.call("signal", { name: "written", data: '{"port":1}' });
      assert.match(await model.call("wait_for_signal", { name: "written", timeout: "5" }), /written \{"port":1\}/);
    });

    test("B25 reset_broker() clears everything", async () => {
      assert.match(await model.call("reset_broker"), /Backup: /);
      assert.equal(await model.call("list_peers"), "Nobody is connected");
      assert.equal(await model.call("list_channels"), "No channels");
      assert.match(await model.refusal("my_info"), /connect first/);
    });
  });
}

const originalTools = [
  "connect",
  "my_info",
  "list_peers",
  "send_command",
  "wait_for_command",
  "ack_command",
  "send_message",
  "read_messages",
  "signal",
  "wait_for_signal",
  "broker_status",
  "reset_broker",
  "set_role",
  "list_channels",
];
