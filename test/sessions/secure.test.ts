import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { contentsOf, expectSuccess, messagesOf, secureBus, type TemporaryBus } from "../support/bus.ts";
import { ask } from "../support/http.ts";
import { type Server, waitUntil } from "../support/program.ts";
import { answerIn, askFor, type ServerAnswer, watch } from "../support/sessions.ts";

/** Asks as an agent, by its token. */
type As = (what: string, body?: unknown, status?: number) => Promise<ServerAnswer>;

async function tokenOf(bus: TemporaryBus, agent: string): Promise<string> {
  const { stdout } = await expectSuccess(bus.run("token", agent, "--key", bus.file(`${agent}.key`)));
  return stdout.trim();
}

async function as(bus: TemporaryBus, server: Server, agent: string): Promise<As> {
  const Authorization = `Bearer ${await tokenOf(bus, agent)}`;
  return (what, body, status = 200) => askFor(server, what, body, status, { Authorization });
}

async function connected(agent: As, role: string): Promise<string> {
  return String((await agent("POST /peers/connect", { role })).id);
}

/** The requests that need a known caller. */
const acts: readonly string[] = [
  "POST /peers/connect",
  "POST /peers/ID/heartbeat",
  "POST /peers/ID/role",
  "DELETE /peers/ID",
  "POST /commands/send",
  "POST /commands/ask",
  "GET /commands/ID/wait?timeout=0",
  "POST /commands/CMD/ack",
  "POST /commands/CMD/fail",
  "POST /commands/CMD/retry",
  "POST /signals/go",
  "DELETE /signals/go",
  "POST /channels/builds/send",
];

const body = { role: "backend", target: "backend", action: "x" };

