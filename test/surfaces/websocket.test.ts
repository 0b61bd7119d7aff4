import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { secureBus, type TemporaryBus, temporaryBus, tokenOf } from "../support/bus.ts";
import { ask } from "../support/http.ts";
import { type Server, waitUntil } from "../support/program.ts";
import { connectWebSocket, type Frame, type RawWebSocket } from "../support/sockets.ts";

async function connected({ port }: Server, agent: string, more: object = {}): Promise<RawWebSocket> {
  const socket = await connectWebSocket(port);
  socket.say({ type: "register", agent, ...more });
  const said = await socket.next();
  assert.equal(said.type, "registered", String(said.error));
  return socket;
}

const unread = async (bus: TemporaryBus, mailbox: string) => {
  const { stdout } = await bus.run("mailboxes");
  return Number(new RegExp(`^${mailbox} {2}(\\d+)$`, "m").exec(stdout)?.[1] ?? 0);
};

const about = ({ from, to, message }: Frame) => ({ from, to, message });

suite("WebSocket", { concurrency: 4 }, () => {
  test("M3 M41 two connected agents talk in the original's frames", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    using a = await connectWebSocket(server.port);
    a.say({ type: "register", agent: "agent-a" });
    assert.deepEqual(await a.next(), { type: "registered", agent: "agent-a", unread: 0 });
    using b = await connected(server, "agent-b");
    b.say({ type: "message", id: "m-1", from: "agent-b", to: "agent-a", message: "Hello ü", timestamp: "2026-01-01" });
    const came = await a.next();
    assert.deepEqual(about(came), { from: "agent-b", to: "agent-a", message: "Hello ü" });
    assert.match(String(came.timestamp), /^\d{4}-\d\d-\d\dT/);
    assert.deepEqual(await b.next(), { type: "stored", id: "m-1", message_id: came.id, connected: true });
    assert.deepEqual(await b.next(), { type: "delivered", id: "m-1", message_id: came.id });
    a.say({ type: "message", to: "agent-b", message: "back" });
    assert.equal((await b.nextOf("message")).message, "back");
    a.say({ type: "ping" });
    assert.match(String((await a.nextOf("pong")).timestamp), /^\d{4}-/);
    await waitUntil(async () => (await unread(bus, "agent-a")) === 0, "an empty mailbox");
  });

  test("M11 'delivered' is sent when the recipient has the message, not before", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    using deaf = await connected(server, "deaf");
    deaf.ignorePings();
    using sender = await connected(server, "sender");
    sender.say({ type: "message", id: 1, to: "deaf", message: "hello?" });
    assert.equal((await sender.next()).type, "stored");
    assert.equal((await deaf.nextOf("message")).message, "hello?");
    sender.say({ type: "ping" });
    assert.equal((await sender.next()).type, "pong", "nothing was said of a delivery");
    assert.equal(await unread(bus, "deaf"), 1);
    deaf.socket.destroy();
    const { stdout } = await bus.run("fetch", "deaf");
    assert.match(stdout, /hello\?/);
    assert.deepEqual(await sender.next(), { type: "delivered", id: 1, message_id: 1 });
  });

  test("D15 messages to an absent agent are kept, and delivered when it connects", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    using sender = await connected(server, "sender");
    for (const text of ["one", "two", "three"]) sender.say({ type: "message", id: text, to: "late", message: text });
    for (const id of ["one", "two", "three"]) {
      const { type, connected, ...said } = await sender.next();
      assert.deepEqual([type, connected, said.id], ["stored", false, id]);
    }
    using late = await connectWebSocket(server.port);
    late.say({ type: "register", agent: "late" });
    assert.deepEqual(await late.next(), { type: "registered", agent: "late", unread: 3 });
    for (const text of ["one", "two", "three"]) assert.equal((await late.next()).message, text);
    for (const id of ["one", "two", "three"]) {
      assert.deepEqual([(await sender.next()).type, id], ["delivered", id]);
    }
  });

  test("a live connection's name can't be taken over; a dead one's can", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    using first = await connected(server, "agent-a");
    using second = await connectWebSocket(server.port);
    second.say({ type: "register", agent: "agent-a" });
    assert.equal((await second.next()).error, "agent-a is connected already, from elsewhere");
    second.say({ type: "register", agent: "agent-c" });
    assert.equal((await second.next()).type, "registered");
    second.say({ type: "message", from: "agent-a", to: "x", message: "as somebody else" });
    assert.equal((await second.next()).error, "this connection is agent-c");
    second.say({ type: "register", agent: "agent-d" });
    assert.equal((await second.next()).error, "this connection is agent-c");
    first.ignorePings();
    using third = await connected(server, "agent-a");
    await first.closed;
    third.say({ type: "ping" });
    assert.equal((await third.next()).type, "pong");
  });

  test("M16 everybody sees who is connected and who has left", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    using asking = await connectWebSocket(server.port);
    const online = async (agent: string) => {
      asking.say({ type: "ping", agent });
      return (await asking.nextOf("pong")).online;
    };
    assert.equal(await online("agent-a"), false);
    const socket = await connected(server, "agent-a");
    assert.equal(await online("agent-a"), true);
    assert.deepEqual(await bus.run("online", "agent-a"), { code: 0, stdout: "agent-a is online\n", stderr: "" });
    assert.equal(Object((await ask(server.url, "GET /online/agent-a")).json).online, true);
    assert.match((await bus.run("peers")).stdout, /^lis-\w+ {2}listener {2}online, waits for messages {2}as agent-a$/m);
    assert.match((await bus.run("command", "send", "*", "work")).stderr, /Nobody else is connected/);
    socket[Symbol.dispose]();
    await waitUntil(async () => (await online("agent-a")) === false, "its end");
    assert.match((await bus.run("online", "agent-a")).stderr, /agent-a is offline/);
  });

  test("ack manual: a message is consumed when its reader confirms it", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const first = await connected(server, "agent-a", { ack: "manual" });
    await bus.run("post", "agent-a", "one", "--from", "me");
    const { id } = await first.nextOf("message");
    assert.equal(await unread(bus, "agent-a"), 1);
    first[Symbol.dispose]();
    using again = await connected(server, "agent-a", { ack: "manual" });
    assert.equal((await again.nextOf("message")).id, id, "it comes again at once");
    again.say({ type: "received", id });
    await waitUntil(async () => (await unread(bus, "agent-a")) === 0, "an empty mailbox");
  });

  test("a recipient may be anywhere: a fetch of the mailbox counts as delivery", async () => {
    using bus = temporaryBus();
    await using one = await bus.serve();
    await using other = await bus.serve();
    using sender = await connected(one, "sender");
    using recipient = await connected(other, "recipient");
    sender.say({ type: "message", id: 7, to: "recipient", message: "across servers" });
    assert.equal((await recipient.nextOf("message")).message, "across servers");
    assert.equal((await sender.nextOf("delivered")).id, 7);
  });

  test("a burst keeps its order, and its sender hears of each message", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    using a = await connected(server, "a");
    using b = await connected(server, "b");
    const count = 400;
    for (let id = 0; id < count; id++) b.say({ type: "message", id, to: "a", message: `m${id}` });
    for (let id = 0; id < count; id++) assert.equal((await a.nextOf("message")).message, `m${id}`);
    const delivered: unknown[] = [];
    while (delivered.length < count) delivered.push((await b.nextOf("delivered")).id);
    assert.deepEqual(new Set(delivered).size, count);
  });

  test("every network operation can be asked, streams too", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    using socket = await connectWebSocket(server.port, { path: "/agent-msg" });
    socket.say({ type: "ask", id: 1, ask: "follow", input: { channel: "c", agent: "reader" } });
    socket.say({ type: "ask", id: 2, ask: "send", input: { channel: "c", sender: "me", content: "hello" } });
    const both = (await Promise.all([socket.next(), socket.next()])).toSorted((x, y) => Number(y.id) - Number(x.id));
    assert.deepEqual(both[0], { type: "answer", id: 2, ok: true, answer: { ok: true, id: 1 } });
    assert.equal(Object(both[1]?.next).content, "hello");
    socket.say({ type: "ask", id: 3, ask: "read", input: { channel: "c", agent: "other" } });
    assert.equal(Object((await socket.next()).answer)[0].content, "hello");
    socket.say({ type: "ask", id: 4, ask: "read", input: { channel: "c", agent: "other" } });
    assert.deepEqual((await socket.next()).answer, [], "its watermark has moved");
    socket.say({ type: "ask", id: 5, ask: "seed", input: { name: "x" } });
    assert.equal((await socket.next()).error, 'there is nothing called "seed" to ask for');
  });

  test("any number of requests that consume something can be asked at once", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    using socket = await connectWebSocket(server.port);
    const count = 300;
    for (let id = 0; id < count; id++) socket.say({ type: "message", id, from: "me", to: "m", message: `m${id}` });
    for (let id = 0; id < count; id++) await socket.nextOf("stored");
    // In one piece: no pong can come before the server has read them all.
    socket.socket.cork();
    for (let id = 0; id < count; id++) {
      socket.say({ type: "ask", id, ask: "fetch", input: { mailbox: "m", limit: 1 } });
    }
    socket.socket.uncork();
    const messages: string[] = [];
    while (messages.length < count) {
      const { answer } = await socket.nextOf("answer");
      messages.push(Object(answer).messages[0].content);
    }
    assert.deepEqual(
      messages,
      Array.from({ length: count }, (_, index) => `m${index}`),
    );
    await waitUntil(async () => (await unread(bus, "m")) === 0, "an empty mailbox");
  });

  test("wrong frames are answered with a sentence, and broken WebSockets end", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    using socket = await connectWebSocket(server.port);
    const wrong: readonly [unknown, RegExp][] = [
      [[], /a frame is one JSON object/],
      [{ type: "shout" }, /unknown type/],
      [{ type: "constructor" }, /unknown type/],
      [{ type: "register" }, /agent is required/],
      [{ type: "register", agent: "a\nb" }, /agent must not contain control characters/],
      [{ type: "message", to: "x", message: "y" }, /to, message, and from required/],
      [{ type: "message", from: "x", to: "x", message: "y".repeat(1024 * 1024 + 1) }, /1 MiB of UTF-8 at most/],
      [{ type: "message", from: "x", to: "../x\u0000", message: "y" }, /control characters/],
    ];
    for (const [frame, error] of wrong) {
      socket.say(frame);
      const said = await socket.next();
      assert.equal(said.type, "error");
      assert.match(String(said.error), error);
    }
    socket.frame(2, Buffer.from('{"type":"ping"}'));
    assert.match(String((await socket.next()).error), /a frame is one JSON object/);
    using large = await connectWebSocket(server.port);
    large.say({ type: "message", from: "x", to: "x", message: "y".repeat(7 * 1024 * 1024) });
    assert.equal(await large.closed, 1009);
    using broken = await connectWebSocket(server.port);
    broken.frame(7, Buffer.from("?"));
    assert.equal(await broken.closed, 1002);
    assert.equal((await ask(server.url, "GET /health")).status, 200);
  });

  test("a server that stops says so, and loses nothing on its way", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    using deaf = await connected(server, "deaf");
    deaf.ignorePings();
    await bus.run("post", "deaf", "kept", "--from", "me");
    await deaf.nextOf("message");
    server.child.kill("SIGTERM");
    assert.equal(await deaf.closed, 1001);
    assert.equal((await server.ended).code, 0);
    assert.match((await bus.run("fetch", "deaf")).stdout, /kept/);
  });
});

