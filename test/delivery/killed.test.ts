import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { suite, test } from "node:test";
import { contentsOf, type TemporaryBus, temporaryBus, untilBellsHang } from "../support/bus.ts";
import { ask, connectRaw, openAnswer, type RawConnection } from "../support/http.ts";
import { createIdentity, signV2, stampFor } from "../support/identity.ts";
import { type Program, type Server, untilListening, waitUntil } from "../support/program.ts";
import { connect, endMailLeases, waitForCommand } from "../support/sessions.ts";

const dying = ["--import", new URL("kill-preload.ts", import.meta.url).href];

/** A process of the program that is killed at a moment of its own. */
function startDying(bus: TemporaryBus, moment: string, ...words: string[]): Program {
  return bus.with({ DIES_AT: moment }).start(words, { node: dying });
}

async function assertKilled(program: Program): Promise<string> {
  const { code, stdout, stderr } = await program.ended;
  assert.deepEqual([code, stderr, program.child.signalCode], [null, "", "SIGKILL"]);
  return stdout;
}

function serveDying(bus: TemporaryBus, moment: string): Promise<Server> {
  return untilListening(startDying(bus, moment, "serve", "0"));
}

const CHANNEL_READS = ["read room me", "read room me --wait", "read room me --json", "follow room me"];
const MAILBOX_READS = ["fetch me", "wait me"];

suite("a command line that is killed", { concurrency: 4 }, () => {
  for (const words of CHANNEL_READS) {
    for (const [moment, printed] of [
      ["printed", /one/],
      ["half printed", /^/],
    ] as const) {
      test(`${words}, killed when it has ${moment}, has consumed nothing, near and far`, async () => {
        using bus = temporaryBus();
        await using server = await bus.serve();
        for (const place of [bus, bus.with({ IPC_URL: server.url })]) {
          await bus.run("send", "room", "a", "one");
          assert.match(await assertKilled(startDying(place, moment, ...words.split(" "))), printed);
          assert.deepEqual(contentsOf(await place.answer("read", "room", "me")), ["one"]);
          assert.deepEqual(await place.answer("read", "room", "me"), []);
        }
      });
    }
  }

  for (const words of MAILBOX_READS) {
    test(`${words}, killed when it has printed, holds its message for its lease, and no longer`, async () => {
      using bus = temporaryBus();
      await using server = await bus.serve();
      for (const place of [bus, bus.with({ IPC_URL: server.url })]) {
        await bus.run("post", "me", "one", "--from", "a");
        assert.match(await assertKilled(startDying(place, "printed", ...words.split(" "))), /one/);
        assert.equal((await place.run("fetch", "me")).stdout, "");
        await endMailLeases(bus);
        assert.match((await place.run("fetch", "me")).stdout, /one/);
        assert.equal((await place.run("fetch", "me")).stdout, "");
      }
    });
  }

  test("D13 whose reader is gone in the middle of a fetch gives its messages back at once", async () => {
    using bus = temporaryBus();
    const long = "x".repeat(1_000_000);
    await bus.start(["post", "me", "-", "--from", "a"], { input: long }).ended;
    for (const words of MAILBOX_READS) {
      await using reader = bus.start(words.split(" "));
      reader.child.stdout.destroy();
      assert.equal((await reader.ended).code, 141);
    }
    assert.ok((await bus.run("fetch", "me")).stdout.includes(long));
  });
});

