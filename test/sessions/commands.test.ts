import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { temporaryBus } from "../support/bus.ts";
import { ask } from "../support/http.ts";
import { command, connect, order, said, saidIn, secondsPass, taken, waitFor } from "../support/sessions.ts";

suite("commands over HTTP", { concurrency: 4 }, () => {
  test("B29 POST /commands/send orders something of a session by its id", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const id = await connect(server, "backend");
    const before = Date.now() / 1_000;
    const body = { from: "human", target: id, action: "start_server", params: { port: 7400 } };
    const { ok, command, commands } = await said(server, "POST /commands/send", body);
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

  test("B2 B29 an order to a role is one for each who has it and is there; to * for everybody else", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const gone = await connect(server, "backend");
    await secondsPass(bus, 100);
    const [boss, one, two] = [
      await connect(server, "orchestrator"),
      await connect(server, "backend"),
      await connect(server, "backend"),
    ];
    const tester = await connect(server, "tester");
    const targets = async (from: string, target: string) => {
      const { commands } = await said(server, "POST /commands/send", { from, target, action: "x" });
      assert.equal(new Set(commands.map(({ id }) => id)).size, commands.length);
      return commands.map((sent) => sent.target).toSorted();
    };
    assert.deepEqual(await targets(boss, "backend"), [one, two].toSorted());
    assert.deepEqual(await targets(boss, "*"), [one, two, tester].toSorted());
    assert.deepEqual(await targets(boss, "all"), [one, two, tester].toSorted());
    assert.deepEqual(await targets("human", "*"), [boss, one, two, tester].toSorted(), "B6 a human orders everybody");
    assert.deepEqual(await targets("human", gone), [gone], "one that is away by its id");
  });

  test("B29 an unknown target is 404, and so is one where everybody is gone, or nobody else", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const refused = async (target: string, from = "human") =>
      (await said(server, "POST /commands/send", { from, target, action: "x" }, 404)).error;
    assert.equal(await refused("backend"), "There is no session and no role backend");
    assert.equal(await refused("*"), "Nobody else is connected");
    const id = await connect(server, "backend");
    assert.equal(await refused("*", id), "Nobody else is connected");
    await secondsPass(bus, 100);
    assert.equal(await refused("backend"), `Every backend is gone: ${id}`);
    assert.equal(await refused("*"), `Everybody else is gone: ${id}`);
    assert.deepEqual((await said(server, "GET /commands")).commands, []);
  });

  test("B29 what is missing or can't be is 400", async () => {
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
      const { ok, code, error } = await said(server, "POST /commands/send", body, 400);
      assert.deepEqual([ok, code], [false, "invalid"]);
      assert.match(error, sentence);
    }
    const large = await ask(server.url, "POST /commands/send", {
      body: { target, action: "x", params: "x".repeat(1024 * 1024) },
    });
    assert.equal(large.status, 413);
    assert.deepEqual((await said(server, "GET /commands")).commands, []);
  });

  test("B6 a session and a human order alike: who it was is told, and ?from= says so too", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const [boss, worker] = [await connect(server, "orchestrator"), await connect(server, "backend")];
    const sent = async (query: string, body: object) => {
      const { command } = await said(server, `POST /commands/send${query}`, { target: worker, action: "x", ...body });
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
    for (const params of all) await order(server, id, "x", { params });
    for (const params of all) {
      const next = await taken(server, id);
      assert.deepEqual(next?.params, params);
      await said(server, `POST /commands/${next?.id}/ack`, {});
    }
    await order(server, id, "x");
    assert.deepEqual((await taken(server, id))?.params, {});
  });

  test("B30 GET /commands/<peer-id> lists what a session hasn't begun, and takes none of it", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const [id, other] = [await connect(server, "backend"), await connect(server, "tester")];
    const mine = [await order(server, id, "one"), await order(server, id, "two")];
    await order(server, other);
    const any = await order(server, "backend", "three", { any: true });
    for (let round = 0; round < 3; round++) {
      const { ok, commands } = await said(server, `GET /commands/${id}`);
      assert.equal(ok, true);
      assert.deepEqual(
        commands.map((one) => [one.id, one.status, one.attempts]),
        [...mine, any].map((one) => [one, "pending", 0]),
      );
    }
    assert.equal((await taken(server, id))?.id, mine[0]);
    assert.deepEqual(
      (await said(server, `GET /commands/${id}`)).commands.map((one) => one.id),
      [mine[1], any],
    );
    assert.deepEqual((await said(server, "GET /commands/nobody")).commands, []);
  });

  test("GET /commands lists all of them, those of a session, and those of a status", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const [one, two] = [await connect(server, "backend"), await connect(server, "tester")];
    const sent = [await order(server, one), await order(server, two), await order(server, one)];
    await said(server, `POST /commands/${(await taken(server, one))?.id}/ack`, {});
    const list = async (query: string) =>
      (await said(server, `GET /commands${query}`)).commands.map(({ id }) => sent.indexOf(id));
    assert.deepEqual(await list(""), [0, 1, 2]);
    assert.deepEqual(await list("?limit=2"), [1, 2]);
    assert.deepEqual(await list(`?peer=${one}`), [0, 2]);
    assert.deepEqual(await list("?status=pending"), [1, 2]);
    assert.deepEqual(await list(`?peer=${one}&status=acked`), [0]);
    await said(server, "GET /commands?status=other", undefined, 400);
    await said(server, "GET /commands?limit=0", undefined, 400);
  });

  test("B31 GET /commands/<peer-id>/wait blocks until a command comes, and answers with it", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const id = await connect(server, "backend");
    const waiting = waitFor(server, id, 30_000);
    await new Promise((resolve) => setTimeout(resolve, 200));
    const started = performance.now();
    const sent = await order(server, id, "start_server", { params: { port: 7400 } });
    const answer = await waiting;
    assert.ok(performance.now() - started < 10_000);
    assert.equal(answer.status, 200);
    const { ok, command } = saidIn(answer);
    assert.deepEqual(
      [ok, command.id, command.action, command.status, command.holder, command.attempts],
      [true, sent, "start_server", "leased", id, 1],
    );
    assert.ok(Math.abs((command.leaseUntil ?? 0) - Date.now() / 1_000 - 60) < 5, "it is leased for a minute");
  });

  test("B31 a wait that ends with nothing is 408, after as many milliseconds as timeout says", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const id = await connect(server, "backend");
    for (const milliseconds of [0, 1, 700]) {
      const started = performance.now();
      const { status, json } = await waitFor(server, id, milliseconds);
      const took = performance.now() - started;
      assert.deepEqual([status, json], [408, { ok: false, error: "timeout" }]);
      assert.ok(took >= milliseconds - 2 && took < milliseconds + 3_000, `${took} ms`);
    }
    for (const timeout of ["-1", "x", "1e3", "NaN", "1,5"]) {
      const { error } = await said(server, `GET /commands/${id}/wait?timeout=${timeout}`, undefined, 400);
      assert.match(error, /^timeout must be a number of seconds, 0 or more \(over HTTP: of milliseconds\)$/);
    }
    assert.match(
      (await said(server, "GET /commands/nobody/wait", undefined, 404)).error,
      /There is no session nobody: connect first/,
    );
  });

  test("a session's commands come in the order in which they were sent, each once", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const id = await connect(server, "backend");
    const sent = [];
    for (let n = 0; n < 20; n++) sent.push(await order(server, n % 2 === 0 ? id : "backend", `step_${n}`));
    const came = [];
    for (let n = 0; n < 20; n++) came.push((await taken(server, id))?.id);
    assert.deepEqual(came, sent);
    assert.equal((await waitFor(server, id, 0)).status, 408);
  });

  test("B32 POST /commands/<id>/ack ends a command with its result, once", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const id = await connect(server, "backend");
    const sent = await order(server, id, "start_server");
    await taken(server, id);
    const result = { pid: 4711, ports: [7400] };
    const { ok, command: acked } = await said(server, `POST /commands/${sent}/ack`, { result });
    assert.deepEqual([ok, acked.id, acked.status, acked.result, acked.leaseUntil], [true, sent, "acked", result, null]);
    assert.ok(Math.abs((acked.ackedAt ?? 0) - Date.now() / 1_000) < 5);
    assert.deepEqual(await command(server, sent), acked);
    assert.deepEqual(
      (await said(server, `POST /commands/${sent}/ack`, { result: { ports: [7400], pid: 4711 } })).command,
      acked,
      "the same again is fine",
    );
    for (const other of [{ result: { pid: 4712 } }, {}, { result: null }]) {
      const { ok: fine, error, code } = await said(server, `POST /commands/${sent}/ack`, other, 409);
      assert.deepEqual([fine, code], [false, "conflict"]);
      assert.equal(error, `The command ${sent} has already ended differently`);
    }
    await said(server, `POST /commands/${sent}/fail`, { error: "x" }, 409);
    assert.deepEqual(await command(server, sent), acked);
    await said(server, "POST /commands/cmd-000000000000/ack", {}, 404);
    await said(server, `POST /commands/${sent}/ack`, [], 400);
  });

  test("B32 a result is any JSON, and one may be left out", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const id = await connect(server, "backend");
    for (const result of [null, 0, "", "text", false, [], [null], { a: { b: [] } }]) {
      const sent = await order(server, id);
      for (let round = 0; round < 2; round++) {
        assert.deepEqual((await said(server, `POST /commands/${sent}/ack`, { result })).command.result, result);
      }
    }
    const sent = await order(server, id);
    const { status, json } = await ask(server.url, `POST /commands/${sent}/ack`);
    assert.deepEqual([status, Object(json).command.result], [200, null]);
  });

  test("B2 B32 who ordered is told how it ended: by a command_response, the signal <action>_done and the channel activity", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const [boss, worker] = [await connect(server, "orchestrator"), await connect(server, "backend")];
    const sent = await order(server, worker, "start_server", { from: boss });
    const response = taken(server, boss, 10_000);
    const signal = ask(server.url, "GET /signals/start_server_done/wait?timeout=10000");
    const activity = ask(server.url, "GET /messages?channel=activity&agent=watcher&wait=true");
    await taken(server, worker);
    await said(server, `POST /commands/${sent}/ack`, { result: { pid: 1 } });
    const told = { command_id: sent, action: "start_server", status: "acked", result: { pid: 1 }, by: worker };
    const answer = await response;
    assert.deepEqual(
      [answer?.kind, answer?.action, answer?.from, answer?.fromId, answer?.target, answer?.params],
      ["command_response", "command_response", "backend", worker, boss, told],
    );
    assert.deepEqual(saidIn(await signal).signal.data, told);
    const [entry] = Object((await activity).json);
    assert.deepEqual([entry.sender, JSON.parse(entry.content)], [worker, { type: "command_acked", ...told }]);
    assert.deepEqual((await said(server, "GET /signals")).signals.map(({ name }) => name).toSorted(), [
      "backend_ready",
      "orchestrator_ready",
      "start_server_done",
    ]);
  });

  test("an answer asks for no acknowledgement: it is done once it arrived, and makes no news", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const [boss, worker] = [await connect(server, "orchestrator"), await connect(server, "backend")];
    const sent = await order(server, worker, "work", { from: boss });
    await said(server, `POST /commands/${sent}/ack`, {});
    const [before] = [(await said(server, "GET /signals")).signals.length];
    const answer = await taken(server, boss);
    assert.equal(answer?.kind, "command_response");
    await secondsPass(bus, 1_000);
    assert.equal((await waitFor(server, boss, 100)).status, 408, "it doesn't come again");
    assert.equal((await command(server, answer?.id ?? "")).status, "acked");
    assert.equal((await said(server, "GET /signals")).signals.length, before);
    assert.equal((await said(server, "GET /channels/activity/messages")).messages.length, 1);
  });

  test("a command that failed tells so, and not that it is done", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const [boss, worker] = [await connect(server, "orchestrator"), await connect(server, "backend")];
    const sent = await order(server, worker, "deploy", { from: boss });
    const { command: failed } = await said(server, `POST /commands/${sent}/fail`, { error: "no space" });
    assert.deepEqual([failed.status, failed.result], ["failed", { error: "no space" }]);
    await said(server, `POST /commands/${sent}/fail`, { error: "no space" });
    await said(server, `POST /commands/${sent}/fail`, { error: "another" }, 409);
    await said(server, `POST /commands/${sent}/ack`, { result: { error: "no space" } }, 409);
    await said(server, "GET /signals/deploy_done", undefined, 404);
    const { signal } = await said(server, "GET /signals/deploy_failed");
    assert.equal(Object(signal.data).status, "failed");
    assert.equal(Object((await taken(server, boss))?.params).status, "failed");
    const { messages } = await said(server, "GET /channels/activity/messages");
    assert.equal(Object(messages[0]?.data).type, "command_failed");
  });

  test("POST /commands/ask sends one, and GET /commands/<id>/result waits for its end", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const id = await connect(server, "backend");
    const { command: asked } = await said(server, "POST /commands/ask", { target: id, action: "sum", params: [1, 2] });
    const pending = await said(server, `GET /commands/${asked.id}/result?timeout=50`);
    assert.deepEqual([pending.command.status, pending.command.ackedAt], ["pending", null]);
    const waiting = ask(server.url, `GET /commands/${asked.id}/result?timeout=10000`);
    await taken(server, id);
    await said(server, `POST /commands/${asked.id}/ack`, { result: 3 });
    const { command: ended } = saidIn(await waiting);
    assert.deepEqual([ended.status, ended.result], ["acked", 3]);
    assert.deepEqual(
      (await said(server, `GET /commands/${asked.id}/result`)).command,
      ended,
      "at once when it has ended",
    );
    await said(server, "GET /commands/cmd-none/result", undefined, 404);
  });
});
