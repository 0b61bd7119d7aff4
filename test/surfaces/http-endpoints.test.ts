import assert from "node:assert/strict";
import { createPrivateKey, sign } from "node:crypto";
import { suite, test } from "node:test";
import { rawKeyBytes, readPublicKey } from "../../src/core/keys.ts";
import { registrationBytes } from "../../src/core/signature.ts";
import {
  contentsOf,
  messagesOf,
  placeKeys,
  secureBus,
  type TemporaryBus,
  temporaryBus,
  textIn,
} from "../support/bus.ts";
import { type Answer, ask } from "../support/http.ts";

interface Sending {
  readonly channel: string;
  readonly sender: string;
  readonly content: string;
}

function signature(bus: TemporaryBus, key: string, { channel, sender, content }: Sending): string {
  const bytes = Buffer.from(`${channel}\n${sender}\n${content}`);
  return sign(null, bytes, createPrivateKey(textIn(bus.file(key)))).toString("base64");
}

/** The original's clients look at the status and at `error`. */
function fails({ status, json, headers }: Answer, expected: number, error: string | RegExp): void {
  assert.equal(status, expected);
  assert.equal(headers["content-type"], "application/json");
  assert.ok(typeof json === "object" && json !== null && "error" in json && "ok" in json && "code" in json);
  assert.equal(json.ok, false);
  if (typeof error === "string") assert.equal(json.error, error);
  else assert.match(String(json.error), error);
}