suite("a sender that is killed between its commit and its bell", { concurrency: 4 }, () => {
  /** Everything that can wait, how it says that it was woken, and how to see that it waits. */
  const waiters: Readonly<Record<string, (bus: TemporaryBus, server: Server) => Promise<unknown>>> = {
    "read --wait": async (bus) => (await bus.start(["read", "room", "w1", "--wait", "--timeout", "20"]).ended).stdout,
    follow: async (bus) => {
      await using follower = bus.start(["follow", "room", "w2"]);
      return await follower.untilPrinted("\n");
    },
    "a long-poll": async (_, { url }) =>
      (await ask(url, "GET /messages?channel=room&agent=w3&wait=true&timeout=20")).text,
    "a stream": async (_, { url }) => {
      const stream = await openAnswer(url, "GET /follow?channel=room&agent=w4");
      for await (const chunk of stream) if (String(chunk).includes("data:")) return String(chunk);
      return "";
    },
    events: async (bus) => {
      await using watcher = bus.start(["events"]);
      return await watcher.untilPrinted("quiet");
    },
  };

  test("is heard all the same, by every waiter, within a moment", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const heard = Object.entries(waiters).map(async ([what, wait]) => [what, await wait(bus, server)] as const);
    await untilBellsHang(bus, 2);
    const started = performance.now();
    assert.equal(await assertKilled(startDying(bus, "stored", "send", "room", "a", "quiet")), "");
    for (const [what, got] of await Promise.all(heard)) assert.match(String(got), /quiet/, what);
    const took = performance.now() - started;
    assert.ok(took < 10_000, `${took} ms`);
    assert.deepEqual(contentsOf(await bus.answer("read", "room", "late")), ["quiet"]);
  });

  test("is heard by a wait for a mailbox, for a command and for a receipt", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const peer = await connect(server, "worker");
    const id = Object(await bus.answer("send", "room", "a", "read me")).id;
    const waits = [
      bus.start(["wait", "me", "--timeout", "20"]).ended.then(({ stdout }) => stdout),
      waitForCommand(server, peer, 20_000).then(({ text }) => text),
      bus.start(["receipts", String(id), "--wait-for", "reader", "--timeout", "20"]).ended.then(({ stdout }) => stdout),
    ];
    await untilBellsHang(bus, 3);
    await assertKilled(startDying(bus, "stored", "post", "me", "quiet mail", "--from", "a"));
    await assertKilled(startDying(bus, "stored", "command", "send", "worker", "quiet_work"));
    await assertKilled(startDying(bus, "stored", "ack", "room", "reader", String(id)));
    const [mail, command, receipt] = await Promise.all(waits);
    assert.match(String(mail), /quiet mail/);
    assert.match(String(command), /quiet_work/);
    assert.match(String(receipt), /"read_by": ?\[\s*"reader"/);
  });
});

suite("a server that is killed", { concurrency: 4 }, () => {
  test("between an answer and what follows from it hands the same messages out again", async () => {
    using bus = temporaryBus();
    await bus.run("send", "room", "a", "one");
    await bus.run("post", "me", "mail", "--from", "a");
    for (const [what, text] of [
      ["GET /messages?channel=room&agent=me", "one"],
      ["GET /mailboxes/me/fetch", "mail"],
    ] as const) {
      await using server = await serveDying(bus, "answered");
      assert.ok((await ask(server.url, what)).text.includes(text));
      await assertKilledServer(server);
      await endMailLeases(bus);
      await using again = await bus.serve();
      assert.ok((await ask(again.url, what)).text.includes(text), "and again");
      await waitUntil(async () => !(await ask(again.url, what)).text.includes(text), "and no more");
    }
  });

  test("between an answer and its acknowledgement by ack=manual has forgotten neither", async () => {
    using bus = temporaryBus();
    for (const text of ["one", "two"]) await bus.run("send", "room", "a", text);
    const what = "GET /messages?channel=room&agent=me&ack=manual&limit=1";
    await using server = await serveDying(bus, "answered");
    assert.deepEqual(contentsOf((await ask(server.url, what)).json), ["one"]);
    await assertKilledServer(server);
    await using again = await bus.serve();
    const acknowledge = () => ask(again.url, "POST /ack", { body: { channel: "room", agent: "me", id: 1 } });
    assert.deepEqual((await acknowledge()).json, { ok: true, watermark: 1 });
    assert.deepEqual((await acknowledge()).json, { ok: true, watermark: 1 });
    assert.deepEqual(contentsOf((await ask(again.url, what)).json), ["two"]);
  });

  test("between a commit and its answer has stored it once, and says so to the same request", async () => {
    using bus = temporaryBus();
    const body = signV2(createIdentity("a"), { channel: "room", content: "once" }, stampFor(""));
    // The one who waits makes the bell that the server dies at.
    await using _waiter = bus.start(["follow", "room", "w", "--peek"]);
    await untilBellsHang(bus, 1);
    await using server = await serveDying(bus, "stored");
    await assert.rejects(ask(server.url, "POST /send", { body }));
    await assertKilledServer(server);
    await using again = await bus.serve();
    for (const _ of [1, 2])
      assert.deepEqual((await ask(again.url, "POST /send", { body })).json, { ok: true, id: 1, duplicate: true });
    assert.deepEqual(contentsOf(await bus.answer("read", "room", "me")), ["once"]);
  });

  async function assertKilledServer(server: Server): Promise<void> {
    await server.ended;
    assert.equal(server.child.signalCode, "SIGKILL");
  }
});