suite("sessions in secure mode", { concurrency: 4 }, () => {
  test("acting needs a token: without one it is 401, and nothing is done", async () => {
    using bus = await secureBus("herald");
    await using server = await bus.serve();
    const herald = await as(bus, server, "herald");
    const id = await connected(herald, "backend");
    const { command } = await herald("POST /commands/send", { target: id, action: "x" });
    await herald("POST /signals/go", {});
    const before = await askFor(server, "GET /status");
    for (const act of acts) {
      const what = act.replace("ID", id).replace("CMD", command.id);
      const { ok, error, code } = await askFor(server, what, what.startsWith("POST") ? body : undefined, 401);
      assert.deepEqual([ok, code], [false, "unauthorized"], what);
      assert.match(
        error,
        /^this needs a token, since it can't be signed \(secure mode active\): make one with `el-ipc token/,
      );
      const { status } = await ask(server.url, what, {
        headers: { Authorization: "Bearer a.b.c" },
        ...(what.startsWith("POST") ? { body } : {}),
      });
      assert.equal(status, 403, `${what} with a token that is none`);
    }
    const after = await askFor(server, "GET /status");
    const facts = ({ peers, commands, signals }: ServerAnswer) => [peers, commands, signals];
    assert.deepEqual(facts(after), facts(before));
  });

  test("on this machine reading needs no token, unless IPC_READ_AUTH asks for one", async () => {
    using bus = await secureBus("herald");
    await using server = await bus.serve();
    await using strict = await bus.serve({ IPC_READ_AUTH: "required" });
    const herald = await as(bus, server, "herald");
    const id = await connected(herald, "backend");
    await herald("POST /signals/go", {});
    const looks = ["GET /peers", "GET /peers/discover", `GET /peers/${id}`, "GET /commands", `GET /commands/${id}`];
    looks.push("GET /signals", "GET /signals/go", "GET /signals/go/wait", "GET /status", "GET /channels/c/messages");
    for (const what of looks) {
      await askFor(server, what);
      await askFor(strict, what, undefined, 401);
      await askFor(server, what, undefined, 401, { Host: "bus.example" });
      await (await as(bus, strict, "herald"))(what);
    }
  });

  test("a session belongs to the token that made it: nobody else speaks, waits or leaves for it", async () => {
    using bus = await secureBus("herald", "mallory");
    await using server = await bus.serve();
    const [herald, mallory, ops] = [
      await as(bus, server, "herald"),
      await as(bus, server, "mallory"),
      await as(bus, server, "ops"),
    ];
    const id = await connected(herald, "backend");
    assert.equal((await askFor(server, `GET /peers/${id}`)).peer.agent, "herald");
    const { command } = await ops("POST /commands/send", { target: id, action: "x" });
    const foreign = [
      `POST /peers/${id}/heartbeat`,
      `POST /peers/${id}/role`,
      `DELETE /peers/${id}`,
      `GET /commands/${id}/wait?timeout=0`,
      `POST /commands/${command.id}/ack`,
      `POST /commands/${command.id}/fail`,
      `POST /commands/${command.id}/retry`,
      `POST /commands/send?from=${id}`,
      `POST /signals/go?from=${id}`,
      `POST /channels/builds/send?from=${id}`,
    ];
    for (const what of foreign) {
      const { error } = await mallory(what, what.startsWith("POST") ? body : undefined, 403);
      assert.match(
        error,
        new RegExp(`^not allowed: the (session ${id}|command ${command.id}) is another agent's$`),
        what,
      );
    }
    assert.equal((await herald(`GET /commands/${id}/wait`)).command.id, command.id);
    await mallory(`POST /commands/${command.id}/ack`, { result: "forged" }, 403);
    assert.equal((await herald(`POST /commands/${command.id}/ack`, { result: "real" })).command.result, "real");
    await herald(`POST /peers/${id}/role`, { role: "tester" });
    await ops(`POST /peers/${id}/heartbeat`);
    assert.deepEqual(await ops(`DELETE /peers/${id}`), { ok: true });
    assert.deepEqual((await askFor(server, "GET /peers")).peers, []);
  });

  test("no token speaks for a session from before the first operator, or from the database", async () => {
    using bus = await secureBus("herald");
    await using server = await bus.serve();
    const herald = await as(bus, server, "herald");
    const { id } = Object(await bus.answer("connect", "backend", "--json"));
    const { error } = await herald(`GET /commands/${id}/wait?timeout=0`, undefined, 403);
    assert.equal(error, `not allowed: the session ${id} was connected without a token: connect again`);
    // A process that opens the database itself is not asked: its file's permissions decided that.
    await expectSuccess(bus.run("command", "send", id, "x"));
    assert.equal((await bus.run("command", "wait", id)).code, 0);
    await (await as(bus, server, "ops"))(`POST /peers/${id}/heartbeat`);
  });

  test("a command for any of a role is ended by its holder, or before that by one of the role", async () => {
    using bus = await secureBus("herald", "mallory", "mia");
    await using server = await bus.serve();
    const [herald, mallory, mia] = [
      await as(bus, server, "herald"),
      await as(bus, server, "mallory"),
      await as(bus, server, "mia"),
    ];
    const id = await connected(herald, "tester");
    await connected(mallory, "tester");
    await connected(mia, "reviewer");
    const any = async () => (await mia("POST /commands/send", { target: "tester", action: "x", any: true })).command.id;
    const held = await any();
    await mia(`POST /commands/${held}/ack`, {}, 403);
    assert.equal((await herald(`GET /commands/${id}/wait`)).command.id, held);
    await mallory(`POST /commands/${held}/ack`, {}, 403);
    await herald(`POST /commands/${held}/fail`, { error: "x" });
    await mallory(`POST /commands/${held}/retry`, undefined, 403);
    await mia(`POST /commands/${held}/retry`);
    const free = await any();
    await mallory(`POST /commands/${free}/ack`, {});
  });

  test("B6 the sender of a command is the token's agent, whatever the request says", async () => {
    using bus = await secureBus("herald", "mallory");
    await using server = await bus.serve();
    const [herald, mallory] = [await as(bus, server, "herald"), await as(bus, server, "mallory")];
    const id = await connected(herald, "backend");
    for (const from of ["human", "ops", "herald", undefined]) {
      const { command } = await mallory("POST /commands/send", { target: id, action: "x", from });
      assert.deepEqual([command.from, command.fromId], ["mallory", null]);
      assert.equal((await mallory("POST /signals/go", { from })).signal.from, "mallory");
    }
    const { command } = await herald("POST /commands/send", { target: id, action: "x", from: id });
    assert.deepEqual([command.from, command.fromId], ["backend", id]);
  });

  test("B33 a session's channel messages are its agent's, attested by the server", async () => {
    using bus = await secureBus("herald", "mallory");
    await using server = await bus.serve();
    const [herald, mallory] = [await as(bus, server, "herald"), await as(bus, server, "mallory")];
    const id = await connected(herald, "backend");
    await herald(`POST /channels/builds/send?from=${id}`, { green: true });
    await herald("POST /channels/builds/send", { green: false });
    await mallory("POST /channels/builds/send?from=herald", { forged: true });
    const read = messagesOf(await bus.answer("read", "builds", "reader"));
    assert.deepEqual(
      read.map((message) => [message.sender, message.signed, Object(message).attested]),
      [
        ["herald", undefined, true],
        ["herald", undefined, true],
        ["mallory", undefined, true],
      ],
    );
  });

  test("a reset takes an operator's token", async () => {
    using bus = await secureBus("herald");
    await using server = await bus.serve();
    const [herald, ops] = [await as(bus, server, "herald"), await as(bus, server, "ops")];
    const id = await connected(herald, "backend");
    await askFor(server, "POST /reset", undefined, 401);
    assert.match((await herald("POST /reset", undefined, 403)).error, /herald is not an operator/);
    assert.equal((await askFor(server, `GET /peers/${id}`)).ok, true);
    assert.equal((await ops("POST /reset")).ok, true);
    await askFor(server, `GET /peers/${id}`, undefined, 404);
    assert.equal((await askFor(server, "GET /health")).secure_mode, true);
    assert.ok(contentsOf(await bus.answer("read", "security", "ops")).length > 0, "its alarms stay");
  });

  test("receipts of a mailbox are for its owner", async () => {
    using bus = await secureBus("herald", "mallory");
    await using server = await bus.serve();
    const [herald, mallory] = [await as(bus, server, "herald"), await as(bus, server, "mallory")];
    const { id } = await herald("POST /channels/@herald/send", { to: "myself" });
    await herald(`GET /receipts?id=${id}`);
    await mallory(`GET /receipts?id=${id}`, undefined, 403);
    await (await as(bus, server, "ops"))(`GET /receipts?id=${id}`);
  });

  test("the command line shows a server its identity with --key or IPC_KEY, for every verb", async () => {
    using bus = await secureBus("herald");
    await using server = await bus.serve();
    const me = bus.with({ IPC_URL: server.url, IPC_KEY: bus.file("herald.key"), IPC_AGENT: "herald" });
    const { id, peer } = Object(await me.answer("connect", "backend", "--json"));
    assert.equal(peer.agent, "herald");
    const asking = me.start(["ask", id, "sum", "[1,2]", "--from", id]);
    const waited = await me.run("command", "wait", id, "--timeout", "20");
    const { id: sent, from } = JSON.parse(waited.stdout);
    assert.equal(from, "backend");
    await expectSuccess(me.run("command", "ack", sent, "3"));
    assert.equal((await asking.ended).stdout, "3\n");
    for (const words of [
      ["heartbeat", id],
      ["role", id, "tester"],
      ["signal", "set", "go", "--from", id],
      ["signal", "wait", "go"],
      ["signal", "clear", "go"],
      ["command", "send", id, "x"],
      ["command", "list"],
      ["peers"],
      ["channel", "send", "builds", "{}"],
      ["leave", id],
    ]) {
      const { code, stderr } = await me.run(...words);
      assert.deepEqual([code, stderr], [0, ""], words.join(" "));
    }
    const stranger = bus.with({ IPC_URL: server.url });
    assert.match((await stranger.run("connect", "backend")).stderr, /^Error: this needs a token/);
    const byFlag = await stranger.run(
      "command",
      "send",
      "tester",
      "x",
      "--from",
      "herald",
      "--key",
      bus.file("herald.key"),
    );
    assert.match(
      byFlag.stderr,
      /^Error: There is no session and no role tester\n$/,
      "who it is is known: it got that far",
    );
  });

  test("a wait and a stream end when the token behind them does", async () => {
    using bus = await secureBus("herald");
    await using server = await bus.serve();
    const { stdout } = await expectSuccess(
      bus.run("token", "herald", "--key", bus.file("herald.key"), "--seconds", "3"),
    );
    const Authorization = `Bearer ${stdout.trim()}`;
    const { id } = await askFor(server, "POST /peers/connect", { role: "backend" }, 200, { Authorization });
    const waiting = ask(server.url, `GET /commands/${id}/wait?timeout=60000`, { headers: { Authorization } });
    using watching = await watch(server, undefined, { Authorization });
    const started = performance.now();
    assert.equal((await waiting).status, 408);
    await watching.ended;
    assert.ok(performance.now() - started < 20_000);
    const herald = await as(bus, server, "herald");
    await waitUntil(
      async () => (await askFor(server, `GET /peers/${id}`)).peer.waiting_for === null,
      "it waits no more",
    );
    const { command } = await herald("POST /commands/send", { target: id, action: "x" });
    const answer = await ask(server.url, `GET /commands/${id}/wait`, {
      headers: { Authorization: `Bearer ${await tokenOf(bus, "herald")}` },
    });
    assert.equal(answerIn(answer).command.id, command.id);
  });
});
