import assert from "node:assert/strict";
import { createHmac, generateKeyPairSync, sign } from "node:crypto";
import { after, suite, test } from "node:test";
import { impatientServer } from "../support/clock.ts";
import { objectIn, objectsIn, openAnswer } from "../support/http.ts";
import { createIdentity, jwt, signRevocation, signV1, stampFor, tokenOf } from "../support/identity.ts";
import { openBus, secureBus, succeeded } from "../support/secure-bus.ts";

const bus = await secureBus();
const server = await bus.serve({ IPC_READ_AUTH: "required" });
after(async () => {
  await server[Symbol.asyncDispose]();
  bus[Symbol.dispose]();
});

const { ops, herald, scout, did } = bus;
const now = Math.floor(Date.now() / 1_000);
const right = { iss: "herald", sub: "herald", aud: did, iat: now, exp: now + 600 };
const byHerald = (text: Buffer) => sign(null, text, herald.key);
const own = "GET /messages?channel=c&agent=herald&peek=true";

async function refuses(token: string, why: RegExp, what = own): Promise<void> {
  const { status, json } = await server.ask(what, { bearer: token });
  assert.match(String(json.error), why);
  assert.deepEqual([status, json.reason], [403, "invalid_token"]);
}

suite("tokens", { concurrency: 4 }, () => {
  test("an agent reads with a token that it made for this bus, and without one doesn't", async () => {
    assert.equal((await server.ask(own)).status, 401);
    const { status, text } = await server.ask(own, { bearer: tokenOf(herald, did) });
    assert.deepEqual([status, objectsIn(text)], [200, []]);
  });

  test("a token without a signature is refused", async () => {
    await refuses(
      jwt({ alg: "none" }, right, () => Buffer.alloc(0)),
      /signature is not the agent's/,
    );
    await refuses(jwt({ alg: "none" }, right, byHerald), /signature is not the agent's/);
    await refuses(
      jwt({ alg: "EdDSA" }, right, () => Buffer.alloc(0)),
      /signature is not the agent's/,
    );
    await refuses(
      jwt({ alg: "EdDSA" }, right, () => Buffer.alloc(64)),
      /signature is not the agent's/,
    );
    await refuses(jwt({}, right, byHerald), /signature is not the agent's/);
  });

  test("the public key is no secret: an HMAC made with it is refused", async () => {
    for (const secret of [herald.publicPem, herald.publicPem.trim(), herald.rawKey, herald.rawKey.toString("base64")]) {
      const hmac = (text: Buffer) => createHmac("sha256", secret).update(text).digest();
      await refuses(jwt({ alg: "HS256", typ: "JWT" }, right, hmac), /signature is not the agent's/);
      await refuses(jwt({ alg: "EdDSA", typ: "JWT" }, right, hmac), /signature is not the agent's/);
    }
  });

  test("a token of another kind of key, or of a key that it brings along, is refused", async () => {
    const rsa = generateKeyPairSync("rsa", { modulusLength: 2_048 });
    const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const ed448 = generateKeyPairSync("ed448");
    const mine = createIdentity("herald");
    const jwk = mine.key.export({ format: "jwk" });
    const byMine = (text: Buffer) => sign(null, text, mine.key);
    const tokens = [
      jwt({ alg: "RS256" }, right, (text) => sign("sha256", text, rsa.privateKey)),
      jwt({ alg: "ES256" }, right, (text) => sign("sha256", text, { key: ec.privateKey, dsaEncoding: "ieee-p1363" })),
      jwt({ alg: "EdDSA" }, right, (text) => sign(null, text, ed448.privateKey)),
      jwt({ alg: "EdDSA" }, right, byMine),
      jwt({ alg: "EdDSA", jwk: { kty: "OKP", crv: "Ed25519", x: jwk.x } }, right, byMine),
      jwt({ alg: "EdDSA", jku: "https://evil.example/jwks", kid: "../../herald" }, right, byMine),
      jwt({ alg: "EdDSA", crit: ["b64"], b64: false }, right, byHerald),
      jwt({ alg: "EdDSA", crit: ["x"], x: 1 }, right, byHerald),
    ];
    for (const token of tokens) await refuses(token, /signature is not the agent's/);
  });

  test("a token is for one bus and of whom it is about", async () => {
    await refuses(tokenOf(herald, bus.did.slice(0, -1)), /its aud is not right/);
    await refuses(tokenOf(herald, did, { aud: undefined }), /its aud is not right/);
    await refuses(tokenOf(herald, did, { aud: [] }), /its aud is not right/);
    await refuses(tokenOf(herald, did, { iss: "scout" }), /its iss is not right/);
    await refuses(tokenOf(herald, did, { iss: undefined }), /its iss is not right/);
    await refuses(tokenOf(herald, did, { sub: "scout", iss: "scout" }), /signature is not the agent's/);
    await refuses(tokenOf(herald, did, { sub: undefined }), /nobody of that name is registered/);
    await refuses(tokenOf(herald, did, { sub: "nobody" }), /nobody of that name is registered/);
    await refuses(tokenOf(createIdentity("nobody"), did), /nobody of that name is registered/);
    await refuses(tokenOf(herald, did, { sub: "ops", iss: "ops" }), /signature is not the agent's/);
  });

  test("a token is for now, and for an hour at most", async () => {
    await refuses(tokenOf(herald, did, { exp: now - 1 }), /it has expired/);
    await refuses(tokenOf(herald, did, { exp: undefined }), /its exp is not right/);
    await refuses(tokenOf(herald, did, { exp: String(now + 600) }), /its exp is not right/);
    await refuses(tokenOf(herald, did, { exp: now + 3_700 }), /good for more than an hour/);
    await refuses(tokenOf(herald, did, { exp: 1e308 }), /good for more than an hour/);
    await refuses(tokenOf(herald, did, { nbf: now + 120 }), /its nbf is not right/);
    await refuses(tokenOf(herald, did, { iat: now + 120 }), /its iat is not right/);
    await refuses(tokenOf(herald, did, { iat: "yesterday" }), /its iat is not right/);
    const token = tokenOf(herald, did, { exp: now + 3_590, nbf: now - 10, iat: undefined });
    assert.equal((await server.ask(own, { bearer: token })).status, 200);
  });

  test("an unreadable token is refused, and an overlong one before it is read", async () => {
    const [head = "", claims = "", signature = ""] = tokenOf(herald, did).split(".");
    await refuses(`${head}.${claims}.${signature}AAAA`, /signature is not the agent's/);
    await refuses(`${head}.${claims}.${signature.slice(0, -4)}`, /signature is not the agent's/);
    await refuses(`${head}.${claims}.`, /signature is not the agent's/);
    await refuses("a.b.c", /it can't be read/);
    await refuses(`${head}.${Buffer.from("[1]").toString("base64url")}.${signature}`, /it can't be read/);
    await refuses(`${head}.${"A".repeat(12_000)}.${signature}`, /it can't be read/);
    assert.equal((await server.ask(own, { bearer: `${head}.${"A".repeat(20_000)}.${signature}` })).status, 431);
    for (const bearer of ["", "garbage", "a.b", `${head}.${claims}`, `${head}.${claims}.${signature}.x`, "a.b.c d"]) {
      assert.equal((await server.ask(own, { bearer })).status, 401, bearer);
    }
  });

  test("it is accepted as Authorization: Bearer, in any case, and in no other way", async () => {
    const token = tokenOf(herald, did);
    const status = async (headers: Record<string, string>, what = own) => (await server.ask(what, { headers })).status;
    for (const scheme of ["Bearer", "bearer", "BEARER", "Bearer "]) {
      assert.equal(await status({ Authorization: `${scheme} ${token}` }), 200, scheme);
    }
    for (const shown of [token, `Token ${token}`, `Basic ${token}`, `Bearer${token}`, `Bearer "${token}"`]) {
      assert.equal(await status({ Authorization: shown }), 401, shown);
    }
    assert.equal(
      await status({ "X-Agent-Token": token, Cookie: `token=${token}` }, `${own}&access_token=${token}`),
      401,
    );
  });

  test("a token is one agent's: it reads neither as another, nor others' mailboxes, nor the alarms", async () => {
    const bearer = tokenOf(herald, did);
    const paths: readonly [string, number][] = [
      ["GET /messages?channel=c&agent=scout&peek=true", 403],
      ["GET /messages?channel=@scout&agent=herald&peek=true", 403],
      ["GET /messages?channel=security&agent=herald&peek=true", 403],
      ["GET /follow?channel=@scout&agent=herald", 403],
      ["GET /health?channel=@scout&agent=herald", 403],
      ["GET /messages?channel=@herald&agent=herald&peek=true", 200],
      ["GET /health?channel=c&agent=herald", 200],
    ];
    for (const [what, status] of paths) assert.equal((await server.ask(what, { bearer })).status, status, what);
    const acknowledged = await server.ask("POST /ack", { bearer, body: { channel: "c", agent: "scout", id: 1 } });
    assert.deepEqual([acknowledged.status, acknowledged.json.reason], [403, "not_yours"]);
    const asScout = await server.ask("POST /send", { bearer, body: { channel: "c", sender: "scout", content: "x" } });
    assert.deepEqual([asScout.status, asScout.json.reason], [403, "unsigned_message"]);
    const reset = await server.ask("POST /reset", { bearer, body: {} });
    assert.deepEqual([reset.status, reset.json.reason], [403, "not_yours"]);
  });

  test("a token stands for a signature where its agent sends without one, and the message says so", async () => {
    const body = { channel: "attested", sender: "herald", content: "by token" };
    const bearer = tokenOf(herald, did);
    assert.equal((await server.ask("POST /send", { bearer, body })).status, 200);
    const bad = { ...body, signature: Buffer.alloc(64, 1).toString("base64") };
    const refused = await server.ask("POST /send", { bearer, body: bad });
    assert.deepEqual([refused.status, refused.json.reason], [403, "invalid_signature"]);
    const [message, ...others] = await bus.read("attested", "scout");
    assert.deepEqual([message?.attested, message?.signed, others.length], [true, undefined, 0]);
  });
});

suite("whatever a token opened", { concurrency: 4 }, () => {
  /** Everything of a stream, once it ended, and after how long. */
  async function ended(what: string, bearer: string, url = server.url) {
    const started = performance.now();
    const response = await openAnswer(url, what, { bearer });
    const text = Buffer.concat(await Array.fromAsync(response)).toString();
    return { status: response.statusCode, text, seconds: (performance.now() - started) / 1_000 };
  }

  test("a stream and a long-poll end when it runs out", async () => {
    const bearer = tokenOf(herald, did, { exp: Math.floor(Date.now() / 1_000) + 3 });
    const [stream, poll] = await Promise.all([
      ended("GET /follow?channel=quiet&agent=herald", bearer),
      ended("GET /messages?channel=quiet&agent=herald&wait=true&timeout=20", bearer),
    ]);
    assert.deepEqual([stream.status, poll.status, poll.text], [200, 200, "[]"]);
    for (const { seconds } of [stream, poll]) assert.ok(seconds > 0.5 && seconds < 12, String(seconds));
  });

  test("ends once its agent is revoked: the stream and the long-poll", async () => {
    using own = await secureBus();
    await using quick = await own.serve({ IPC_READ_AUTH: "required", ...impatientServer });
    const bearer = tokenOf(own.herald, own.did);
    const waiting = [
      ended("GET /follow?channel=quiet&agent=herald", bearer, quick.url),
      ended("GET /messages?channel=quiet&agent=herald&wait=true&timeout=20", bearer, quick.url),
    ];
    await new Promise((resolve) => setTimeout(resolve, 1_300));
    const done = await quick.ask("POST /revoke", { body: signRevocation(own.ops, own.herald, stampFor(own.did)) });
    assert.equal(done.status, 200);
    for (const { seconds } of await Promise.all(waiting)) assert.ok(seconds > 1.2 && seconds < 12, String(seconds));
  });
});

suite("tokens on the command line", { concurrency: 4 }, () => {
  const heraldKey = bus.keyOf(herald);

  test("token prints one that is good for as long as it says, an hour at most", async () => {
    const { stdout } = await succeeded(bus.run("token", "herald", "--key", heraldKey, "--seconds", "60"));
    const claims = objectIn(Buffer.from(stdout.split(".")[1] ?? "", "base64url").toString());
    assert.deepEqual([claims.iss, claims.sub, claims.aud], ["herald", "herald", did]);
    assert.equal(Number(claims.exp) - Number(claims.iat), 60);
    assert.equal((await server.ask(own, { bearer: stdout.trim() })).status, 200);
    assert.match((await bus.run("token", "herald", "--key", heraldKey, "--seconds", "3601")).stderr, /from 1 to 3600/);
    assert.match((await bus.run("token", "herald")).stderr, /give --key FILE, or set IPC_KEY/);
    using open = openBus();
    assert.match(
      (await open.run("token", "herald", "--key", heraldKey)).stderr,
      /a bus in open mode asks for no token/,
    );
  });

  test("reads of a server show one that --key makes", async () => {
    await server.ask("POST /send", { body: signV1(scout, { channel: "mine", content: "hello" }) });
    const at = ["--key", heraldKey, "--url", server.url];
    assert.match((await bus.run("read", "cli", "herald", "--url", server.url)).stderr, /this needs a token/);
    assert.doesNotMatch((await bus.run("channels", "--url", server.url)).stderr, /IPC_API_KEY/);
    assert.match((await bus.run("read", "mine", "scout", ...at)).stderr, /token is not accepted/);
    assert.match((await succeeded(bus.run("read", "mine", "herald", ...at))).stdout, /hello/);
    assert.equal((await succeeded(bus.run("read", "mine", "herald", ...at))).stdout, "[]\n");
    assert.match((await bus.run("channels", ...at)).stderr, /set IPC_AGENT to the agent whose key this is/);
    assert.match((await succeeded(bus.runWith({ IPC_AGENT: "herald" }, "channels", ...at))).stdout, /mine/);
    assert.match((await succeeded(bus.runWith({ IPC_AGENT: "herald" }, "rights", ...at))).stdout, /^herald, in secure/);
    assert.match((await bus.run("rights", "--url", server.url)).stdout, /^nobody in particular, in secure/);
  });

  test("IPC_AGENT names the asker, also where an argument names the agent asked about", async () => {
    const at = ["--key", bus.keyOf(ops), "--url", server.url];
    const as = (...words: string[]) => bus.runWith({ IPC_AGENT: ops.name }, ...words, ...at);
    assert.equal((await as("inbox", "scout")).code, 0);
    assert.equal((await as("read", "mine", "scout", "--peek")).code, 0);
    assert.match((await as("online", "scout")).stderr, /^Error: scout is offline\n$/);
    const mine = ["--key", heraldKey, "--url", server.url];
    assert.match((await bus.runWith({ IPC_AGENT: "herald" }, "inbox", "scout", ...mine)).stderr, /not allowed/);
  });

  test("IPC_TOKEN is used instead, where nobody can overhear it", async () => {
    const IPC_TOKEN = tokenOf(herald, did);
    await succeeded(bus.runWith({ IPC_TOKEN }, "read", "cli", "herald", "--url", server.url));
    for (const url of ["http://bus.example.org", "http://192.0.2.7:9876", "http://127.0.0.1.example.org"]) {
      const refused = await bus.runWith({ IPC_TOKEN }, "read", "cli", "herald", "--url", url);
      assert.match(refused.stderr, /^Error: a token is sent over https, or to this machine, and not to http:/);
    }
    const operator = { IPC_TOKEN: tokenOf(ops, did) };
    assert.match(
      (await succeeded(bus.runWith(operator, "read", "security", "x", "--url", server.url))).stdout,
      /event/,
    );
  });

  test("a stream of the command line ends with its token, and says so", async () => {
    const IPC_TOKEN = tokenOf(herald, did, { exp: Math.floor(Date.now() / 1_000) + 3 });
    await server.ask("POST /send", { body: signV1(scout, { channel: "on-and-on", content: "one" }) });
    const { code, stdout, stderr } = await bus.runWith(
      { IPC_TOKEN },
      "follow",
      "on-and-on",
      "herald",
      "--url",
      server.url,
    );
    assert.match(stdout, /^\{"id":\d+,"sender":"scout","content":"one"[^\n]+\n$/);
    assert.match(stderr, /^Error: this token is not accepted: it has expired\n$/);
    assert.equal(code, 1);
  });
});