suite("a client that vanishes", { concurrency: 4 }, () => {
  const long = "x".repeat(1024 * 1024);

  test("after half of a message of 1 MiB loses nothing with ack=manual, and nothing of a mailbox", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    await ask(server.url, "POST /send", { body: { channel: "room", sender: "a", content: long } });
    await ask(server.url, "POST /mailboxes/me", { body: { from: "a", message: long } });
    for (const path of ["/messages?channel=room&agent=me&ack=manual", "/mailboxes/me/fetch?ack=manual"]) {
      await takeHalf(server, path);
      await endMailLeases(bus);
      assert.ok((await ask(server.url, `GET ${path}`)).text.includes(long), path);
    }
  });

  test("after half of a message of 1 MiB loses nothing without it either, however it vanishes", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const ways = [(socket: Socket) => void socket.resetAndDestroy(), (socket: Socket) => void socket.destroy()];
    for (const path of ["/messages?channel=room&agent=me", "/mailboxes/me/fetch"]) {
      for (const vanish of ways) {
        await ask(server.url, "POST /send", { body: { channel: "room", sender: "a", content: long } });
        await ask(server.url, "POST /mailboxes/me", { body: { from: "a", message: long } });
        await takeHalf(server, path, vanish);
        await waitUntil(async () => (await ask(server.url, `GET ${path}`)).text.includes(long), path);
      }
    }
  });

  test("has a message of 1 MiB once it ends its connection, asks for more on it, or has had the time", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const path = "/messages?channel=room&agent=me";
    const isRead = async () => Object((await ask(server.url, "GET /health?channel=room&agent=me")).json).pending === 0;
    const request = `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`;
    const ways: readonly ((connection: RawConnection) => Promise<unknown> | unknown)[] = [
      (connection) => connection.socket.end(),
      async (connection) => {
        connection.socket.write(request);
        await waitUntil(() => connection.soFar().endsWith("\r\n\r\n[]"), "the next answer");
      },
      () => undefined,
    ];
    for (const way of ways) {
      await ask(server.url, "POST /send", { body: { channel: "room", sender: "a", content: long } });
      using connection = await connectRaw(server.url, request);
      await waitUntil(() => connection.soFar().endsWith("}]"), "all of it");
      await way(connection);
      await waitUntil(isRead, "it is read");
    }
    const pipelined = await connectRaw(server.url, request + request);
    await ask(server.url, "POST /send", { body: { channel: "room", sender: "a", content: long } });
    await waitUntil(() => pipelined.soFar().endsWith("[]"), "both answers");
    pipelined[Symbol.dispose]();
  });

  async function takeHalf(
    server: Server,
    path: string,
    vanish = (socket: Socket): void => void socket.resetAndDestroy(),
  ): Promise<void> {
    using connection = await connectRaw(server.url, `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    connection.socket.on("data", () => {
      if (connection.soFar().length > 512 * 1024) connection.socket.pause();
    });
    await waitUntil(() => connection.socket.isPaused(), "half of it");
    assert.ok(connection.soFar().length < 1024 * 1024);
    vanish(connection.socket);
    await connection.all;
  }
});
