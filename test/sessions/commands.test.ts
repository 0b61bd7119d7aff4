import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { temporaryBus } from "../support/bus.ts";
import { ask } from "../support/http.ts";
import {
  answerIn,
  askFor,
  connect,
  findCommand,
  letSecondsPass,
  sendCommand,
  takeCommand,
  waitForCommand,
} from "../support/sessions.ts";

suite("commands over HTTP", { concurrency: 4 }, () => {
  test("B29 POST /commands/send sends a command to a session by its id", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const id = await connect(server, "backend");
    const before = Date.now() / 1_000;
    const body = { from: "human", target: id, action: "start_server", params: { port: 7400 } };
    const { ok, command, commands } = await askFor(server, "POST /commands/send", body);
    const { id: sent, ts, ...rest } = command;
    assert.match(sent, /^cmd-[0-9a-f]{12}$/);
    assert.ok(ts >= before - 1 && ts <= Date.now() / 1_000 + 1);
    assert.deepEqual(rest, {
      kind: "command",
      from: "human",
      fromId: null,
      target: id,
      targetRole: "backend",
      action: "start_server",
      params: { port: 7400 },
      status: "pending",
      attempts: 0,
      holder: null,
      leaseUntil: null,
      result: null,
      ackedAt: null,
    });
    assert.deepEqual([ok, commands], [true, [command]]);
  });

  test("B29 an unknown target is 404, and so is one where everybody is gone", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const refused = async (target: string, from = "human") =>
      (await askFor(server, "POST /commands/send", { from, target, action: "x" }, 404)).error;
    assert.equal(await refused("backend"), "There is no session and no role backend");
    assert.equal(await refused("*"), "Nobody else is connected");
    const id = await connect(server, "backend");
    assert.equal(await refused("*", id), "Nobody else is connected");
    await letSecondsPass(bus, 100);
    assert.equal(await refused("backend"), `Every backend is gone: ${id}`);
    assert.equal(await refused("*"), `Everybody else is gone: ${id}`);
    assert.deepEqual((await askFor(server, "GET /commands")).commands, []);
  });

  test("B29 missing and impossible fields are 400", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const target = await connect(server, "backend");
    const refused: readonly [object, RegExp][] = [
      [{}, /^target and action required$/],
      [{ target }, /^target and action required$/],
      [{ target, action: "a\nb" }, /control characters/],
      [{ target, action: "x".repeat(101) }, /100 characters at most/],
      [{ target, action: "x", any: true }, /any is for a role/],
      [{ target: "*", action: "x", any: true }, /any is for a role/],
      [{ target, action: "x", lease: 0 }, /lease must be a number of seconds, 1 or more/],
      [{ target, action: "x", expires: -1 }, /expires must be/],
      [{ target, action: "x", any: "yes" }, /any must be true or false/],
    ];
    for (const [body, sentence] of refused) {
      const { ok, code, error } = await askFor(server, "POST /commands/send", body, 400);
      assert.deepEqual([ok, code], [false, "invalid"]);
      assert.match(error, sentence);
    }
    const large = await ask(server.url, "POST /commands/send", {
      body: { target, action: "x", params: "x".repeat(1024 * 1024) },
    });
    assert.equal(large.status, 413);
    assert.deepEqual((await askFor(server, "GET /commands")).commands, []);
  });

  test("B6 sessions and humans send commands alike, named by `from` in the body or the query", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const [boss, worker] = [await connect(server, "orchestrator"), await connect(server, "backend")];
    const sent = async (query: string, body: object) => {
      const { command } = await askFor(server, `POST /commands/send${query}`, { target: worker, action: "x", ...body });
      return [command.from, command.fromId];
    };
    assert.deepEqual(await sent("", { from: boss }), ["orchestrator", boss]);
    assert.deepEqual(await sent(`?from=${boss}`, {}), ["orchestrator", boss]);
    assert.deepEqual(await sent("", { from: "human" }), ["human", null]);
    assert.deepEqual(await sent("", {}), ["human", null]);
    assert.deepEqual(await sent("", { from: "ada's script" }), ["ada's script", null]);
  });

  test("params are any JSON, and come as they were sent", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const id = await connect(server, "backend");
    const all = [{ port: 7400 }, [1, [2]], "text", "null", 0, -1.5, false, null, "", { __proto__x: { ü: "🦜\u0000" } }];
    for (const params of all) await sendCommand(server, id, "x", { params });
    for (const params of all) {
      const next = await takeCommand(server, id);
      assert.deepEqual(next?.params, params);
      await askFor(server, `POST /commands/${next?.id}/ack`, {});
    }
    await sendCommand(server, id, "x");
    assert.deepEqual((await takeCommand(server, id))?.params, {});
  });

  test("B30 GET /commands/<peer-id> lists a session's pending commands without taking them", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const [id, other] = [await connect(server, "backend"), await connect(server, "tester")];
    const mine = [await sendCommand(server, id, "one"), await sendCommand(server, id, "two")];
    await sendCommand(server, other);
    const any = await sendCommand(server, "backend", "three", { any: true });
    for (let round = 0; round < 3; round++) {
      const { ok, commands } = await askFor(server, `GET /commands/${id}`);
      assert.equal(ok, true);
      assert.deepEqual(
        commands.map((one) => [one.id, one.status, one.attempts]),
        [...mine, any].map((one) => [one, "pending", 0]),
      );
    }
    assert.equal((await takeCommand(server, id))?.id, mine[0]);
    assert.deepEqual(
      (await askFor(server, `GET /commands/${id}`)).commands.map((one) => one.id),
      [mine[1], any],
    );
    assert.deepEqual((await askFor(server, "GET /commands/nobody")).commands, []);
  });

  test("GET /commands lists all commands, or those of a session or a status", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const [one, two] = [await connect(server, "backend"), await connect(server, "tester")];
    const sent = [await sendCommand(server, one), await sendCommand(server, two), await sendCommand(server, one)];
    await askFor(server, `POST /commands/${(await takeCommand(server, one))?.id}/ack`, {});
    const list = async (query: string) =>
      (await askFor(server, `GET /commands${query}`)).commands.map(({ id }) => sent.indexOf(id));
    assert.deepEqual(await list(""), [0, 1, 2]);
    assert.deepEqual(await list("?limit=2"), [1, 2]);
    assert.deepEqual(await list(`?peer=${one}`), [0, 2]);
    assert.deepEqual(await list("?status=pending"), [1, 2]);
    assert.deepEqual(await list(`?peer=${one}&status=acked`), [0]);
    await askFor(server, "GET /commands?status=other", undefined, 400);
    await askFor(server, "GET /commands?limit=0", undefined, 400);
  });

  test("B31 GET /commands/<peer-id>/wait blocks until a command comes, and answers with it", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const id = await connect(server, "backend");
    const waiting = waitForCommand(server, id, 30_000);
    await new Promise((resolve) => setTimeout(resolve, 200));
    const started = performance.now();
    const sent = await sendCommand(server, id, "start_server", { params: { port: 7400 } });
    const answer = await waiting;
    assert.ok(performance.now() - started < 10_000);
    assert.equal(answer.status, 200);
    const { ok, command } = answerIn(answer);
    assert.deepEqual(
      [ok, command.id, command.action, command.status, command.holder, command.attempts],
      [true, sent, "start_server", "leased", id, 1],
    );
    assert.ok(Math.abs((command.leaseUntil ?? 0) - Date.now() / 1_000 - 60) < 5, "it is leased for a minute");
  });

  test("B31 a wait that ends with nothing is 408, after `timeout` milliseconds", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const id = await connect(server, "backend");
    for (const milliseconds of [0, 1, 700]) {
      const started = performance.now();
      const { status, json } = await waitForCommand(server, id, milliseconds);
      const took = performance.now() - started;
      assert.deepEqual([status, json], [408, { ok: false, error: "timeout" }]);
      assert.ok(took >= milliseconds - 2 && took < milliseconds + 3_000, `${took} ms`);
    }
    for (const timeout of ["-1", "x", "1e3", "NaN", "1,5"]) {
      const { error } = await askFor(server, `GET /commands/${id}/wait?timeout=${timeout}`, undefined, 400);
      assert.match(error, /^timeout must be a number of seconds, 0 or more \(over HTTP: of milliseconds\)$/);
    }
    assert.match(
      (await askFor(server, "GET /commands/nobody/wait", undefined, 404)).error,
      /There is no session nobody: connect first/,
    );
  });

  test("B32 POST /commands/<id>/ack ends a command with its result, once", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const id = await connect(server, "backend");
    const sent = await sendCommand(server, id, "start_server");
    await takeCommand(server, id);
    const result = { pid: 4711, ports: [7400] };
    const { ok, command: acked } = await askFor(server, `POST /commands/${sent}/ack`, { result });
    assert.deepEqual([ok, acked.id, acked.status, acked.result, acked.leaseUntil], [true, sent, "acked", result, null]);
    assert.ok(Math.abs((acked.ackedAt ?? 0) - Date.now() / 1_000) < 5);
    assert.deepEqual(await findCommand(server, sent), acked);
    assert.deepEqual(
      (await askFor(server, `POST /commands/${sent}/ack`, { result: { ports: [7400], pid: 4711 } })).command,
      acked,
      "the same again is fine",
    );
    for (const other of [{ result: { pid: 4712 } }, {}, { result: null }]) {
      const { ok: fine, error, code } = await askFor(server, `POST /commands/${sent}/ack`, other, 409);
      assert.deepEqual([fine, code], [false, "conflict"]);
      assert.equal(error, `The command ${sent} has already ended differently`);
    }
    await askFor(server, `POST /commands/${sent}/fail`, { error: "x" }, 409);
    assert.deepEqual(await findCommand(server, sent), acked);
    await askFor(server, "POST /commands/cmd-000000000000/ack", {}, 404);
    await askFor(server, `POST /commands/${sent}/ack`, [], 400);
  });

  test("B32 a result is any JSON, and one may be left out", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const id = await connect(server, "backend");
    for (const result of [null, 0, "", "text", false, [], [null], { a: { b: [] } }]) {
      const sent = await sendCommand(server, id);
      for (let round = 0; round < 2; round++) {
        assert.deepEqual((await askFor(server, `POST /commands/${sent}/ack`, { result })).command.result, result);
      }
    }
    const sent = await sendCommand(server, id);
    const { status, json } = await ask(server.url, `POST /commands/${sent}/ack`);
    assert.deepEqual([status, Object(json).command.result], [200, null]);
  });

  test("B2 B32 the sender gets a command_response, the signal <action>_done and an entry in activity", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const [boss, worker] = [await connect(server, "orchestrator"), await connect(server, "backend")];
    const sent = await sendCommand(server, worker, "start_server", { from: boss });
    const response = takeCommand(server, boss, 10_000);
    const signal = ask(server.url, "GET /signals/start_server_done/wait?timeout=10000");
    const activity = ask(server.url, "GET /messages?channel=activity&agent=watcher&wait=true");
    await takeCommand(server, worker);
    await askFor(server, `POST /commands/${sent}/ack`, { result: { pid: 1 } });
    const told = { command_id: sent, action: "start_server", status: "acked", result: { pid: 1 }, by: worker };
    const answer = await response;
    assert.deepEqual(
      [answer?.kind, answer?.action, answer?.from, answer?.fromId, answer?.target, answer?.params],
      ["command_response", "command_response", "backend", worker, boss, told],
    );
    assert.deepEqual(answerIn(await signal).signal.data, told);
    const [entry] = Object((await activity).json);
    assert.deepEqual([entry.sender, JSON.parse(entry.content)], [worker, { type: "command_acked", ...told }]);
    assert.deepEqual((await askFor(server, "GET /signals")).signals.map(({ name }) => name).toSorted(), [
      "backend_ready",
      "orchestrator_ready",
      "start_server_done",
    ]);
  });

  test("a response needs no acknowledgement: it is done once delivered, and reports nothing", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const [boss, worker] = [await connect(server, "orchestrator"), await connect(server, "backend")];
    const sent = await sendCommand(server, worker, "work", { from: boss });
    await askFor(server, `POST /commands/${sent}/ack`, {});
    const [before] = [(await askFor(server, "GET /signals")).signals.length];
    const answer = await takeCommand(server, boss);
    assert.equal(answer?.kind, "command_response");
    await letSecondsPass(bus, 1_000);
    assert.equal((await waitForCommand(server, boss, 100)).status, 408, "it doesn't come again");
    assert.equal((await findCommand(server, answer?.id ?? "")).status, "acked");
    assert.equal((await askFor(server, "GET /signals")).signals.length, before);
    assert.equal((await askFor(server, "GET /channels/activity/messages")).messages.length, 1);
  });

  test("POST /commands/ask sends a command, and GET /commands/<id>/result waits for its end", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const id = await connect(server, "backend");
    const { command: asked } = await askFor(server, "POST /commands/ask", {
      target: id,
      action: "sum",
      params: [1, 2],
    });
    const pending = await askFor(server, `GET /commands/${asked.id}/result?timeout=50`);
    assert.deepEqual([pending.command.status, pending.command.ackedAt], ["pending", null]);
    const waiting = ask(server.url, `GET /commands/${asked.id}/result?timeout=10000`);
    await takeCommand(server, id);
    await askFor(server, `POST /commands/${asked.id}/ack`, { result: 3 });
    const { command: ended } = answerIn(await waiting);
    assert.deepEqual([ended.status, ended.result], ["acked", 3]);
    assert.deepEqual(
      (await askFor(server, `GET /commands/${asked.id}/result`)).command,
      ended,
      "at once when it has ended",
    );
    await askFor(server, "GET /commands/cmd-none/result", undefined, 404);
  });
});