suite("the HTTP endpoints", { concurrency: 6 }, () => {
  test("E6 serve starts the server, says where in its log, and ends cleanly", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const answer = await ask(server.url, "GET /health");
    assert.equal(answer.status, 200);
    assert.equal(answer.headers["content-type"], "application/json");
    server.child.kill("SIGTERM");
    const { code, stdout, stderr } = await server.ended;
    assert.deepEqual([code, stdout], [0, ""]);
    assert.match(stderr, /"event":"listening","url":"http:\/\/127\.0\.0\.1:\d+".*\n.*"event":"stopping"/);
  });

  test("E27 E30 POST /send stores a message and answers with its id", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const send = (body: unknown) => ask(server.url, "POST /send", { body });
    const answer = await send({ channel: "room", sender: "a", content: "héllo\nworld", signature: "", extra: [1] });
    assert.deepEqual([answer.status, answer.text], [200, '{"ok":true,"id":1}']);
    assert.deepEqual((await send({ channel: "room", sender: "a", content: " " })).json, { ok: true, id: 2 });
    const required = "channel, sender, and content required";
    for (const body of [
      {},
      { channel: "room", sender: "a" },
      { channel: "room", sender: "a", content: "" },
      { channel: "", sender: "a", content: "x" },
      { channel: "room", sender: null, content: "x" },
      "",
    ]) {
      fails(await send(body), 400, required);
    }
    assert.deepEqual(contentsOf(await bus.answer("read", "room", "b")), ["héllo\nworld", " "]);
  });

  test("GET /messages answers with an array of an agent's unread messages, once", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const sent = Date.now() / 1_000;
    await ask(server.url, "POST /send", { body: { channel: "a room", sender: "ä", content: "1" } });
    const { status, json } = await ask(server.url, "GET /messages?channel=a%20room&agent=b%2Bc");
    const [message] = messagesOf(json);
    assert.equal(status, 200);
    assert.ok(message !== undefined && Math.abs(message.timestamp - sent) < 5);
    assert.deepEqual(json, [{ id: 1, sender: "ä", content: "1", timestamp: message.timestamp }]);
    assert.equal((await ask(server.url, "GET /messages?channel=a+room&agent=b%2Bc")).text, "[]");
    assert.equal((await ask(server.url, "GET /messages?channel=none&agent=b")).text, "[]");
    for (const query of ["", "?channel=a", "?agent=b", "?channel=&agent=b", "?channel", "?a=b&"]) {
      fails(await ask(server.url, `GET /messages${query}`), 400, /^channel and agent required/);
    }
  });

  test("E33 GET /channels lists all channels with their counts, newest first", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    assert.equal((await ask(server.url, "GET /channels")).text, "[]");
    for (const channel of ["old", "new", "new"]) {
      await ask(server.url, "POST /send", { body: { channel, sender: "a", content: "x" } });
    }
    const times = messagesOf((await ask(server.url, "GET /messages?channel=new&agent=b")).json);
    const { json } = await ask(server.url, "GET /channels");
    assert.ok(Array.isArray(json));
    assert.deepEqual(json[0], { channel: "new", count: 2, last_message: times[1]?.timestamp });
    assert.deepEqual([json.length, json[1]?.channel, json[1]?.count], [2, "old", 1]);
  });

  test("E35 GET /health gives the status, what is pending, and whether the bus is secure", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    await ask(server.url, "POST /send", { body: { channel: "c", sender: "a", content: "x" } });
    assert.equal((await ask(server.url, "GET /health")).text, '{"status":"ok","pending":0,"secure_mode":false}');
    assert.deepEqual((await ask(server.url, "GET /health?channel=c&agent=b")).json, {
      status: "ok",
      pending: 1,
      secure_mode: false,
    });
    await bus.run("seed", "ops");
    const { did, ...health } = Object((await ask(server.url, "GET /health?channel=c")).json);
    assert.deepEqual(health, { status: "ok", pending: 0, secure_mode: true });
    assert.match(did, /^did:key:z6Mk/);
  });

  test("E19 E20 in secure mode POST /send takes a valid signature, and nothing else", async () => {
    using bus = await secureBus("herald", "mallory");
    await using server = await bus.serve();
    const send = (body: unknown) => ask(server.url, "POST /send", { body });
    const message = { channel: "c", sender: "herald", content: "line\nline ü" };
    const good = signature(bus, "herald.key", message);
    const answer = await send({ ...message, signature: good });
    assert.deepEqual([answer.status, answer.json], [200, { ok: true, id: 1 }]);
    fails(await send(message), 403, "signature required (secure mode active)");
    fails(await send({ ...message, signature: "" }), 403, "signature required (secure mode active)");
    fails(await send({ ...message, sender: "X", signature: good }), 403, "unknown sender: X");
    const bad = [
      signature(bus, "mallory.key", message),
      signature(bus, "herald.key", { ...message, content: "other" }),
      `${good}\n`,
      `!${good}`,
      good.slice(0, -2),
      good.replaceAll("+", "-").replaceAll("/", "_").replace("==", ""),
      Buffer.alloc(64).toString("base64"),
      Buffer.alloc(63).toString("base64"),
      "x",
    ];
    for (const one of bad) fails(await send({ ...message, signature: one }), 403, "invalid signature");
    fails(await send({ ...message, channel: "d", signature: good }), 403, "invalid signature");
    const messages = messagesOf((await ask(server.url, "GET /messages?channel=c&agent=b")).json);
    assert.deepEqual(
      messages.map(({ content, signed }) => [content, signed]),
      [[message.content, true]],
    );
  });

  test("E31 POST /register registers an agent by its operator's key, or by its signature", async () => {
    using bus = await secureBus("herald");
    await using server = await bus.serve();
    placeKeys(bus, "k");
    const register = (body: unknown) => ask(server.url, "POST /register", { body });
    const public_key = textIn(bus.file("k.pub"));
    const operator_key = textIn(bus.file("ops.key"));
    const byKey = { name: "one", public_key, operator: "ops", operator_key, identity: "a uuid" };
    const answer = await register(byKey);
    assert.deepEqual(
      [answer.status, answer.json],
      [200, { ok: true, message: "Agent 'one' registered by operator 'ops'" }],
    );
    const { did } = Object((await ask(server.url, "GET /health")).json);
    const stamp = { aud: String(did), nonce: "AAECAwQFBgcICQoLDA0ODw", ts: Date.now() };
    const rawKey = rawKeyBytes(readPublicKey(Buffer.from(public_key)));
    const signed = { name: "two", identity: "", rawKey, operator: "ops", v2Only: false };
    const operator_signature = sign(null, registrationBytes(signed, stamp), createPrivateKey(operator_key)).toString(
      "base64",
    );
    const bySignature = { name: "two", public_key, operator: "ops", operator_signature, v: 2, ...stamp };
    assert.equal((await register(bySignature)).status, 200);
    fails(await register({ ...bySignature, name: "three" }), 403, /verification failed/);

    for (const missing of ["name", "public_key", "operator", "operator_key"]) {
      fails(await register({ ...byKey, [missing]: "" }), 400, /required/);
    }
    fails(await register({ ...byKey, operator_key: textIn(bus.file("herald.key")) }), 403, /verification failed/);
    fails(await register({ ...byKey, operator: "nobody" }), 403, "Operator 'nobody' not found");
    fails(await register({ ...byKey, operator: "herald" }), 403, "'herald' is not an operator (role: agent)");
    fails(await register({ ...byKey, operator_key: "junk" }), 400, /./);
    fails(await register({ ...byKey, public_key: "junk" }), 400, /./);
    fails(await register({ ...byKey, name: "ops" }), 409, /already exists/);

    const message = { channel: "c", sender: "one", content: "x" };
    const sent = await ask(server.url, "POST /send", {
      body: { ...message, signature: signature(bus, "k.key", message) },
    });
    assert.equal(sent.status, 200);
    await server.child.kill();
    assert.doesNotMatch((await server.ended).stderr, /PRIVATE|uuid/);
  });

  test("E34 GET /agents lists names, roles and identities", async () => {
    using bus = await secureBus("herald");
    await using server = await bus.serve();
    const { status, json } = await ask(server.url, "GET /agents");
    assert.equal(status, 200);
    assert.ok(Array.isArray(json));
    assert.deepEqual(
      json.map((agent) => ({ ...agent, created_at: typeof agent.created_at })),
      [
        { name: "ops", identity: "", role: "operator", registered_by: null, created_at: "number" },
        { name: "herald", identity: "", role: "agent", registered_by: "ops", created_at: "number" },
      ],
    );
  });

  test("E36 E38 the agent card has no DID until there is an operator", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const card = () => ask(server.url, "GET /.well-known/agent-card.json");
    const open = (await card()).json;
    assert.ok(typeof open === "object" && open !== null && !("did" in open));
    await bus.run("seed", "ops");
    const { status, json } = await card();
    assert.equal(status, 200);
    assert.ok(typeof json === "object" && json !== null && "did" in json);
    assert.match(String(json.did), /^did:key:z6Mk/);
    assert.deepEqual({ ...json, did: undefined }, { ...open, did: undefined });
  });

  test("POST /ack moves a watermark, never back and never past what there is", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    for (const content of ["1", "2", "3"]) {
      await ask(server.url, "POST /send", { body: { channel: "c", sender: "a", content } });
    }
    const ack = (id: unknown) => ask(server.url, "POST /ack", { body: { channel: "c", agent: "b", id } });
    assert.deepEqual((await ack(2)).json, { ok: true, watermark: 2 });
    assert.deepEqual((await ack(1)).json, { ok: true, watermark: 2 });
    assert.deepEqual(contentsOf((await ask(server.url, "GET /messages?channel=c&agent=b&peek=true")).json), ["3"]);
    assert.deepEqual((await ack(1e9)).json, { ok: true, watermark: 3 });
    for (const id of [-1, 1.5, "2", true, {}, 2 ** 53]) fails(await ack(id), 400, /^id must be a whole number/);
    fails(await ack(undefined), 400, "channel, agent, and id required");
  });

  test("ack=manual leaves the messages unread until POST /ack, and peek does so too", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const read = async (more: string) =>
      contentsOf((await ask(server.url, `GET /messages?channel=c&agent=b${more}`)).json);
    for (const content of ["1", "2", "3"]) await bus.run("send", "c", "a", content);
    assert.deepEqual(await read("&ack=manual"), ["1", "2", "3"]);
    assert.deepEqual(await read("&ack=manual&limit=2"), ["1", "2"]);
    await ask(server.url, "POST /ack", { body: { channel: "c", agent: "b", id: 1 } });
    assert.deepEqual(await read("&peek=true"), ["2", "3"]);
    assert.deepEqual(await read("&ack=auto&limit=1"), ["2"]);
    assert.deepEqual(await read("&others=true&ack=manual"), ["3"]);
    assert.deepEqual(await read(""), ["3"]);
    assert.deepEqual(await read(""), []);
    fails(await ask(server.url, "GET /messages?channel=c&agent=b&ack=maybe"), 400, "ack must be one of auto, manual");
  });

  test("a monitor may ask for the head alone, of what anyone may ask", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    for (const path of ["/health", "/metrics", "/", "/openapi.json", "/.well-known/agent-card.json"]) {
      const { status, headers } = await fetch(server.url + path, { method: "HEAD" });
      assert.deepEqual([status, headers.get("content-length") === "0"], [200, false], path);
    }
    assert.equal((await fetch(`${server.url}/messages?channel=c&agent=a`, { method: "HEAD" })).status, 405);
  });

  test("an unknown path is 404, a known one with a wrong method 405", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    for (const path of ["/nothing", "/send/", "/sends", "//send", "/%73end", "/constructor", "/__proto__"]) {
      fails(await ask(server.url, `GET ${path}`), 404, "not found");
    }
    for (const what of ["GET /send", "PUT /send", "DELETE /messages", "POST /health", "PATCH /ack", "OPTIONS /send"]) {
      const answer = await ask(server.url, what);
      fails(answer, 405, /^use (GET|POST) for \//);
      assert.match(answer.headers.allow ?? "", /^(GET|POST)$/);
    }
    for (const path of ["/seed", "/keygen", "/store-operator", "/serve"]) {
      fails(await ask(server.url, `POST ${path}`, { body: { name: "x" } }), 404, "not found");
    }
  });
});
