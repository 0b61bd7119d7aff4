import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { suite, test } from "node:test";
import type { Caller } from "../../src/core/access.ts";
import { sendMessage } from "../../src/operations/messages.ts";
import { parseRequest } from "../../src/operations/operation.ts";
import { perform } from "../../src/operations/perform.ts";
import { objectIn, type Question } from "../support/http.ts";
import {
  createIdentity,
  didOf,
  signRegistration,
  signRevocation,
  signV1,
  signV2,
  stampFor,
  tokenOf,
} from "../support/identity.ts";
import { type Bus, eventually, openBus, secureBus, succeeded } from "../support/secure-bus.ts";
import { openLocalBus } from "../support/store.ts";

const said = { channel: "builds", content: "x" };

/** The alarms, oldest first; no watermark moves. */
function alarms(bus: Bus): readonly Readonly<Record<string, unknown>>[] {
  const rows = bus.sql("SELECT sender, content, signature FROM messages WHERE channel = 'security' ORDER BY id");
  return rows.map(({ sender, content, signature }) => {
    assert.deepEqual([sender, signature], ["el-ipc", ""]);
    return objectIn(String(content));
  });
}

suite("the security channel", { concurrency: 3 }, () => {
  test("every kind of refusal is a message there, by el-ipc, that says what was tried and from where", async () => {
    using bus = await secureBus();
    const { herald, scout, ops, did } = bus;
    await using server = await bus.serve({ IPC_READ_AUTH: "required" });
    const stamp = stampFor(did);
    const right = signV2(herald, said, stamp);
    await server.ask("POST /send", { body: right });
    await server.ask("POST /revoke", { body: signRevocation(ops, scout, stampFor(did)) });
    const tries: readonly [string, string, Question][] = [
      ["unsigned_message", "POST /send", { body: { ...said, sender: "herald" } }],
      ["unknown_sender", "POST /send", { body: signV1(createIdentity("nobody"), said) }],
      ["invalid_signature", "POST /send", { body: signV1(createIdentity("herald"), said) }],
      ["wrong_audience", "POST /send", { body: signV2(herald, said, stampFor(didOf(scout))) }],
      ["stale", "POST /send", { body: signV2(herald, said, stampFor(did, -400_000)) }],
      ["replay", "POST /send", { body: signV2(herald, { ...said, content: "y" }, stamp) }],
      ["revoked", "POST /send", { body: signV1(scout, said) }],
      ["unauthorized_registration", "POST /register", { body: signRegistration(scout, herald, stampFor(did)) }],
      ["invalid_token", "GET /messages?channel=builds&agent=herald", { bearer: tokenOf(scout, did) }],
      ["not_yours", "GET /messages?channel=builds&agent=ops", { bearer: tokenOf(herald, did) }],
      ["unauthenticated", "GET /messages?channel=builds&agent=herald", {}],
      ["from_beyond", "GET /health", { headers: { Origin: "http://evil.example" } }],
    ];
    for (const [kind, what, question] of tries) {
      const { status, json } = await server.ask(what, question);
      assert.equal(json.reason, kind);
      assert.ok(status === 401 || status === 403 || status === 409, `${kind}: ${status}`);
    }
    const told = alarms(bus);
    assert.deepEqual(
      told.map(({ event }) => event),
      tries.map(([kind]) => kind),
    );
    for (const alarm of told) assert.ok(typeof alarm.error === "string" && typeof alarm.from === "string");
    const [unsigned] = told;
    assert.deepEqual(
      [unsigned?.operation, unsigned?.channel, unsigned?.sender, unsigned?.from],
      ["send", "builds", "herald", "local"],
    );
    assert.equal(bus.sql("SELECT 1 FROM messages WHERE channel = 'builds'").length, 1);
  });

  test("mistakes are no alarms, and what was done twice isn't either", async () => {
    using bus = await secureBus();
    await using server = await bus.serve();
    const body = signV2(bus.herald, said, stampFor(bus.did));
    for (const _ of [1, 2]) assert.equal((await server.ask("POST /send", { body })).status, 200);
    assert.equal((await server.ask("POST /send", { body: { channel: "c" } })).status, 400);
    assert.equal((await server.ask("GET /nowhere")).status, 404);
    assert.equal((await server.ask("POST /send", { body: { ...body, channel: "a\nb" } })).status, 400);
    assert.deepEqual(alarms(bus), []);
  });

  test("the command line's refusals are reported there, too", async () => {
    using bus = await secureBus();
    assert.equal((await bus.run("send", "builds", "herald", "x")).code, 1);
    assert.equal((await bus.run("send", "builds", "herald", "x", "--key", bus.keyOf(bus.scout))).code, 1);
    assert.deepEqual(
      alarms(bus).map(({ event, from }) => [event, from]),
      [
        ["unsigned_message", "process"],
        ["invalid_signature", "process"],
      ],
    );
  });

  test("a flood of refusals is ten messages of its kind, and hides no other kind", async () => {
    using bus = await secureBus();
    await using server = await bus.serve();
    const bad = { body: { ...said, sender: "herald" } };
    const statuses = await Promise.all(
      Array.from({ length: 200 }, async () => (await server.ask("POST /send", bad)).status),
    );
    assert.deepEqual(new Set(statuses), new Set([403]));
    await server.ask("POST /send", { body: signV1(createIdentity("nobody"), said) });
    const kinds = alarms(bus).map(({ event }) => event);
    assert.equal(kinds.filter((kind) => kind === "unsigned_message").length, 10);
    assert.equal(kinds.filter((kind) => kind === "unknown_sender").length, 1);
  });

  test("a flood of refusals is ten lines of its kind in the server's log, with a count of the rest", async () => {
    using bus = await secureBus();
    await using server = await bus.serve();
    for (let n = 0; n < 60; n++) await server.ask("POST /send", { body: { ...said, sender: "herald" } });
    for (let n = 0; n < 15; n++) await server.ask("GET /agents", { headers: { Origin: "https://evil.example" } });
    server.child.kill("SIGTERM");
    const lines = (await server.ended).stderr.split("\n").filter((line) => line.includes('"event":"refused"'));
    assert.equal(lines.filter((line) => line.includes('"reason":"unsigned_message"')).length, 10);
    assert.equal(lines.filter((line) => line.includes('"reason":"from_beyond"')).length, 10);
  });

  test("the newest ten thousand are kept, and `prune` takes them only by their name", async () => {
    using bus = await secureBus();
    bus.sql(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10050)
      INSERT INTO messages (channel, sender, content, created_at) SELECT 'security', 'el-ipc', '{}', i FROM n RETURNING 1`);
    const count = () => bus.sql("SELECT 1 FROM messages WHERE channel = 'security'").length;
    assert.equal(count(), 10_050);
    assert.equal((await bus.run("send", "builds", "herald", "x")).code, 1);
    assert.equal(count(), 10_000);
    assert.equal(alarms(bus).at(-1)?.event, "unsigned_message");
    assert.equal((await succeeded(bus.run("prune", "--keep", "0"))).stdout, "Removed 0 messages\n");
    assert.equal(count(), 10_000);
    await succeeded(bus.run("prune", "security", "--keep", "5"));
    assert.equal(count(), 5);
  });

  test("the first alarm of the next minute counts those left out of a flood", async () => {
    using folder = await secureBus();
    let now = Date.now() / 1_000;
    await using bus = await openLocalBus({ path: folder.database }, () => now);
    const caller: Caller = { from: "local", admitted: false, hasKey: false, identity: undefined };
    const attempt = () =>
      assert.rejects(
        perform(bus, parseRequest(sendMessage, { ...said, sender: "herald" }), {
          caller,
          signal: AbortSignal.timeout(5_000),
        }),
        /signature required/,
      );
    const told = async () =>
      (await bus.store.messages.after("security", 0, 100)).map(({ content }) => objectIn(content).untold);
    for (let n = 0; n < 30; n++) await attempt();
    assert.deepEqual(await told(), Array(10).fill(undefined));
    now += 59;
    await attempt();
    assert.equal((await told()).length, 10);
    now += 2;
    await attempt();
    await attempt();
    assert.deepEqual((await told()).slice(10), [21, undefined]);
  });

  test("only the bus writes there, in either mode, whatever the signature or token", async () => {
    using bus = await secureBus();
    using open = openBus();
    const { ops, herald, did } = bus;
    const there = { channel: "security", content: '{"event":"all is well"}' };
    await using server = await bus.serve();
    await using openServer = await open.serve();
    const bodies: readonly Question[] = [
      { body: { ...there, sender: "el-ipc" } },
      { body: signV1(ops, there) },
      { body: signV2(ops, there, stampFor(did)) },
      { body: { ...there, sender: "ops" }, bearer: tokenOf(ops, did) },
      { body: signV2(herald, there, stampFor(did)) },
    ];
    for (const question of bodies) {
      const { status, json } = await server.ask("POST /send", question);
      assert.deepEqual([status, json.error], [403, "only the bus itself writes to security"]);
    }
    const key = bus.keyOf(ops);
    for (const words of [
      ["security", "ops", "x", "--key", key],
      ["security", "ops", "x", "--key", key, "--url", server.url],
    ]) {
      assert.match((await bus.run("send", ...words)).stderr, /^Error: only the bus itself writes to security\n$/);
    }
    assert.equal((await openServer.ask("POST /send", { body: { ...there, sender: "el-ipc" } })).status, 403);
    assert.equal((await open.run("send", "security", "el-ipc", "x")).code, 1);
    for (const alarm of [...alarms(bus), ...alarms(open)]) assert.equal(alarm.event, "not_yours");
  });

  test("an operator who waits there is woken, on the database and through a server", async () => {
    using bus = await secureBus();
    await using server = await bus.serve();
    const near = bus.start("read", "security", "alice", "--wait", "--timeout", "20");
    const key = bus.keyOf(bus.ops);
    const far = bus.start("read", "security", "watcher", "--wait", "--timeout", "20", "--url", server.url);
    const token = bus.start(
      ...["read", "security", "ops", "--wait", "--timeout", "20", "--peek", "--key", key, "--url", server.url],
    );
    const bells = bus.file("bus.db-bells");
    await eventually(() => existsSync(bells), "somebody waits");
    await new Promise((resolve) => setTimeout(resolve, 300));
    await server.ask("POST /send", { body: { ...said, sender: "herald" } });
    for (const waiter of [near, far, token]) {
      const { code, stdout, stderr } = await waiter.ended;
      assert.deepEqual([code, stderr], [0, ""]);
      assert.match(stdout, /unsigned_message/);
    }
  });

  test("no secret that a refused request carried is in an alarm, in the log or in the database", async () => {
    using bus = await secureBus();
    const { herald, ops, did } = bus;
    const IPC_API_KEY = "the-api-key-itself-0123456789";
    await using server = await bus.serve({ IPC_API_KEY }, "--verbose");
    const rogue = createIdentity("herald");
    const token = tokenOf(herald, did, { exp: 1 });
    const good = tokenOf(ops, did);
    const badSignature = signV1(rogue, said);
    const { name, publicPem: public_key } = createIdentity("runner");
    const byKey = { name, public_key, operator: "ops", operator_key: ops.privatePem };
    const wrongKey = { ...byKey, operator_key: herald.privatePem };
    const bearer = IPC_API_KEY;
    const questions: readonly [string, Question][] = [
      ["GET /health", { bearer: "a-guess-at-the-key" }],
      ["GET /messages?channel=c&agent=a&token=in-the-query", { bearer: token }],
      ["GET /messages?channel=c&agent=herald", { bearer: good, headers: { Origin: "http://evil.example" } }],
      ["POST /send", { bearer, body: badSignature }],
      ["POST /register", { bearer, body: byKey, headers: { "X-Forwarded-For": "203.0.113.9" } }],
      ["POST /register", { bearer, body: wrongKey }],
      ["POST /register", { bearer, body: { ...byKey, operator_key: "junk-of-a-key" } }],
      ["POST /register", { bearer, body: byKey }],
      ["GET /messages?channel=c&agent=herald", { bearer: good }],
      ["GET /metrics", { bearer, headers: { Host: "bus.example.org" } }],
    ];
    const statuses: number[] = [];
    for (const [what, question] of questions) statuses.push((await server.ask(what, question)).status);
    assert.deepEqual(statuses, [401, 403, 403, 403, 403, 403, 400, 200, 200, 200]);
    const lines = (pem: string) => pem.split("\n").filter((line) => line !== "" && !line.startsWith("-"));
    const secrets = [
      ...[IPC_API_KEY, "a-guess-at-the-key", "in-the-query", "junk-of-a-key", badSignature.signature],
      ...[token, token.split(".")[2] ?? "", good, good.split(".")[1] ?? ""],
      ...lines(ops.privatePem),
      ...lines(herald.privatePem),
    ];
    server.child.kill("SIGTERM");
    const { stderr } = await server.ended;
    assert.ok(stderr.includes('"event":"refused"') && stderr.includes('"event":"request"'));
    assert.ok(alarms(bus).length >= 5);
    const database = readFileSync(bus.database, "latin1");
    for (const secret of secrets) {
      assert.ok(secret.length > 8);
      assert.equal(stderr.includes(secret), false, `in the log: ${secret}`);
      assert.equal(database.includes(secret), false, `in the database: ${secret}`);
    }
  });

  test("what a stranger wrote into a refused request reaches the alarm as text, cut short", async () => {
    using bus = await secureBus();
    await using server = await bus.serve();
    const sender = `\u202e"},{"event":"${"x".repeat(150)}`;
    await server.ask("POST /send", { body: { channel: "c".repeat(200), sender, content: "x", signature: "x" } });
    const [alarm, ...others] = alarms(bus);
    assert.deepEqual([alarm?.event, alarm?.sender, others.length], ["unknown_sender", sender, 0]);
    const { stdout } = await succeeded(bus.run("read", "security", "ops"));
    assert.equal(stdout.includes("\u202e"), false);
  });
});
