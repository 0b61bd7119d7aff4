import assert from "node:assert/strict";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { after, suite, test } from "node:test";
import { createIdentity } from "../support/identity.ts";
import { secureBus, succeeded } from "../support/secure-bus.ts";

const bus = await secureBus();
after(() => bus[Symbol.dispose]());

const OPENSSH = `-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZWQyNTUxOQ==
-----END OPENSSH PRIVATE KEY-----
`;

const OLD_ENCRYPTED = `-----BEGIN RSA PRIVATE KEY-----
Proc-Type: 4,ENCRYPTED
DEK-Info: AES-128-CBC,2D1E0F3C4B5A69788796A5B4C3D2E1F0

AAAA
-----END RSA PRIVATE KEY-----
`;

const pkcs8 = (key: KeyObject) => key.export({ type: "pkcs8", format: "pem" }).toString();
const spki = (key: KeyObject) => key.export({ type: "spki", format: "pem" }).toString();
const rsa = generateKeyPairSync("rsa", { modulusLength: 2_048 });
const x25519 = generateKeyPairSync("x25519");
const encrypted = bus.herald.key
  .export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "x" })
  .toString();

suite("private key files", { concurrency: 4 }, () => {
  test("one that others can read is used, with a warning", async () => {
    const key = bus.write("open.key", bus.herald.privatePem, 0o644);
    const { stdout, stderr } = await succeeded(bus.run("send", "builds", "herald", "x", "--key", key));
    assert.match(stdout, /"signed":true/);
    assert.equal(stderr, `Warning: others can read the private key ${key}; chmod 600 ${key}\n`);
    for (const mode of [0o640, 0o604]) {
      const other = bus.write(`${mode}.key`, bus.herald.privatePem, mode);
      const sent = await succeeded(bus.run("send", "builds", "herald", "x", "--key", other));
      assert.match(sent.stderr, /^Warning: [^\n]+\n$/);
    }
    const quiet = await succeeded(bus.run("send", "builds", "herald", "x", "--key", bus.keyOf(bus.herald)));
    assert.equal(quiet.stderr, "");
  });

  test("a waiter prints no warning, since its output becomes part of the event", async () => {
    const key = bus.write("event.key", bus.scout.privatePem, 0o644);
    const waiter = bus.runWith({ IPC_KEY: key }, "read", "events", "scout", "--wait", "--timeout", "20");
    await succeeded(bus.run("send", "events", "herald", "wake", "--key", bus.keyOf(bus.herald)));
    const { stdout, stderr } = await waiter;
    assert.match(stdout, /wake/);
    assert.equal(stderr, "");
  });

  const wrong: readonly (readonly [string, string | Uint8Array, RegExp])[] = [
    [
      "an encrypted one",
      encrypted,
      /this private key is encrypted; decrypt it with `openssl pkey -in FILE -out PLAIN`/,
    ],
    ["an old encrypted one", OLD_ENCRYPTED, /this private key is encrypted/],
    ["an OpenSSH one", OPENSSH, /this is an OpenSSH private key; make a key with `el-ipc keygen --out NAME`/],
    ["a public one", bus.herald.publicPem, /this is a public key; the private one is needed here/],
    ["an RSA one", pkcs8(rsa.privateKey), /an Ed25519 key is needed, and this is a key of type rsa/],
    ["an X25519 one", pkcs8(x25519.privateKey), /an Ed25519 key is needed, and this is a key of type x25519/],
    [
      "a cut one",
      bus.herald.privatePem.replace(/....\n-----END/, "\n-----END"),
      /this private key is damaged|not base64/,
    ],
    ["one without its end", bus.herald.privatePem.slice(0, 80), /an Ed25519 key is needed, and this is neither PEM/],
    ["an empty file", "", /an Ed25519 key is needed, and this is neither PEM nor 32 or 64 bytes/],
    ["a large file", Buffer.alloc(100_000, "-----BEGIN A-----"), /this is too long to be a key/],
    ["two halves of two", Buffer.concat([bus.herald.rawKey, bus.scout.rawKey]), /two halves don't belong together/],
  ];
  for (const [what, content, sentence] of wrong) {
    test(`${what} is refused with a sentence that says what to do`, async () => {
      const key = bus.write(`${what.replaceAll(" ", "-")}.key`, content);
      const { code, stdout, stderr } = await bus.run("send", "builds", "herald", "x", "--key", key);
      assert.match(stderr, sentence);
      assert.match(stderr, /^Error: [^\n]+\n$/);
      assert.deepEqual([code, stdout], [1, ""]);
    });
  }

  test("a missing file and a folder are refused by name", async () => {
    const missing = await bus.run("send", "builds", "herald", "x", "--key", bus.file("nobody.key"));
    assert.match(missing.stderr, /^Error: \S+nobody\.key can't be read: there is no such file or folder\n$/);
    const folder = await bus.run("send", "builds", "herald", "x", "--key", bus.home);
    assert.match(folder.stderr, /^Error: \S+ can't be read: [^\n]+\n$/);
  });
});

const SMALL_ORDER = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  // The same with the other sign, and the same y written as y + p.
  "0100000000000000000000000000000000000000000000000000000000000080",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
  // Not of small order, but not canonical either: y = p + 3.
  "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

suite("public keys at registration", { concurrency: 4 }, () => {
  test("a key of small order, or one not written canonically, is refused over HTTP in each of its forms", async () => {
    await using server = await bus.serve();
    for (const hex of SMALL_ORDER) {
      const raw = Buffer.from(hex, "hex");
      const der = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), raw]).toString("base64");
      const pem = `-----BEGIN PUBLIC KEY-----\n${der}\n-----END PUBLIC KEY-----\n`;
      for (const public_key of [pem, raw.toString("base64")]) {
        const body = { name: "weak", public_key, operator: "ops", operator_key: bus.ops.privatePem };
        const { status, json } = await server.ask("POST /register", { body });
        assert.match(String(json.error), /^this public key is not safe to use/, hex);
        assert.equal(status, 400);
      }
    }
  });

  test("a file of 32 bare bytes is one, near and far; a text of 32 characters over HTTP is none", async () => {
    await using server = await bus.serve();
    const ops = bus.keyOf(bus.ops);
    for (const [name, place] of [
      ["near", []],
      ["far", ["--url", server.url]],
    ] as const) {
      const agent = createIdentity(name);
      const file = bus.write(`${name}.raw`, agent.rawKey);
      await succeeded(bus.run("register", name, "--pubkey", file, "--as", "ops", "--key", ops, ...place));
      assert.equal(bus.sql("SELECT public_key FROM agents WHERE name = ?", name)[0]?.public_key, agent.publicPem);
    }
    const body = { name: "text", public_key: "k".repeat(32), operator: "ops", operator_key: bus.ops.privatePem };
    const { status, json } = await server.ask("POST /register", { body });
    assert.deepEqual([status, bus.sql("SELECT 1 FROM agents WHERE name = 'text'").length], [400, 0]);
    assert.match(String(json.error), /neither PEM nor 32 bytes in base64 or hex/);
  });

  test("a text that isn't a key is refused at once, however long it is", async () => {
    await using server = await bus.serve();
    const started = performance.now();
    for (const public_key of [
      "-----BEGIN A-----".repeat(350_000),
      "A".repeat(6_000_000),
      `${" ".repeat(6_000_000)}A`,
    ]) {
      const body = { name: "long", public_key, operator: "ops", operator_key: "x", operator_signature: "x" };
      const { status, json } = await server.ask("POST /register", { body });
      assert.deepEqual([status, /too long to be a key/.test(String(json.error))], [400, true]);
    }
    assert.ok(performance.now() - started < 15_000);
  });

  const wrong: readonly (readonly [string, string, RegExp])[] = [
    ["a private key", createIdentity("x").privatePem, /this is a private key; the public one is needed here/],
    ["an RSA key", spki(rsa.publicKey), /an Ed25519 key is needed, and this is a public key of another kind/],
    ["an X25519 key", spki(x25519.publicKey), /a public key of another kind/],
    ["an SSH key", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ me@here", /neither PEM nor 32 bytes/],
  ];
  for (const [what, content, sentence] of wrong) {
    test(`${what} in the place of a public key is refused with a sentence`, async () => {
      const pub = bus.write(`${what.replaceAll(" ", "-")}.pub`, content);
      const words = ["runner", "--pubkey", pub, "--as", "ops", "--key", bus.keyOf(bus.ops)];
      const { code, stderr } = await bus.run("register", ...words);
      assert.match(stderr, sentence);
      assert.equal(code, 1);
    });
  }
});
