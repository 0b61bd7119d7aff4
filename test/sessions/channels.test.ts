import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { contentsOf, temporaryBus } from "../support/bus.ts";
import { ask } from "../support/http.ts";
import { askFor, connect } from "../support/sessions.ts";

suite("channels over the broker's routes", { concurrency: 4 }, () => {
  test("B3 B33 POST /channels/<name>/send takes any JSON body, and it comes back as it was", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const bodies = [
      { status: "green", deep: [{ ü: "🦜" }] },
      [1, "two", null],
      "just text",
      "",
      "  ",
      "null",
      "42",
      '{"a":1}',
      '"quoted"',
      "true",
      "\ud83e",
      "a\u0000b\u2028",
      0,
      -1.5e-7,
      true,
      false,
      null,
      {},
      [],
    ];
    const ids: unknown[] = [];
    for (const body of bodies) {
      const { ok, id } = await askFor(server, "POST /channels/builds/send", JSON.stringify(body));
      assert.equal(ok, true);
      ids.push(id);
    }
    const { ok, messages } = await askFor(server, "GET /channels/builds/messages");
    assert.equal(ok, true);
    assert.deepEqual(
      messages.map(({ id, channel, from, data }) => [id, channel, from, data]),
      bodies.map((body, n) => [ids[n], "builds", "human", body]),
    );
    for (const { ts } of messages) assert.ok(Math.abs(ts - Date.now() / 1_000) < 60);
  });

  test("B33 a body that is no JSON is 400, one that is too large 413, and neither is stored", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    for (const body of ["", "{", "undefined", "NaN", "'x'", Buffer.from([0x22, 0xff, 0x22])]) {
      const { status, json } = await ask(server.url, "POST /channels/builds/send", { body });
      assert.deepEqual([status, Object(json).ok], [400, false], String(body));
    }
    for (const large of [{ text: "x".repeat(1024 * 1024) }, "x".repeat(1024 * 1024 + 1), ["é".repeat(512 * 1024)]]) {
      const { status } = await ask(server.url, "POST /channels/builds/send", { body: JSON.stringify(large) });
      assert.equal(status, 413);
    }
    await askFor(server, "POST /channels/builds/send", JSON.stringify("x".repeat(1024 * 1024 - 2)));
    assert.equal((await askFor(server, "GET /channels/builds/messages")).messages.length, 1);
  });

  test("B33 ?from= names the sender: a session's id or a name", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const id = await connect(server, "backend");
    for (const from of [id, "ada", "", undefined]) {
      await askFor(server, `POST /channels/c/send${from === undefined ? "" : `?from=${from}`}`, { from: "not this" });
    }
    const { messages } = await askFor(server, "GET /channels/c/messages");
    assert.deepEqual(
      messages.map(({ from, data }) => [from, data]),
      [id, "ada", "human", "human"].map((from) => [from, { from: "not this" }]),
    );
  });

  test("B34 B35 GET /channels/<name>/messages is all of them, and with since only what is newer", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const ids: number[] = [];
    for (let n = 0; n < 6; n++) {
      ids.push(Number((await askFor(server, "POST /channels/c/send", { n })).id));
      await askFor(server, "POST /channels/other/send", { n });
    }
    const list = async (query: string) =>
      (await askFor(server, `GET /channels/c/messages${query}`)).messages.map(({ data }) => Object(data).n);
    for (let round = 0; round < 2; round++) assert.deepEqual(await list(""), [0, 1, 2, 3, 4, 5], "nothing is consumed");
    assert.deepEqual(await list(`?since=${ids[3]}`), [4, 5]);
    assert.deepEqual(await list("?since=0"), [0, 1, 2, 3, 4, 5]);
    assert.deepEqual(await list(`?since=${ids[5]}`), []);
    assert.deepEqual(await list(`?since=${ids[1]}&limit=2`), [2, 3]);
    for (const wrong of ["-1", "x", "1.5", "1e3"])
      await askFor(server, `GET /channels/c/messages?since=${wrong}`, undefined, 400);
    assert.deepEqual(await askFor(server, "GET /channels/nowhere/messages"), { ok: true, messages: [] });
  });

  test("any name can be a channel's, in an address as in a message", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    for (const name of ["a b", "ü/🦜", "..", "%2F", "?since=5", "messages", "a&b=c", "*"]) {
      const path = `/channels/${encodeURIComponent(name)}`;
      await askFor(server, `POST ${path}/send`, { to: name });
      const { messages } = await askFor(server, `GET ${path}/messages`);
      assert.deepEqual(
        messages.map(({ channel, data }) => [channel, data]),
        [[name, { to: name }]],
      );
    }
    await askFor(server, "GET /channels/%FF/messages", undefined, 400);
    await askFor(server, "POST /channels/a%0Ab/send", {}, 400);
  });

  test("B3 it is one bus: the broker's routes and the command line read each other's messages", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const waiter = bus.start(["read", "builds", "reader", "--wait"]);
    await askFor(server, "POST /channels/builds/send", JSON.stringify("main is green"));
    assert.deepEqual(contentsOf(JSON.parse((await waiter.ended).stdout)), ["main is green"]);
    await askFor(server, "POST /channels/builds/send", { status: "red" });
    assert.deepEqual(contentsOf(await bus.answer("read", "builds", "reader")), ['{"status":"red"}']);
    await bus.run("send", "builds", "herald", "plain words");
    await bus.run("send", "builds", "herald", '{"json":true}');
    const { messages } = await askFor(server, "GET /channels/builds/messages?since=2");
    assert.deepEqual(
      messages.map(({ from, data }) => [from, data]),
      [
        ["herald", "plain words"],
        ["herald", { json: true }],
      ],
    );
  });

  test("GET /channels keeps the original's array, with the broker's channels in it", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    await askFor(server, "POST /channels/builds/send", {});
    const { status, json } = await ask(server.url, "GET /channels");
    assert.ok(Array.isArray(json));
    assert.deepEqual([status, json.map(({ channel, count }) => [channel, count])], [200, [["builds", 1]]]);
  });

  test("only the bus itself writes to the channel security", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    await askFor(server, "POST /channels/security/send", { event: "all is well" }, 403);
  });
});
