import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { objectIn, objectsIn } from "../support/http.ts";
import {
  createIdentity,
  didOf,
  type Identity,
  identityOf,
  signRegistration,
  signRevocation,
  signRotation,
  signV1,
  signV2,
  stampFor,
  tokenOf,
} from "../support/identity.ts";
import { openBus, type SecureBus, type Server, secureBus, succeeded } from "../support/secure-bus.ts";

const said = { channel: "builds", content: "main is green" };

async function refuses(server: Server, what: string, body: object, status: number, sentence: RegExp): Promise<void> {
  const answer = await server.ask(what, { body });
  assert.match(String(answer.json.error), sentence);
  assert.equal(answer.status, status);
}

async function accepts(server: Server, what: string, body: object): Promise<Readonly<Record<string, unknown>>> {
  const answer = await server.ask(what, { body });
  assert.equal(answer.status, 200, answer.text);
  return answer.json;
}

async function anotherOperator(bus: SecureBus): Promise<Identity> {
  return identityOf("ops-2", (await succeeded(bus.run("seed", "ops-2"))).stdout);
}

suite("registering", { concurrency: 4 }, () => {
  test("D7 an operator's signature registers an agent, and the operator's key goes nowhere", async () => {
    using bus = await secureBus();
    await using server = await bus.serve({}, "--verbose");
    const runner = createIdentity("runner");
    const stamp = stampFor(bus.did);
    const body = signRegistration(bus.ops, runner, stamp, { identity: "a9e6db87" });
    const answer = await accepts(server, "POST /register", body);
    assert.deepEqual(answer, { ok: true, message: "Agent 'runner' registered by operator 'ops'" });
    assert.equal((await accepts(server, "POST /send", signV2(runner, said, stampFor(bus.did)))).ok, true);
    const listed = objectsIn((await server.ask("GET /agents")).text).find(({ name }) => name === "runner");
    assert.deepEqual([listed?.identity, listed?.role, listed?.registered_by], ["a9e6db87", "agent", "ops"]);
    assert.equal(listed?.public_key, undefined);
    const withKeys = objectsIn((await server.ask("GET /agents?keys=true")).text);
    assert.equal(withKeys.find(({ name }) => name === "runner")?.public_key, runner.publicPem);

    const again = await accepts(server, "POST /register", body);
    assert.equal(again.duplicate, true);
    const changed = signRegistration(bus.ops, createIdentity("runner"), stamp);
    await refuses(server, "POST /register", changed, 409, /this nonce was used for another request/);
  });

  test("the command line sends a server the signature and not the key", async () => {
    using bus = await secureBus();
    await using server = await bus.serve({ IPC_API_KEY: "the-key-of-the-server" }, "--verbose");
    const key = bus.keyOf(bus.ops);
    const words = ["--pubkey", bus.write("r.pub", createIdentity("runner").publicPem), "--as", "ops", "--key", key];
    const done = bus.runWith(
      { IPC_API_KEY: "the-key-of-the-server" },
      "register",
      "runner",
      ...words,
      "--url",
      server.url,
    );
    assert.equal(objectIn((await succeeded(done)).stdout).ok, true);
    assert.equal(bus.sql("SELECT registered_by FROM agents WHERE name = 'runner'")[0]?.registered_by, "ops");
  });

  test("a registration that was signed for another bus, time or agent is refused", async () => {
    using bus = await secureBus();
    await using server = await bus.serve();
    const runner = createIdentity("runner");
    const { ops, herald, did } = bus;
    const right = signRegistration(ops, runner, stampFor(did));
    const refusals: readonly [object, number, RegExp][] = [
      [signRegistration(ops, runner, stampFor(didOf(herald))), 403, /meant for another bus/],
      [signRegistration(ops, runner, stampFor(did, -303_000)), 403, /too far from this server's time/],
      [{ ...right, name: "runner-2" }, 403, /Operator signature verification failed/],
      [{ ...right, identity: "another" }, 403, /Operator signature verification failed/],
      [{ ...right, public_key: herald.publicPem }, 403, /Operator signature verification failed/],
      [{ ...right, rotate: true }, 403, /Operator signature verification failed/],
      [signRegistration(herald, runner, stampFor(did)), 403, /'herald' is not an operator/],
      [signRegistration(createIdentity("ops"), runner, stampFor(did)), 403, /Operator signature verification failed/],
      [signRegistration(createIdentity("nobody"), runner, stampFor(did)), 403, /Operator 'nobody' not found/],
      [{ ...right, v: undefined }, 400, /operator_signature needs v: 2/],
      [{ ...right, operator_signature: undefined }, 400, /operator_signature required/],
      [{ ...right, operator_signature: `${right.operator_signature}=` }, 403, /Operator signature verification failed/],
    ];
    for (const [body, status, sentence] of refusals) await refuses(server, "POST /register", body, status, sentence);
    assert.equal(bus.sql("SELECT name FROM agents WHERE name LIKE 'runner%'").length, 0);
  });

  test("whether v1 is still taken is a part of what the operator signs", async () => {
    using bus = await secureBus();
    await using server = await bus.serve();
    const runner = createIdentity("runner");
    const strict = signRegistration(bus.ops, runner, stampFor(bus.did), { v2_only: true });
    const lax = signRegistration(bus.ops, runner, stampFor(bus.did));
    for (const body of [
      { ...strict, v2_only: false },
      { ...lax, v2_only: true },
    ]) {
      await refuses(server, "POST /register", body, 403, /Operator signature verification failed/);
    }
    await accepts(server, "POST /register", strict);
    await refuses(server, "POST /send", signV1(runner, said), 403, /a v2 signature is required/);
    await accepts(server, "POST /register", signRotation(bus.ops, runner, stampFor(bus.did)));
    await refuses(server, "POST /send", signV1(runner, said), 403, /a v2 signature is required/);
  });

  test("D7 operator_key is taken from this machine alone, where the original's clients send it", async () => {
    using bus = await secureBus();
    await using server = await bus.serve();
    const { name, publicPem: public_key } = createIdentity("runner");
    const body = { name, public_key, operator: "ops", operator_key: bus.ops.privatePem };
    const foreign = [
      { Host: "bus.example.org" },
      { "X-Forwarded-For": "203.0.113.9" },
      { Forwarded: "for=203.0.113.9" },
    ];
    for (const headers of foreign) {
      const { status, json } = await server.ask("POST /register", { body, headers });
      assert.deepEqual([status, json.reason], [403, "unauthorized_registration"]);
      assert.match(String(json.error), /only taken from this machine: send operator_signature/);
    }
    const wrong = { ...body, operator_key: bus.herald.privatePem };
    await refuses(server, "POST /register", wrong, 403, /this is not the key of 'ops'/);
    await refuses(server, "POST /register", { ...body, operator_key: "junk" }, 400, /an Ed25519 key is needed/);
    await accepts(server, "POST /register", body);
  });

  test("D6 an agent's key is replaced by the operator who registered it, or with --rotate, and by nobody else", async () => {
    using bus = await secureBus();
    await using server = await bus.serve();
    const other = await anotherOperator(bus);
    const [second, third] = [createIdentity("herald"), createIdentity("herald")];
    const byOther = signRegistration(other, second, stampFor(bus.did));
    await refuses(server, "POST /register", byOther, 409, /'herald' already exists, and was not registered by 'ops-2'/);
    const { name, publicPem: public_key } = second;
    const byKey = { name, public_key, operator: "ops-2", operator_key: other.privatePem };
    await refuses(server, "POST /register", byKey, 409, /'herald' already exists/);
    await accepts(server, "POST /send", signV1(bus.herald, said));

    await accepts(server, "POST /register", signRegistration(bus.ops, second, stampFor(bus.did)));
    await refuses(server, "POST /send", signV1(bus.herald, said), 403, /invalid signature/);
    await accepts(server, "POST /send", signV1(second, said));

    const file = bus.write("third.pub", third.publicPem);
    const words = ["--pubkey", file, "--as", "ops-2", "--key", bus.keyOf(other), "--rotate"];
    const { stdout } = await succeeded(bus.run("register", "herald", ...words, "--url", server.url));
    assert.match(stdout, /Agent 'herald' given a new key by operator 'ops-2'/);
    await refuses(server, "POST /send", signV1(second, said), 403, /invalid signature/);
    await accepts(server, "POST /send", signV1(third, said));
    assert.equal(bus.sql("SELECT registered_by AS by FROM agents WHERE name = 'herald'")[0]?.by, "ops");
    const nobody = signRotation(bus.ops, createIdentity("nobody"), stampFor(bus.did));
    await refuses(server, "POST /register", nobody, 404, /There is no agent 'nobody'/);
  });

  test("in open mode nobody can register, so nobody can take a name", async () => {
    using bus = openBus();
    await using server = await bus.serve();
    const [me, operator] = [createIdentity("herald"), createIdentity("me")];
    const body = { ...signRegistration(operator, me, stampFor("")), operator_key: operator.privatePem };
    await refuses(server, "POST /register", body, 403, /Operator 'me' not found/);
    await refuses(server, "POST /register", { ...body, operator_signature: undefined }, 403, /Operator 'me' not found/);
    assert.deepEqual(objectsIn((await server.ask("GET /agents")).text), []);
  });

  test("D5 an operator is never replaced: not over HTTP, by the command line, or by the original's SQL", async () => {
    using bus = await secureBus();
    await using server = await bus.serve();
    const { ops, herald, did } = bus;
    const impostor = createIdentity("ops");
    await refuses(
      server,
      "POST /register",
      signRegistration(ops, impostor, stampFor(did)),
      409,
      /'ops' already exists/,
    );
    await refuses(server, "POST /register", signRotation(ops, impostor, stampFor(did)), 404, /no agent 'ops'/);
    await refuses(server, "POST /revoke", signRevocation(ops, ops, stampFor(did)), 404, /no agent 'ops'/);
    const words = ["--pubkey", bus.write("ops.pub", impostor.publicPem), "--as", "ops", "--key", bus.keyOf(ops)];
    assert.match((await bus.run("register", "ops", ...words)).stderr, /'ops' already exists/);
    assert.match((await bus.run("register", "ops", ...words, "--rotate")).stderr, /no agent 'ops'/);
    assert.match((await bus.run("seed", "ops")).stderr, /'ops' already exists/);
    assert.match((await bus.run("seed", "herald")).stderr, /'herald' already exists/);
    const replace = `INSERT OR REPLACE INTO agents (name, identity, public_key, role, registered_by, created_at)
      VALUES ('ops', '', ?, 'agent', 'ops', 0)`;
    assert.throws(() => bus.sql(replace, impostor.publicPem), /an operator cannot be replaced/);
    assert.equal((await server.ask("GET /health")).json.did, did);
    await refuses(server, "POST /send", { ...said, sender: herald.name }, 403, /signature required/);
  });

  test("several operators register agents of their own, all for one bus", async () => {
    using bus = await secureBus();
    await using server = await bus.serve();
    const other = await anotherOperator(bus);
    assert.equal((await server.ask("GET /health")).json.did, bus.did);
    const [mine, theirs] = [createIdentity("mine"), createIdentity("theirs")];
    await accepts(server, "POST /register", signRegistration(bus.ops, mine, stampFor(bus.did)));
    await accepts(server, "POST /register", signRegistration(other, theirs, stampFor(bus.did)));
    await accepts(server, "POST /send", signV2(theirs, said, stampFor(bus.did)));
    const rivals = [createIdentity("wanted"), createIdentity("wanted")];
    const asked = Array.from({ length: 10 }, (_, n) => {
      const [operator, agent] = n % 2 === 0 ? [bus.ops, rivals[0]] : [other, rivals[1]];
      return server.ask("POST /register", { body: signRegistration(operator, agent ?? mine, stampFor(bus.did)) });
    });
    const statuses = (await Promise.all(asked)).map(({ status }) => status);
    assert.deepEqual(statuses.toSorted(), [...Array(5).fill(200), ...Array(5).fill(409)]);
  });
});

suite("revoking", { concurrency: 4 }, () => {
  test("a revoked key sends nothing more, and what it sent stays and stays signed", async () => {
    using bus = await secureBus();
    await using server = await bus.serve({ IPC_READ_AUTH: "required" });
    const { herald, ops, did } = bus;
    await accepts(server, "POST /send", signV1(herald, said));
    const late = signV2(herald, { ...said, content: "made before" }, stampFor(did));
    const token = tokenOf(herald, did);
    const revocation = signRevocation(ops, herald, stampFor(did));
    const { message } = await accepts(server, "POST /revoke", revocation);
    assert.equal(message, "Agent 'herald' revoked by operator 'ops'");
    assert.equal((await accepts(server, "POST /revoke", revocation)).duplicate, true);

    for (const body of [signV1(herald, said), signV2(herald, said, stampFor(did)), late]) {
      await refuses(server, "POST /send", body, 403, /the key of herald was revoked/);
    }
    const attested = await server.ask("POST /send", { body: { ...said, sender: "herald" }, bearer: token });
    assert.deepEqual([attested.status, attested.json.reason], [403, "invalid_token"]);
    const reading = await server.ask("GET /messages?channel=builds&agent=herald", { bearer: token });
    assert.deepEqual([reading.status, reading.json.reason], [403, "invalid_token"]);
    const typed = await bus.run("send", "builds", "herald", "x", "--key", bus.keyOf(herald));
    assert.match(typed.stderr, /^Error: the key of herald was revoked/);

    const [kept] = await bus.read("builds", "reader");
    assert.deepEqual([kept?.content, kept?.signed], ["main is green", true]);
    assert.doesNotMatch((await server.ask("GET /agents", { bearer: tokenOf(ops, did) })).text, /herald/);
  });

  test("revoking needs the agent's key of now and an operator's signature", async () => {
    using bus = await secureBus();
    await using server = await bus.serve();
    const { herald, scout, ops, did } = bus;
    const old = createIdentity("herald");
    await refuses(
      server,
      "POST /revoke",
      signRevocation(ops, old, stampFor(did)),
      404,
      /no agent 'herald' with that key/,
    );
    await refuses(
      server,
      "POST /revoke",
      signRevocation(scout, herald, stampFor(did)),
      403,
      /'scout' is not an operator/,
    );
    const right = signRevocation(ops, herald, stampFor(did));
    await refuses(server, "POST /revoke", { ...right, name: "scout" }, 403, /Operator signature verification failed/);
    await refuses(
      server,
      "POST /revoke",
      { ...right, ts: right.ts + 1 },
      403,
      /Operator signature verification failed/,
    );
    await refuses(
      server,
      "POST /revoke",
      signRevocation(ops, herald, stampFor(did, -303_000)),
      403,
      /too far from this/,
    );
    await refuses(server, "POST /revoke", { name: "herald", operator: "ops" }, 400, /operator_signature required/);
    await accepts(server, "POST /send", signV1(herald, said));
    const wrongKey = await bus.run("revoke", "herald", "--as", "ops", "--key", bus.keyOf(scout));
    assert.match(wrongKey.stderr, /this is not the key of 'ops'/);
    await succeeded(bus.run("revoke", "herald", "--as", "ops", "--key", bus.keyOf(ops), "--url", server.url));
    await refuses(server, "POST /send", signV1(herald, said), 403, /revoked/);
  });

  test("a revoked name comes back by the operator who had registered it, or by any who says that it rotates", async () => {
    using bus = await secureBus();
    await using server = await bus.serve();
    const { herald, ops, did } = bus;
    const other = await anotherOperator(bus);
    await accepts(server, "POST /revoke", signRevocation(other, herald, stampFor(did)));
    const next = createIdentity("herald");
    await refuses(
      server,
      "POST /register",
      signRegistration(other, next, stampFor(did)),
      409,
      /not registered by 'ops-2'/,
    );
    assert.match((await bus.run("seed", "herald")).stderr, /'herald' already exists/);
    await accepts(server, "POST /register", signRotation(other, createIdentity("herald"), stampFor(did)));
    await refuses(server, "POST /register", signRegistration(ops, next, stampFor(did)), 409, /not registered by 'ops'/);
    await accepts(server, "POST /register", signRegistration(other, next, stampFor(did)));
    await accepts(server, "POST /send", signV2(next, said, stampFor(did)));
    await refuses(server, "POST /send", signV2(herald, said, stampFor(did)), 403, /invalid signature/);
  });

  test("an old registration that comes again after the revocation registers nobody", async () => {
    using bus = await secureBus();
    await using server = await bus.serve();
    const { ops, did } = bus;
    const runner = createIdentity("runner");
    const registration = signRegistration(ops, runner, stampFor(did));
    const older = signRegistration(ops, runner, stampFor(did, -303_000));
    await accepts(server, "POST /register", registration);
    await accepts(server, "POST /revoke", signRevocation(ops, runner, stampFor(did)));
    assert.equal((await accepts(server, "POST /register", registration)).duplicate, true);
    await refuses(server, "POST /register", older, 403, /too far from this server's time/);
    await refuses(server, "POST /send", signV1(runner, said), 403, /the key of runner was revoked/);
  });
});