suite("who may do what over WebSocket", { concurrency: 4 }, () => {
  test("M26 in secure mode a token is shown, as a header or among the subprotocols", async () => {
    using bus = await secureBus("herald", "scout");
    await using server = await bus.serve();
    const { port } = server;
    const token = await tokenOf(bus, "herald");
    using nobody = await connectWebSocket(port);
    nobody.say({ type: "register", agent: "herald" });
    assert.equal((await nobody.next()).error, "not allowed: connecting as herald needs its token");
    nobody.say({ type: "message", from: "herald", to: "scout", message: "forged" });
    assert.equal((await nobody.next()).error, "signature required (secure mode active)");
    using herald = await connectWebSocket(port, { headers: { Authorization: `Bearer ${token}` } });
    herald.say({ type: "register", agent: "scout" });
    assert.match(String((await herald.next()).error), /not allowed: this token is for herald/);
    herald.say({ type: "register", agent: "herald" });
    assert.equal((await herald.next()).type, "registered");
    const shown = `el-ipc, bearer.${await tokenOf(bus, "scout")}`;
    using scout = await connectWebSocket(port, { headers: { "Sec-WebSocket-Protocol": shown } });
    scout.say({ type: "register", agent: "scout" });
    assert.equal((await scout.next()).type, "registered");
    herald.say({ type: "message", id: 1, to: "scout", message: "it is me" });
    const { from, message, attested } = await scout.nextOf("message");
    assert.deepEqual([from, message, attested], ["herald", "it is me", true]);
    await assert.rejects(
      connectWebSocket(port, { headers: { Authorization: "Bearer a.b.c" } }),
      /^Error: HTTP\/1\.1 403/,
    );
  });

  test("M36 with an API key an upgrade without it is refused; and so is one from a web page elsewhere", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve({ IPC_API_KEY: "sesame" });
    await assert.rejects(connectWebSocket(server.port), /^Error: HTTP\/1\.1 401/);
    const key = { Authorization: "Bearer sesame" };
    using socket = await connectWebSocket(server.port, { headers: key });
    socket.say({ type: "ping" });
    assert.equal((await socket.next()).type, "pong");
    const page = { ...key, Origin: "https://evil.example" };
    await assert.rejects(
      connectWebSocket(server.port, { headers: page }),
      /^Error: HTTP\/1\.1 403.*web page elsewhere/,
    );
  });

  test("a refused upgrade says why, and what to do, as an error over HTTP does", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve({ IPC_API_KEY: "sesame" });
    const asked = { Connection: "Upgrade", Upgrade: "websocket", "Sec-WebSocket-Version": "13" };
    const upgrade = (headers: Readonly<Record<string, string>>) =>
      ask(server.url, "GET /", { headers: { ...asked, ...headers } });
    const stranger = await upgrade({});
    assert.deepEqual([stranger.status, stranger.headers["www-authenticate"]], [401, "Bearer"]);
    assert.equal(stranger.headers["content-type"], "application/json");
    const { ok, error, code, reason } = Object(stranger.json);
    assert.deepEqual([ok, code, reason], [false, "unauthorized", "unauthenticated"]);
    assert.match(error, /^this server asks for its API key or an agent's token: send it as Authorization: Bearer/);
    const key = { Authorization: "Bearer sesame" };
    for (const headers of [
      key,
      { ...key, "Sec-WebSocket-Key": "short" },
      { ...key, "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Version": "7" },
      { ...key, Upgrade: "h2c" },
    ]) {
      const { status, json } = await upgrade(headers);
      assert.deepEqual([status, Object(json).code], [400, "invalid"]);
      assert.match(Object(json).error, /^this is no request for a WebSocket: .*Sec-WebSocket-|Upgrade header/);
    }
    assert.equal((await ask(server.url, "GET /health", { headers: key })).status, 200);
  });

  test("a rebound page or a proxy isn't local", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const far: readonly Record<string, string>[] = [{ Host: "evil.example" }, { "X-Forwarded-For": "192.0.2.1" }];
    for (const headers of far) {
      using socket = await connectWebSocket(server.port, { headers });
      socket.say({ type: "register", agent: "a" });
      assert.equal((await socket.next()).reason, "from_beyond");
    }
  });
});
