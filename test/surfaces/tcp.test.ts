import assert from "node:assert/strict";
import { connect } from "node:net";
import { suite, test } from "node:test";
import { acknowledgeMessages, sendMessage } from "../../src/operations/messages.ts";
import { type Operation, parseRequest } from "../../src/operations/operation.ts";
import { openTcpEndpoint } from "../../src/surfaces/tcp/client.ts";
import { secureBus, startBroker, tcpPortOf, temporaryBus, tokenOf } from "../support/bus.ts";
import { startStandInSocket } from "../support/http.ts";
import { untilListening } from "../support/program.ts";
import { askLine, connectLines, type Frame, type Lines } from "../support/sockets.ts";

const IDENTITY = "agent-tool-ipc-broker";

const post = (port: number, to: string, from: string, msg: string) => askLine(port, { op: "post", to, from, msg });

function messageIn({ message }: Frame): { from: string; msg: string; ts: string } {
  const { from, msg, ts } = Object(message);
  return { from, msg, ts };
}

async function waiters(port: number, mailbox: string): Promise<void> {
  const { mailboxes } = await askLine(port, { op: "status" });
  if (!Object.hasOwn(Object(mailboxes), mailbox)) return waiters(port, mailbox);
}

suite("the broker over TCP", { concurrency: 4 }, () => {
  test("T9 T12 T13 T15 T25 messages are queued, counted and fetched once, in the original's words", async () => {
    using bus = temporaryBus();
    await using server = await startBroker(bus);
    const { port } = server;
    const before = Date.now();
    const posted = await post(port, "A", "B", "héllo\nworld");
    assert.deepEqual({ ...posted, message_id: 0 }, { ok: true, info: "queued", message_id: 0 });
    await post(port, "A", "B", "two");
    const status = await askLine(port, { op: "status" });
    assert.deepEqual({ ...status, server: "" }, { ok: true, info: IDENTITY, server: "", mailboxes: { A: 2 } });
    assert.match(String(status.server), /^el-ipc\//);
    const fetched = await askLine(port, { op: "fetch", mailbox: "A" });
    const messages = Array.isArray(fetched.messages) ? fetched.messages : [];
    assert.deepEqual(
      messages.map(({ from, msg }) => [from, msg]),
      [
        ["B", "héllo\nworld"],
        ["B", "two"],
      ],
    );
    assert.match(messages[0].ts, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.ok(Date.parse(messages[0].ts) >= before - 1_000);
    assert.deepEqual(await askLine(port, { op: "fetch", mailbox: "A" }), { ok: true, messages: [] });
    assert.deepEqual((await askLine(port, { op: "status" })).mailboxes, {});
  });

  test("T7 T14 T16 a workflow: each waits and answers, also for earlier messages", async () => {
    using bus = temporaryBus();
    await using server = await startBroker(bus);
    const { port } = server;
    for (const round of [1, 2, 3]) {
      const [waited, posted] = await Promise.all([
        askLine(port, { op: "wait", mailbox: "A", timeout: 20 }),
        waiters(port, "A").then(() => post(port, "A", "B", `hello ${round}`)),
      ]);
      assert.equal(posted.info, "delivered to waiter");
      assert.deepEqual({ ...messageIn(waited), ts: "" }, { from: "B", msg: `hello ${round}`, ts: "" });
      await post(port, "B", "A", `re: ${round}`);
      assert.equal(messageIn(await askLine(port, { op: "wait", mailbox: "B" })).msg, `re: ${round}`);
    }
  });

  test("T14 a wait hands out one message, and ends in its time with a sentence", async () => {
    using bus = temporaryBus();
    await using server = await startBroker(bus);
    const { port } = server;
    await post(port, "A", "B", "one");
    await post(port, "A", "B", "two");
    assert.equal(messageIn(await askLine(port, { op: "wait", mailbox: "A" })).msg, "one");
    assert.equal(messageIn(await askLine(port, { op: "wait", mailbox: "A", timeout: "1" })).msg, "two");
    const started = performance.now();
    assert.deepEqual(await askLine(port, { op: "wait", mailbox: "A", timeout: 1 }), {
      ok: false,
      error: 'wait timed out after 1s -- no message in mailbox "A"',
    });
    assert.ok(performance.now() - started >= 1_000);
  });

  test("T21 a worker: it waits, works and reports until it is told to stop", async () => {
    using bus = temporaryBus();
    await using server = await startBroker(bus);
    const { port } = server;
    const worker = (async () => {
      for (;;) {
        const { msg } = messageIn(await askLine(port, { op: "wait", mailbox: "worker", timeout: 30 }));
        if (msg === "shutdown") return "stopped";
        await post(port, "orchestrator", "worker", `did ${msg}`);
      }
    })();
    for (const job of ["a", "b", "c"]) await post(port, "worker", "orchestrator", job);
    for (const job of ["a", "b", "c"]) {
      assert.equal(messageIn(await askLine(port, { op: "wait", mailbox: "orchestrator" })).msg, `did ${job}`);
    }
    await post(port, "worker", "orchestrator", "shutdown");
    assert.equal(await worker, "stopped");
  });

  // There a waiter looks for some milliseconds, and who looks when a message comes is before those who sleep.
  const ordered = { skip: process.env.TEST_STORE !== undefined && "a NATS server promises no order among waiters" };
  test("waiters of a mailbox are served in the order they came", ordered, async () => {
    using bus = temporaryBus();
    await using server = await startBroker(bus);
    const all: Lines[] = [];
    for (let index = 0; index < 5; index++) {
      const line = await connectLines(server.port);
      line.say({ op: "wait", mailbox: "A", timeout: 30 });
      all.push(line);
      // Each is known to wait before the next one comes.
      await askLine(server.port, { op: "status" });
    }
    await waiters(server.port, "A");
    for (let index = 0; index < 5; index++) {
      await post(server.port, "A", "B", `m${index}`);
      const line = all[index];
      assert.equal(line && messageIn(await line.next()).msg, `m${index}`);
      await line?.closed;
    }
  });

  test("T10 T11 a running broker is used, and goes on when the second one ends", async () => {
    using bus = temporaryBus();
    await using server = await startBroker(bus);
    const { code, stdout } = await bus.run("tcp", "broker", String(server.port));
    assert.equal(code, 0);
    assert.match(
      stdout,
      new RegExp(`^el-ipc/\\S+ is the broker at 127\\.0\\.0\\.1:${server.port} already: it is used\n$`),
    );
    assert.equal((await post(server.port, "A", "B", "still there")).ok, true);

    using other = await startStandInSocket(
      (socket) => void socket.on("data", () => socket.end("HTTP/1.1 400\r\n\r\n")),
    );
    const refused = await bus.run("tcp", "broker", String(other.port));
    assert.deepEqual(
      [refused.code, refused.stderr],
      [
        1,
        `Error: Port ${other.port} is taken by another program; choose another: el-ipc tcp broker ${other.port + 1}\n`,
      ],
    );
  });

  test("T10 the original's broker is recognised and used", async () => {
    using bus = temporaryBus();
    using original = await startStandInSocket((socket) => {
      socket.on("data", () => void socket.end(`${JSON.stringify({ ok: true, info: IDENTITY, mailboxes: {} })}\n`));
    });
    const { code, stdout } = await bus.run("tcp", "broker", String(original.port));
    assert.deepEqual([code, stdout], [0, `a broker is the broker at 127.0.0.1:${original.port} already: it is used\n`]);
  });

  test("T11 D13 a broker that stops tells its waiters, and its messages survive", async () => {
    using bus = temporaryBus();
    await using server = await startBroker(bus);
    await post(server.port, "A", "B", "kept");
    const waiting = askLine(server.port, { op: "wait", mailbox: "nobody", timeout: 60 });
    await waiters(server.port, "nobody");
    server.child.kill("SIGTERM");
    assert.equal((await waiting).error, "broker stopped while waiting");
    assert.equal((await server.ended).code, 0);
    await using again = await startBroker(bus);
    assert.equal(messageIn(await askLine(again.port, { op: "wait", mailbox: "A" })).msg, "kept");
  });

  test("a wrong request is answered with a sentence", async () => {
    using bus = temporaryBus();
    await using server = await startBroker(bus);
    const wrong: readonly [unknown, string][] = [
      [{ op: "shout" }, 'unknown op "shout" (use: post, fetch, wait, status)'],
      [{}, 'unknown op "" (use: post, fetch, wait, status)'],
      [{ op: "constructor" }, 'unknown op "constructor" (use: post, fetch, wait, status)'],
      [{ op: "post", msg: "x" }, "to is required"],
      [{ op: "post", to: "A" }, "msg is required"],
      [{ op: "fetch" }, "mailbox is required"],
      [{ op: "wait" }, "mailbox is required"],
      [{ op: "wait", mailbox: "A", timeout: "soon" }, "timeout must be a number of seconds"],
      [{ op: "post", to: "a\nb", from: "x", msg: "x" }, "to must not contain control characters"],
      [{ op: "post", to: "A", from: "x", msg: 7 }, "message must be text"],
      [{ ask: "seed", input: { name: "x" } }, 'there is nothing called "seed" to ask for'],
      [{ ask: "send", input: [] }, "input must be a JSON object"],
      [
        { ask: "follow", input: { channel: "c", agent: "a" } },
        "a stream needs an id, which each of its lines says again",
      ],
    ];
    for (const [request, error] of wrong) {
      const answer = await askLine(server.port, request);
      assert.deepEqual([answer.ok, answer.error], [false, error]);
    }
    for (const bad of ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", "[1]\n", "{\n", '"x"\n', "\n", "\u00ff\n"]) {
      using line = await connectLines(server.port);
      line.socket.write(Buffer.from(bad, "latin1"));
      assert.equal((await line.next()).error, "invalid JSON: send one JSON object a line, in UTF-8");
      await line.closed;
    }
  });

  test("T19 a message has 1 MiB at most, and a line no more than holds that", async () => {
    using bus = temporaryBus();
    await using server = await startBroker(bus);
    const most = "é".repeat(512 * 1024);
    assert.equal((await post(server.port, "A", "B", most)).ok, true);
    assert.equal(messageIn(await askLine(server.port, { op: "wait", mailbox: "A" })).msg, most);
    const refused = await post(server.port, "A", "B", `${most}x`);
    assert.deepEqual([refused.error, refused.reason], ["message must be 1 MiB of UTF-8 at most", "too_large"]);
    using endless = await connectLines(server.port);
    const flood = Buffer.alloc(1024 * 1024, "a");
    for (let count = 0; count < 8; count++) endless.socket.write(flood);
    assert.equal((await endless.next()).reason, "too_large");
    await endless.closed;
  });

  test("requests with an id share a connection, and each answer repeats the id", async () => {
    using bus = temporaryBus();
    await using server = await startBroker(bus);
    using line = await connectLines(server.port);
    line.say({ id: "w", op: "wait", mailbox: "A", timeout: 20 });
    for (let id = 1; id <= 500; id++) line.say({ id, op: "post", to: "B", from: "me", msg: `m${id}` });
    const ids = new Set<unknown>();
    while (ids.size < 500) ids.add((await line.next()).id);
    line.say({ id: "f", op: "fetch", mailbox: "B" });
    const { messages } = await line.next();
    assert.ok(Array.isArray(messages));
    assert.deepEqual(
      messages.map(({ msg }) => msg),
      Array.from({ length: 500 }, (_, index) => `m${index + 1}`),
      "they are stored in the order in which they were said",
    );
    line.say({ id: "p", op: "post", to: "A", from: "me", msg: "wake up" });
    const answers = [await line.next(), await line.next()];
    assert.deepEqual(new Set(answers.map(({ id }) => id)), new Set(["w", "p"]));
    line.say({ id: {}, op: "status" });
    assert.match(String((await line.next()).error), /^id must be/);
  });

  test("every network operation can be asked, streams too", async () => {
    using bus = temporaryBus();
    await using server = await startBroker(bus);
    using line = await connectLines(server.port);
    line.say({ id: 1, ask: "follow", input: { channel: "c", agent: "reader" } });
    line.say({ id: 2, ask: "send", input: { channel: "c", sender: "me", content: "hello" } });
    const [sent, next] = (await Promise.all([line.next(), line.next()])).toSorted(
      (a, b) => Number(b.id) - Number(a.id),
    );
    assert.deepEqual(sent, { id: 2, ok: true, answer: { ok: true, id: 1 } });
    assert.deepEqual({ ...next, next: Object(next?.next).content }, { id: 1, ok: true, next: "hello" });
    line.say({ id: 3, ask: "read", input: { channel: "c", agent: "other" } });
    assert.equal(Object((await line.next()).answer)[0].content, "hello");
    line.say({ id: 4, ask: "wait", input: { mailbox: "nobody", timeout: 0.1 } });
    assert.deepEqual(await line.next(), { id: 4, ok: true, answer: null });
  });

  test("a client that ends its side behind a request gets the whole answer", async () => {
    using bus = temporaryBus();
    await using server = await startBroker(bus);
    const requests = [
      '{"op":"post","to":"A","from":"B","msg":"x"}',
      '{"op":"post","to":"A","from":"B","msg":"x"}\n',
      '{"id":1,"op":"post","to":"A","from":"B","msg":"x"}\n',
      '{"op":"status"}\n',
      "no JSON",
    ];
    for (const request of requests) {
      const socket = connect(server.port, "127.0.0.1").setEncoding("utf8");
      socket.end(request);
      const answer = (await Array.fromAsync(socket)).join("");
      assert.match(answer, /^\{.*\}\n$/, request);
    }
  });

  test("ack manual: a message is consumed when its reader says so, and else offered again", async () => {
    using bus = temporaryBus();
    await using server = await startBroker(bus);
    await post(server.port, "A", "B", "one");
    using line = await connectLines(server.port);
    line.say({ id: 1, op: "wait", mailbox: "A", ack: "manual" });
    const { id } = Object((await line.next()).message);
    assert.deepEqual(await askLine(server.port, { op: "fetch", mailbox: "A" }), { ok: true, messages: [] });
    line.say({ id: 2, op: "settle", mailbox: "A", ids: [id] });
    assert.deepEqual(await line.next(), { id: 2, ok: true });
    assert.deepEqual((await askLine(server.port, { op: "status" })).mailboxes, {});
  });

  test("commands work against tcp://, a server that comes back included", async () => {
    using bus = temporaryBus();
    await using server = await startBroker(bus);
    const far = bus.with({ IPC_URL: `tcp://127.0.0.1:${server.port}`, IPC_DB_PATH: "/nonexistent/bus.db" });
    assert.equal((await far.run("post", "A", "one", "--from", "B")).code, 0);
    assert.match((await far.run("mailboxes")).stdout, /^A {2}1$/m);
    assert.match((await far.run("wait", "A")).stdout, /"content":"one"/);
    assert.match((await bus.run("mailboxes")).stdout, /^A {2}0$/m);
    assert.equal((await far.run("wait", "A", "--timeout", "0.2")).stderr, "Error: No message came in that time\n");
    await using waiting = far.start(["wait", "B"]);
    await waiters(server.port, "B");
    server.child.kill("SIGKILL");
    await server.ended;
    await using again = await untilListening(bus.start(["tcp", "broker", String(server.port)]));
    await post(again.port, "B", "me", "after the break");
    assert.match((await waiting.ended).stdout, /"content":"after the break"/);
    assert.match((await far.run("seed", "x")).stderr, /works on the database itself/);
  });

  test("only idempotent requests are repeated after a broker restarts", async () => {
    using bus = temporaryBus();
    await using server = await startBroker(bus);
    const url = `tcp://127.0.0.1:${server.port}`;
    await using endpoint = openTcpEndpoint({ url, apiKey: undefined, token: async () => undefined });
    const ask = (operation: Operation, input: object) =>
      endpoint.ask(parseRequest(operation, input), new AbortController().signal);
    const { id } = Object(await ask(sendMessage, { channel: "c", sender: "me", content: "before" }));
    server.child.kill("SIGKILL");
    await server.ended;
    const acknowledged = ask(acknowledgeMessages, { channel: "c", agent: "you", id });
    await assert.rejects(
      ask(sendMessage, { channel: "c", sender: "me", content: "lost" }),
      /No server answers at tcp:/,
    );
    await using _again = await untilListening(bus.start(["tcp", "broker", String(server.port)]));
    await acknowledged;
    assert.equal((await bus.run("read", "c", "you")).stdout, "[]\n");
  });

  test("serve --tcp serves both, and each wakes the other", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve({}, "--tcp", "0");
    const port = await tcpPortOf(server);
    const waiting = askLine(port, { op: "wait", mailbox: "A", timeout: 20 });
    await waiters(port, "A");
    await bus.with({ IPC_URL: server.url }).run("post", "A", "by HTTP", "--from", "B");
    assert.equal(messageIn(await waiting).msg, "by HTTP");
  });
});

suite("who may do what over TCP", { concurrency: 4 }, () => {
  test("in secure mode a token stands for the signature, and the message is attested", async () => {
    using bus = await secureBus("herald", "scout");
    await using server = await startBroker(bus);
    const { port } = server;
    const token = await tokenOf(bus, "herald");
    assert.equal((await post(port, "scout", "herald", "no proof")).error, "signature required (secure mode active)");
    const wrong = await askLine(port, { op: "post", to: "scout", from: "scout", msg: "not me", token });
    assert.equal(wrong.reason, "unsigned_message");
    assert.equal((await askLine(port, { op: "post", to: "scout", msg: "it is me", token })).ok, true);
    const peeked = await askLine(port, { op: "fetch", mailbox: "scout", token });
    assert.deepEqual([peeked.ok, peeked.reason], [false, "not_yours"]);
    const own = await askLine(port, { op: "fetch", mailbox: "scout", token: await tokenOf(bus, "scout") });
    assert.deepEqual(
      Object(own.messages).map(({ from, msg, attested }: Frame) => [from, msg, attested]),
      [["herald", "it is me", true]],
    );
    assert.equal((await askLine(port, { op: "status", token: "a.b.c" })).reason, "invalid_token");
    using line = await connectLines(port);
    line.say({ id: 1, op: "post", to: "scout", msg: "one", token });
    line.say({ id: 2, op: "post", to: "scout", msg: "two" });
    assert.deepEqual([(await line.next()).ok, (await line.next()).ok], [true, true], "it is shown once a connection");
    const { stdout } = await bus.run("read", "security", "ops");
    assert.match(stdout, /unsigned_message/);
    assert.match(stdout, /invalid_token/);
  });

  test("the command line signs what it posts over TCP", async () => {
    using bus = await secureBus("herald", "scout");
    await using server = await startBroker(bus);
    const far = bus.with({ IPC_URL: `tcp://127.0.0.1:${server.port}` });
    const { code, stderr } = await far.run(
      "post",
      "scout",
      "signed",
      "--from",
      "herald",
      "--key",
      bus.file("herald.key"),
    );
    assert.deepEqual([code, stderr], [0, ""]);
    const { stdout } = await far.run("fetch", "scout", "--key", bus.file("scout.key"));
    assert.match(stdout, /"content":"signed".*"signed":true/);
  });

  test("with an API key every connection shows it, or a token", async () => {
    using bus = temporaryBus();
    await using server = await startBroker(bus, { IPC_API_KEY: "sesame" });
    const { port } = server;
    assert.deepEqual(
      [(await askLine(port, { op: "status" })).reason, (await askLine(port, { op: "status", token: "wrong" })).reason],
      ["unauthenticated", "unauthenticated"],
    );
    assert.equal((await askLine(port, { op: "status", token: "sesame" })).ok, true);
    const far = bus.with({ IPC_URL: `tcp://127.0.0.1:${port}`, IPC_API_KEY: "sesame" });
    assert.equal((await far.run("post", "A", "x", "--from", "B")).code, 0);
  });

  test("T24 beyond this machine an open bus isn't served", async () => {
    using bus = temporaryBus();
    const { code, stderr } = await bus.run("tcp", "broker", "0", "--host", "0.0.0.0");
    assert.equal(code, 1);
    assert.match(stderr, /^Error: listening on 0\.0\.0\.0 would let anyone/);
  });
});
