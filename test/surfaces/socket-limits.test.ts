// Half lines, silence, peers that never read, and many of them: bounded, answered, and nothing lost.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startBroker, tcpPortOf, temporaryBus } from "../support/bus.ts";
import { impatientSockets } from "../support/clock.ts";
import { type Server, waitUntil } from "../support/program.ts";
import { askLine, connectLines, connectWebSocket } from "../support/sockets.ts";

const MiB = 1024 * 1024;

/** The opcode of a WebSocket frame that closes a connection. */
const CLOSE = 0x8;

/** The memory of a process, in MiB. */
function memoryOf({ child }: Server): number {
  const status = readFileSync(`/proc/${child.pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1_024;
}

/** How long it has kept a processor busy. */
function processorSecondsOf({ child }: Server): number {
  const [user, system] = readFileSync(`/proc/${child.pid}/stat`, "utf8").split(") ")[1]?.split(" ").slice(11, 13) ?? [];
  return (Number(user) + Number(system)) / 100;
}

suite("the limits of sockets", { concurrency: 2 }, () => {
  test("over TCP silence ends a connection, and so does half a line, with an error", async () => {
    using bus = temporaryBus();
    await using server = await startBroker(bus, impatientSockets);
    using half = await connectLines(server.port);
    half.socket.write('{"op":"post","to":"A"');
    assert.equal((await half.next()).error, "the line took too long to arrive");
    await half.closed;
    using silent = await connectLines(server.port);
    await silent.closed;
    using used = await connectLines(server.port);
    used.say({ id: 1, op: "status" });
    await used.next();
    await used.closed;
  });

  test("over TCP a wait outlasts silence", async () => {
    using bus = temporaryBus();
    await using server = await startBroker(bus, impatientSockets);
    const waiting = askLine(server.port, { op: "wait", mailbox: "A", timeout: 30 });
    await sleep(2_500);
    await askLine(server.port, { op: "post", to: "A", from: "B", msg: "after a while" });
    assert.equal(Object((await waiting).message).msg, "after a while");
  });

  test("a line without its end is one when nothing more comes", async () => {
    using bus = temporaryBus();
    await using server = await startBroker(bus);
    using line = await connectLines(server.port);
    line.socket.end('{"op":"status"}');
    assert.equal((await line.next()).ok, true);
    await line.closed;
  });

  test("over TCP a client that never reads blocks nobody, costs little memory and loses nothing", async () => {
    using bus = temporaryBus();
    await using server = await startBroker(bus);
    const { port } = server;
    using writer = await connectLines(port);
    for (let id = 0; id < 8; id++) {
      writer.say({ id, op: "post", to: "A", from: "B", msg: "x".repeat(MiB) });
      await writer.next();
    }
    const before = memoryOf(server);
    const deaf = connect({ port, host: "127.0.0.1" });
    deaf.on("error", () => {});
    deaf.pause();
    for (let id = 0; id < 500; id++) {
      deaf.write(`${JSON.stringify({ id, ask: "channel messages", input: { channel: "@A" } })}\n`);
    }
    for (let count = 0; count < 20; count++) {
      assert.equal((await askLine(port, { op: "status" })).ok, true);
      await sleep(50);
    }
    assert.ok(memoryOf(server) - before < 600, `${memoryOf(server) - before} MiB more`);
    deaf.destroy();
    const { messages } = await askLine(port, { op: "fetch", mailbox: "A" });
    assert.ok(Array.isArray(messages) && messages.length > 0);
  });

  for (const surface of ["TCP", "WebSocket"]) {
    test(`over ${surface} reads of a client that is gone are skipped`, async () => {
      using bus = temporaryBus();
      await using server = await bus.serve({}, "--tcp", "0");
      const port = await tcpPortOf(server);
      for (let n = 0; n < 8; n++) await askLine(port, { op: "post", to: "A", from: "B", msg: "x".repeat(MiB) });
      using peer = surface === "TCP" ? await connectLines(port) : await connectWebSocket(server.port);
      peer.socket.pause();
      for (let id = 0; id < 250; id++) {
        peer.say({ type: "ask", id, ask: "channel messages", input: { channel: "@A" } });
      }
      await sleep(1_000);
      const begun = processorSecondsOf(server);
      peer.socket.destroy();
      // Until it rests: a busy machine may give it little at a time.
      for (let rests = false, before = begun; !rests; ) {
        await sleep(1_000);
        const now = processorSecondsOf(server);
        assert.ok(now - begun < 0.7, `${now - begun} seconds of a processor, and not at rest`);
        rests = now - before < 0.05;
        before = now;
      }
    });

    test(`over ${surface} writes of a client that is gone still run`, async () => {
      using bus = temporaryBus();
      await using server = await bus.serve({}, "--tcp", "0");
      const port = await tcpPortOf(server);
      const framed = surface === "TCP" ? undefined : await connectWebSocket(server.port);
      using peer = framed ?? (await connectLines(port));
      // All in one piece, and its end right behind it.
      peer.socket.cork();
      for (let id = 0; id < 20; id++) peer.say({ type: "ask", id, ask: "signal set", input: { name: `s${id}` } });
      framed?.frame(CLOSE, Buffer.from([0x03, 0xe8]));
      peer.socket.uncork();
      peer.socket.destroySoon();
      await waitUntil(
        async () => JSON.parse((await bus.run("signal", "list", "--json")).stdout).signals.length === 20,
        "all are set",
      );
    });
  }

  test("over TCP a fetch that isn't read is offered again", async () => {
    using bus = temporaryBus();
    await using server = await startBroker(bus);
    using writer = await connectLines(server.port);
    for (let id = 0; id < 8; id++) {
      writer.say({ id, op: "post", to: "A", from: "B", msg: "x".repeat(MiB - 100) });
      await writer.next();
    }
    const deaf = connect({ port: server.port, host: "127.0.0.1" });
    deaf.on("error", () => {});
    deaf.pause();
    deaf.write('{"op":"fetch","mailbox":"A"}\n');
    let count = 0;
    for (const end = Date.now() + 9_500; count < 8 && Date.now() < end; ) {
      const { messages } = await askLine(server.port, { op: "fetch", mailbox: "A" });
      count += Array.isArray(messages) ? messages.length : 0;
      await sleep(200);
    }
    deaf.destroy();
    assert.equal(count, 8, "before its lease has ended");
  });

  test("over WebSocket a client that answers no ping is dropped, and its messages are sent again", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve(impatientSockets);
    using deaf = await connectWebSocket(server.port);
    deaf.say({ type: "register", agent: "deaf" });
    await deaf.nextOf("registered");
    deaf.ignorePings();
    await bus.run("post", "deaf", "hello?", "--from", "me");
    assert.equal((await deaf.nextOf("message")).message, "hello?");
    assert.equal(await deaf.closed, undefined);
    assert.match((await bus.run("fetch", "deaf")).stdout, /hello\?/);
    using silent = await connectWebSocket(server.port);
    silent.ignorePings();
    await silent.closed;
  });
});
