import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { temporaryBus } from "../support/bus.ts";
import { ask } from "../support/http.ts";
import { answerIn, askFor, connect } from "../support/sessions.ts";

suite("signals", { concurrency: 4 }, () => {
  test("B36 B38 POST /signals/<name> sets a signal, and GET /signals/<name> says whether it is set", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const { error, code, ok } = await askFor(server, "GET /signals/build_ready", undefined, 404);
    assert.deepEqual([ok, code, error], [false, "not_found", "The signal build_ready is not set"]);
    const { signal } = await askFor(server, "POST /signals/build_ready", { data: { port: 7400 } });
    assert.deepEqual([signal.name, signal.data, signal.from], ["build_ready", { port: 7400 }, "human"]);
    assert.ok(Math.abs(signal.ts - Date.now() / 1_000) < 60);
    for (let round = 0; round < 2; round++) {
      assert.deepEqual(await askFor(server, "GET /signals/build_ready"), { ok: true, signal });
    }
  });

  test("B36 a signal has any data or none, and says who set it", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const id = await connect(server, "backend");
    for (const data of [0, "", "text", false, null, [], { a: [null] }]) {
      assert.deepEqual((await askFor(server, "POST /signals/s", { data })).signal.data, data);
      assert.deepEqual((await askFor(server, "GET /signals/s")).signal.data, data);
    }
    const { status, json } = await ask(server.url, "POST /signals/s");
    assert.deepEqual([status, Object(json).signal.data], [200, null]);
    assert.equal((await askFor(server, "POST /signals/s", { from: id })).signal.from, id);
    assert.equal((await askFor(server, `POST /signals/s?from=${id}`, {})).signal.from, id);
    assert.equal((await askFor(server, "POST /signals/s", { from: "ada" })).signal.from, "ada");
    await askFor(server, "POST /signals/s", [1], 400);
    await askFor(server, "POST /signals/s", "{", 400);
    const { status: large } = await ask(server.url, "POST /signals/s", { body: { data: "x".repeat(1024 * 1024) } });
    assert.equal(large, 413);
  });

  test("B4 B37 setting a signal answers everyone who waits for it", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    await using other = await bus.serve();
    const waits = [server, other, server].map(({ url }) => ask(url, "GET /signals/go/wait?timeout=20000"));
    const cli = bus.start(["signal", "wait", "go"]);
    await sleep(500);
    await askFor(server, "POST /signals/unrelated", {});
    const started = performance.now();
    const { signal } = await askFor(server, "POST /signals/go", { data: [1] });
    for (const answer of await Promise.all(waits)) {
      assert.equal(answer.status, 200);
      assert.deepEqual(answerIn(answer), { ok: true, signal });
    }
    assert.ok(performance.now() - started < 10_000);
    assert.deepEqual(JSON.parse((await cli.ended).stdout), signal);
  });

  test("B37 a wait for a signal that isn't set is 408, after `timeout` milliseconds", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    for (const milliseconds of [0, 600]) {
      const started = performance.now();
      const { status, json } = await ask(server.url, `GET /signals/never/wait?timeout=${milliseconds}`);
      assert.deepEqual([status, json], [408, { ok: false, error: "timeout" }]);
      const took = performance.now() - started;
      assert.ok(took >= milliseconds - 2 && took < milliseconds + 3_000, `${took} ms`);
    }
    await askFor(server, "GET /signals/never/wait?timeout=soon", undefined, 400);
  });

  test("GET /signals lists what is set; DELETE /signals/<name> clears one, and it can be waited for again", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    for (const name of ["one", "two", "three"]) await askFor(server, `POST /signals/${name}`, {});
    await askFor(server, "POST /signals/one", {});
    const names = async () => (await askFor(server, "GET /signals")).signals.map(({ name }) => name);
    assert.deepEqual(await names(), ["two", "three", "one"]);
    assert.deepEqual(await askFor(server, "DELETE /signals/two"), { ok: true });
    assert.deepEqual(await names(), ["three", "one"]);
    await askFor(server, "DELETE /signals/two", undefined, 404);
    await askFor(server, "GET /signals/two", undefined, 404);
    const waiting = ask(server.url, "GET /signals/two/wait?timeout=10000");
    await sleep(100);
    await askFor(server, "POST /signals/two", { data: "again" });
    assert.equal(answerIn(await waiting).signal.data, "again");
  });

  test("any name can be a signal's, in a URL", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    for (const name of ["a b", "ü/🦜", "wait", "%2F", "..", "a?b#c"]) {
      const path = `/signals/${encodeURIComponent(name)}`;
      await askFor(server, `POST ${path}`, { data: name });
      assert.equal((await askFor(server, `GET ${path}`)).signal.data, name);
      assert.equal((await askFor(server, `GET ${path}/wait`)).signal.name, name);
      await askFor(server, `DELETE ${path}`);
    }
    await askFor(server, "POST /signals/a%0Ab", {}, 400);
    await askFor(server, `POST /signals/${"x".repeat(201)}`, {}, 400);
  });

  test("the signals of the longest role and action can be read and cleared", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const word = "x".repeat(100);
    const id = await connect(server, word);
    const { command } = await askFor(server, "POST /commands/send", { target: id, action: word });
    await askFor(server, `POST /commands/${command.id}/ack`, {});
    for (const name of [`${word}_ready`, `${word}_done`]) {
      assert.equal((await askFor(server, `GET /signals/${name}`)).signal.name, name);
      await askFor(server, `DELETE /signals/${name}`);
    }
  });
});
