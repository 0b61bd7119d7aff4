import assert from "node:assert/strict";
import { createPrivateKey, createPublicKey, verify } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { suite, test } from "node:test";
import {
  expectSuccess,
  messagesOf,
  placeKeys,
  secureBus,
  type TemporaryBus,
  temporaryBus,
  textIn,
} from "../support/bus.ts";

const PRIVATE = /^-----BEGIN PRIVATE KEY-----\n[A-Za-z0-9+/]{64}\n-----END PRIVATE KEY-----\n$/;
const PUBLIC = /^-----BEGIN PUBLIC KEY-----\n[A-Za-z0-9+/=]{60}\n-----END PUBLIC KEY-----\n$/;

async function refuses(bus: TemporaryBus, words: string[], sentence: RegExp): Promise<void> {
  const { code, stdout, stderr } = await bus.run(...words);
  assert.match(stderr, sentence);
  assert.match(stderr, /^Error: [^\n]+\n$/);
  assert.deepEqual([code, stdout], [1, ""]);
}

async function channels(bus: TemporaryBus): Promise<unknown[]> {
  const listed = await bus.answer("channels");
  assert.ok(Array.isArray(listed));
  return listed.map(({ channel }) => channel);
}

suite("secure mode", { concurrency: 6 }, () => {
  test("E10 E25 it begins with the first operator: after that only signed messages are sent", async () => {
    using bus = temporaryBus();
    assert.equal((await bus.run("send", "room", "anyone", "open")).code, 0);
    assert.deepEqual(await bus.answer("health"), { status: "ok", pending: 0, secure_mode: false });
    await expectSuccess(bus.run("seed", "ops"));
    const { did, ...health } = Object(await bus.answer("health"));
    assert.deepEqual(health, { status: "ok", pending: 0, secure_mode: true });
    assert.match(did, /^did:key:z6Mk/);
    await refuses(bus, ["send", "room", "anyone", "secure"], /signature required \(secure mode active\)/);
    assert.equal(messagesOf(await bus.answer("read", "room", "b")).length, 1);
  });

  test("E11 E50 seed prints the private key alone on standard output and stores the public key", async () => {
    using bus = temporaryBus();
    const seeded = await bus.run("seed", "my-operator");
    assert.equal(seeded.code, 0);
    assert.match(seeded.stdout, PRIVATE);
    assert.match(seeded.stderr, /Operator 'my-operator'.* nowhere else/);
    const agents = await bus.answer("agents", "--json");
    assert.ok(Array.isArray(agents));
    assert.deepEqual(
      { ...agents[0], created_at: 0 },
      {
        name: "my-operator",
        identity: "",
        role: "operator",
        registered_by: null,
        created_at: 0,
      },
    );
    bus.place("ops.key", seeded.stdout);
    await expectSuccess(
      bus.run("send", "room", "my-operator", "it is the key's other half", "--key", bus.file("ops.key")),
    );
  });

  test("E12 the private key is in no file of the bus", async () => {
    using bus = await secureBus();
    const seed = createPrivateKey(textIn(bus.file("ops.key"))).export({ format: "jwk" }).d ?? "";
    const key = Buffer.from(seed, "base64url");
    assert.equal(key.length, 32);
    const files = ["bus.db", "bus.db-wal"]
      .map((name) => bus.file(name))
      .filter((file) => statSync(file, { throwIfNoEntry: false }));
    for (const file of files) {
      const bytes = readFileSync(file);
      for (const form of [key, ...["hex", "base64", "base64url"].map((encoding) => inText(key, encoding))]) {
        assert.equal(bytes.includes(form), false, file);
      }
      assert.equal(bytes.includes("PRIVATE KEY"), false);
    }
  });

  test("E13 E51 keygen --out writes a private key for its owner alone, and its public key", async () => {
    using bus = temporaryBus();
    const made = await bus.run("keygen", "--out", bus.file("herald"));
    assert.deepEqual([made.code, made.stdout], [0, ""]);
    assert.match(textIn(bus.file("herald.key")), PRIVATE);
    assert.match(textIn(bus.file("herald.pub")), PUBLIC);
    assert.equal(statSync(bus.file("herald.key")).mode & 0o777, 0o600);
    const half = createPublicKey(textIn(bus.file("herald.key"))).export({ type: "spki", format: "pem" });
    assert.equal(textIn(bus.file("herald.pub")), half);
  });

  test("E14 keygen without --out prints both, touches no database and needs none", async () => {
    using bus = temporaryBus();
    const { code, stdout, stderr } = await bus.with({ IPC_DB_PATH: "/nonexistent/bus.db" }).run("keygen");
    const [privateKey = "", publicKey = ""] = stdout.split(/(?<=END PRIVATE KEY-----\n)/);
    assert.equal(code, 0);
    assert.match(privateKey, PRIVATE);
    assert.match(publicKey, PUBLIC);
    assert.equal(stderr, "The private key comes first, then the public key.\n");
  });

  test("E15 E16 E52 register stores an agent under its operator's signature, with any identity or none", async () => {
    using bus = await secureBus();
    placeKeys(bus, "k");
    const signed = ["--pubkey", bus.file("k.pub"), "--as", "ops", "--key", bus.file("ops.key")];
    const registered = await bus.run("register", "herald", ...signed, "--identity", "9f0c72-uuid, or någon annan");
    assert.deepEqual(registered, {
      code: 0,
      stdout: `{"ok":true,"message":"Agent 'herald' registered by operator 'ops'"}\n`,
      stderr: "",
    });
    await expectSuccess(bus.run("register", "--identity=x", "second", ...signed));
    await expectSuccess(bus.run("register", "third", ...signed));
    const listed = (await bus.run("agents")).stdout;
    assert.match(listed, /\n {2}\[agent\] {4}herald id=9f0c72-uuid, or någon annan \(registered by ops\)\n/);
    assert.match(listed, /\n {2}\[agent\] {4}second id=x \(registered by ops\)\n/);
    assert.match(listed, /\n {2}\[agent\] {4}third \(registered by ops\)\n/);
  });

  test("registering takes the operator's own key, an operator, and a public key that can be one", async () => {
    using bus = await secureBus("herald");
    const as = (operator: string, key: string, pub = "herald.pub") => [
      "register",
      "new",
      "--pubkey",
      bus.file(pub),
      "--as",
      operator,
      "--key",
      bus.file(key),
    ];
    bus.place("junk.pub", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n");
    bus.place("small.pub", Buffer.alloc(32));
    await refuses(bus, as("ops", "herald.key"), /Operator signature verification failed/);
    await refuses(bus, as("nobody", "ops.key"), /Operator 'nobody' not found/);
    await refuses(bus, as("herald", "herald.key"), /'herald' is not an operator/);
    await refuses(bus, as("ops", "missing.key"), /missing\.key can't be read: there is no such file/);
    await refuses(bus, as("ops", "herald.pub"), /this is a public key; the private one is needed here/);
    await refuses(bus, as("ops", "ops.key", "junk.pub"), /key/);
    await refuses(bus, as("ops", "ops.key", "small.pub"), /not safe to use/);
    const named = bus.run(
      "register",
      "ops",
      "--pubkey",
      bus.file("herald.pub"),
      "--as",
      "ops",
      "--key",
      bus.file("ops.key"),
    );
    assert.match((await named).stderr, /^Error: Agent 'ops' already exists/);
    assert.deepEqual((await bus.run("agents")).stdout.match(/\] +\S+/g)?.length, 2);
  });

  test("E17 a signed send succeeds in secure mode", async () => {
    using bus = await secureBus("herald");
    const sent = await bus.run("send", "my-channel", "herald", "Hello", "--key", bus.file("herald.key"));
    assert.deepEqual(sent, {
      code: 0,
      stdout: '{"ok":true,"id":1,"channel":"my-channel","signed":true}\n',
      stderr: "",
    });
    const me = bus.with({ IPC_KEY: bus.file("herald.key"), IPC_AGENT: "herald" });
    await expectSuccess(me.run("send", "my-channel", "by IPC_KEY"));
    const messages = messagesOf(await bus.answer("read", "my-channel", "b"));
    assert.deepEqual(
      messages.map(({ sender, content, signed }) => [sender, content, signed]),
      [
        ["herald", "Hello", true],
        ["herald", "by IPC_KEY", true],
      ],
    );
  });

  test("E18 a send without a key fails in secure mode, and says what is missing", async () => {
    using bus = await secureBus("herald");
    await refuses(
      bus,
      ["send", "c", "herald", "x"],
      /signature required \(secure mode active\): give --key .* IPC_KEY/,
    );
    assert.deepEqual(await channels(bus), ["security"]);
  });

  test("E20 the signature is Ed25519 over channel, sender and content, a line each, in base64", async () => {
    using bus = await secureBus("herald");
    const content = "line one\nline two: ü 🎉";
    const { sign } = await import("node:crypto");
    const bytes = Buffer.from(`room\nherald\n${content}`);
    const signature = sign(null, bytes, createPrivateKey(textIn(bus.file("herald.key")))).toString("base64");
    assert.ok(verify(null, bytes, createPublicKey(textIn(bus.file("herald.pub"))), Buffer.from(signature, "base64")));
    await expectSuccess(bus.run("send", "room", "herald", content, "--signature", signature));
    await refuses(bus, ["send", "room", "herald", `${content}!`, "--signature", signature], /invalid signature/);
    await refuses(bus, ["send", "other", "herald", content, "--signature", signature], /invalid signature/);
    for (const forged of [`${signature} `, signature.replace("==", ""), signature.replace("==", "==="), "AAAA"]) {
      await refuses(bus, ["send", "room", "herald", content, "--signature", forged], /signature/);
    }
  });

  test("E21 a message signed with another agent's key is refused", async () => {
    using bus = await secureBus("herald", "mallory");
    await refuses(bus, ["send", "c", "herald", "x", "--key", bus.file("mallory.key")], /invalid signature/);
    await refuses(bus, ["send", "c", "herald", "x", "--key", bus.file("ops.key")], /invalid signature/);
    await refuses(bus, ["send", "c", "ops", "x", "--key", bus.file("herald.key")], /invalid signature/);
    assert.deepEqual(await channels(bus), ["security"]);
  });

  test("E22 an unregistered sender is refused in secure mode, whatever it signs with", async () => {
    using bus = await secureBus("herald");
    await refuses(bus, ["send", "c", "stranger", "x", "--key", bus.file("herald.key")], /unknown sender: stranger/);
    await refuses(bus, ["send", "c", "Herald", "x", "--key", bus.file("herald.key")], /unknown sender: Herald/);
  });

  test("E23 E53 agents lists all agents with role, identity and operator", async () => {
    using bus = await secureBus("herald");
    const listed = (await bus.run("agents")).stdout;
    assert.equal(listed, "  [operator] ops\n  [agent]    herald (registered by ops)\n");
    const agents = await bus.answer("agents", "--json");
    assert.ok(Array.isArray(agents));
    assert.deepEqual(
      { ...agents[1], created_at: 0 },
      {
        name: "herald",
        identity: "",
        role: "agent",
        registered_by: "ops",
        created_at: 0,
      },
    );
  });

  test("E24 several operators can be seeded, each registers its own agents, and a name is seeded once", async () => {
    using bus = temporaryBus();
    for (const operator of ["ops-team-1", "ops-team-2"]) {
      bus.place(`${operator}.key`, (await expectSuccess(bus.run("seed", operator))).stdout);
    }
    await refuses(bus, ["seed", "ops-team-1"], /Agent 'ops-team-1' already exists/);
    placeKeys(bus, "k");
    const by = (operator: string) => [
      "--pubkey",
      bus.file("k.pub"),
      "--as",
      operator,
      "--key",
      bus.file(`${operator}.key`),
    ];
    await expectSuccess(bus.run("register", "one", ...by("ops-team-1")));
    await expectSuccess(bus.run("register", "two", ...by("ops-team-2")));
    await refuses(bus, ["register", "two", ...by("ops-team-1")], /already exists/);
    const listed = (await bus.run("agents")).stdout;
    assert.match(listed, /one \(registered by ops-team-1\)\n.*two \(registered by ops-team-2\)\n$/);
  });

  test("an open bus takes signed messages too, and marks them", async () => {
    using bus = temporaryBus();
    placeKeys(bus, "k");
    const sent = await bus.answer("send", "room", "a", "x", "--key", bus.file("k.key"));
    assert.deepEqual(sent, { ok: true, id: 1, channel: "room", signed: true });
    assert.equal(messagesOf(await bus.answer("read", "room", "b"))[0]?.signed, true);
  });
});

function inText(key: Buffer, encoding: string): Buffer {
  if (encoding === "hex" || encoding === "base64" || encoding === "base64url")
    return Buffer.from(key.toString(encoding));
  throw new Error(encoding);
}
