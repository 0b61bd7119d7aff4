import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { aboutTheFile, contentsOf, type TemporaryBus, temporaryBus } from "../support/bus.ts";
import { clockSpeed, fastClock } from "../support/clock.ts";
import { ask, connectRaw } from "../support/http.ts";
import { original } from "../support/original.ts";
import { type Server, untilListening, waitUntil } from "../support/program.ts";

async function openRequests({ url }: Server): Promise<number> {
  const { text } = await ask(url, "GET /metrics");
  return Number(/^el_ipc_http_open_requests (\d+)$/m.exec(text)?.[1]);
}

/** Until so many others are being answered. */
async function waiting(server: Server, count: number): Promise<void> {
  await waitUntil(async () => (await openRequests(server)) - 1 === count, `${count} open requests`);
}

const poll = (server: Server, agent: string, more = "") =>
  ask(server.url, `GET /messages?channel=c&agent=${agent}&wait=true${more}`);

const send = (server: Server, content: string, channel = "c") =>
  ask(server.url, "POST /send", { body: { channel, sender: "a", content } });

suite("waiting over HTTP", { concurrency: 6 }, () => {
  const writers: readonly {
    who: string;
    write: (bus: TemporaryBus, server: Server) => unknown;
    options?: { skip: string | false };
  }[] = [
    { who: "an HTTP send", write: (_, server) => send(server, "wake up") },
    { who: "the command line", write: (bus) => bus.run("send", "c", "a", "wake up") },
    {
      who: "the original, which rings no bell",
      options: aboutTheFile,
      async write(bus) {
        await using python = original(bus.file("bus.db"));
        await python.send("c", "a", "wake up", 1);
      },
    },
  ];
  for (const { who, write, options = {} } of writers) {
    test(`E28 a long-poll is woken by ${who}`, options, async () => {
      using bus = temporaryBus();
      await using server = await bus.serve();
      const answer = poll(server, "b", "&timeout=60");
      await waiting(server, 1);
      await write(bus, server);
      const written = performance.now();
      assert.deepEqual(contentsOf((await answer).json), ["wake up"]);
      assert.ok(performance.now() - written < 10_000);
      assert.deepEqual((await poll(server, "b", "&timeout=0")).json, []);
    });
  }

  test("E28 a CLI waiter is woken by an HTTP send", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const waiter = bus.start(["read", "c", "me", "--wait"]);
    await waitUntil(async () => (await bus.run("health")).code === 0, "the bus");
    await sleep(100);
    await send(server, "from HTTP");
    assert.deepEqual(contentsOf(JSON.parse((await waiter.ended).stdout)), ["from HTTP"]);
  });

  test("E28 CLI and HTTP read each other's messages, with one watermark between them", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    await bus.run("send", "c", "a", "1");
    await send(server, "2");
    assert.deepEqual(contentsOf(await bus.answer("read", "c", "b", "--limit", "1")), ["1"]);
    assert.deepEqual(contentsOf((await ask(server.url, "GET /messages?channel=c&agent=b")).json), ["2"]);
    assert.deepEqual(await bus.answer("read", "c", "b"), []);
  });

  test("E32 wait=true waits 30 s, timeout changes that, and 300 s are the most", async () => {
    using bus = temporaryBus();
    const quick = bus.start(["serve", "0"], { node: fastClock });
    await using server = await untilListening(quick);
    const seconds = async (more: string) => {
      const started = performance.now();
      const { status, text } = await poll(server, "b", more);
      assert.deepEqual([status, text], [200, "[]"]);
      return ((performance.now() - started) / 1_000) * clockSpeed;
    };
    const [usual, ten, most, none] = await Promise.all(
      ["", "&timeout=100", "&timeout=9999", "&timeout=0"].map(seconds),
    );
    // A busy machine adds a second or more, which the quick clock multiplies: only what it can't add is asked.
    assert.ok(usual !== undefined && usual >= 30, `${usual}`);
    assert.ok(ten !== undefined && ten >= 100, `${ten}`);
    assert.ok(most !== undefined && most >= 300 && most < 9_000, `${most}`);
    assert.ok(none !== undefined && none < most, `${none}`);
  });

  test("timeout=1 answers [] after a second, and is a number of seconds", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const started = performance.now();
    assert.deepEqual((await poll(server, "b", "&timeout=1")).json, []);
    const took = performance.now() - started;
    assert.ok(took >= 990 && took < 20_000, `${took}`);
    for (const timeout of ["-1", "x", "1e9", "Infinity", "NaN", "0x10", " 1", "1,5"]) {
      const { status } = await ask(
        server.url,
        `GET /messages?channel=c&agent=b&wait=true&timeout=${encodeURIComponent(timeout)}`,
      );
      assert.equal(status, 400, timeout);
    }
  });

  test("without wait it answers at once, whatever the timeout", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    for (const more of ["", "&timeout=30", "&wait=false&timeout=30", "&wait=0"]) {
      assert.deepEqual((await ask(server.url, `GET /messages?channel=c&agent=b${more}`)).json, []);
    }
    await send(server, "x");
    for (const wait of ["true", "True", "1", "yes"]) {
      const { json } = await ask(server.url, `GET /messages?channel=c&agent=b&wait=${wait}&peek=true`);
      assert.deepEqual(contentsOf(json), ["x"]);
    }
    assert.equal((await ask(server.url, "GET /messages?channel=c&agent=b&wait=perhaps")).status, 400);
  });

  test("200 long-polls wait at once while /health and sends are answered, and one message answers them all", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const polls = Array.from({ length: 200 }, (_, index) => poll(server, `agent-${index}`));
    await waiting(server, 200);
    assert.equal((await ask(server.url, "GET /health")).status, 200);
    assert.equal((await send(server, "elsewhere", "other")).status, 200);
    assert.equal((await bus.run("send", "other", "a", "too")).code, 0);
    await waiting(server, 200);
    await send(server, "to all");
    for (const { status, json } of await Promise.all(polls)) {
      assert.deepEqual([status, contentsOf(json)], [200, ["to all"]]);
    }
    await waitUntil(async () => (await poll(server, "agent-199", "&timeout=0")).text === "[]", "the last watermark");
  });

  test("burst collects what follows the first message", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const answer = poll(server, "b", "&burst=0.4");
    await waiting(server, 1);
    await send(server, "1");
    await sleep(100);
    await send(server, "2");
    assert.deepEqual(contentsOf((await answer).json), ["1", "2"]);
  });

  test("a client that goes away while it waits keeps its messages, and costs nothing more", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    using connection = await connectRaw(
      server.url,
      "GET /messages?channel=c&agent=b&wait=true HTTP/1.1\r\nHost: localhost\r\n\r\n",
    );
    await waiting(server, 1);
    connection.socket.destroy();
    await waiting(server, 0);
    await send(server, "still there");
    assert.deepEqual(contentsOf((await poll(server, "b")).json), ["still there"]);
  });

  test("a client that goes away in the middle of its answer keeps its messages", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const content = "x".repeat(1024 * 1024);
    for (let count = 0; count < 12; count++) assert.equal((await send(server, content)).status, 200);
    using connection = await connectRaw(server.url, "");
    connection.socket.pause();
    connection.socket.write("GET /messages?channel=c&agent=b HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await waiting(server, 1);
    connection.socket.destroy();
    await waiting(server, 0);
    assert.equal(
      contentsOf((await ask(server.url, "GET /messages?channel=c&agent=b&peek=true&limit=1")).json).length,
      1,
    );
    const health = await ask(server.url, "GET /health?channel=c&agent=b");
    assert.deepEqual(health.json, { status: "ok", pending: 12, secure_mode: false });
  });

  test("two requests of one agent on one connection get no message twice", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    for (const content of ["1", "2", "3"]) await send(server, content);
    const request = "GET /messages?channel=c&agent=b&limit=1 HTTP/1.1\r\nHost: localhost\r\n";
    using connection = await connectRaw(server.url, `${request}\r\n${request}\r\n${request}Connection: close\r\n\r\n`);
    const bodies = [...(await connection.all).matchAll(/^\[.*\]/gm)].map(([body]) => contentsOf(JSON.parse(body)));
    assert.deepEqual(bodies, [["1"], ["2"], ["3"]]);
  });
});
