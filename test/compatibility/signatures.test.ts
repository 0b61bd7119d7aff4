// Other programs' Ed25519: what they sign we accept, what we sign they accept, and their keys are keys here.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createPublicKey } from "node:crypto";
import { suite, test } from "node:test";
import { readPrivateKey } from "../../src/core/keys.ts";
import { messageBytesV1, sign } from "../../src/core/signature.ts";
import { expectSuccess, messagesOf, secureBus, type TemporaryBus, temporaryBus, textIn } from "../support/bus.ts";
import { environmentOf } from "../support/program.ts";

const contents = ["Hello", "two\nlines\n", "ü 日本語 🎉 \u0000 \u001b[31m", "quotes \" ' and \\", "x".repeat(100_000)];

interface Signer {
  readonly name: string;
  /** Why it can't be tried here. */
  readonly missing: string | false;
  /** Makes PREFIX.key and PREFIX.pub. */
  makeKeys(prefix: string): void;
  sign(bytes: Buffer, keyFile: string, bus: TemporaryBus): Buffer;
  /** Whether it takes the signature. */
  verify(bytes: Buffer, signature: Buffer, publicFile: string, bus: TemporaryBus): boolean;
}

const PYTHON = "/usr/bin/python3";

function python(program: string, words: readonly string[], input: Buffer = Buffer.alloc(0)): Buffer {
  const prelude = `import sys
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives import serialization as s
read = lambda path: open(path, "rb").read()
`;
  return ran(PYTHON, ["-c", prelude + program, ...words], input);
}

function ran(program: string, words: readonly string[], input: Buffer = Buffer.alloc(0)): Buffer {
  const { status, stdout, stderr } = spawnSync(program, words, { input, env: environmentOf({}), timeout: 20_000 });
  if (status !== 0) throw new Error(`${program} ${words.at(-1)}: ${stderr}`);
  return stdout;
}

function runs(program: string, words: readonly string[]): boolean {
  return spawnSync(program, words, { env: environmentOf({}), timeout: 20_000 }).status === 0;
}

const signers: readonly Signer[] = [
  {
    name: "Python's cryptography",
    missing: runs(PYTHON, ["-c", "import cryptography"]) ? false : `${PYTHON} has no package cryptography`,
    makeKeys: (prefix) =>
      void python(
        `k = Ed25519PrivateKey.generate()
open(sys.argv[1] + ".key", "wb").write(k.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption()))
open(sys.argv[1] + ".pub", "wb").write(k.public_key().public_bytes(s.Encoding.PEM, s.PublicFormat.SubjectPublicKeyInfo))`,
        [prefix],
      ),
    sign: (bytes, keyFile) =>
      python(
        `k = s.load_pem_private_key(read(sys.argv[1]), password=None)
sys.stdout.buffer.write(k.sign(sys.stdin.buffer.read()))`,
        [keyFile],
        bytes,
      ),
    verify: (bytes, signature, publicFile) =>
      python(
        `try: s.load_pem_public_key(read(sys.argv[1])).verify(bytes.fromhex(sys.argv[2]), sys.stdin.buffer.read()); print("yes")
except Exception: print("no")`,
        [publicFile, signature.toString("hex")],
        bytes,
      ).toString() === "yes\n",
  },
  {
    name: "openssl",
    missing: runs("openssl", ["genpkey", "-algorithm", "ed25519"]) ? false : "there is no openssl that knows Ed25519",
    makeKeys(prefix) {
      ran("openssl", ["genpkey", "-algorithm", "ed25519", "-out", `${prefix}.key`]);
      ran("openssl", ["pkey", "-in", `${prefix}.key`, "-pubout", "-out", `${prefix}.pub`]);
    },
    sign: (bytes, keyFile, bus) =>
      ran("openssl", ["pkeyutl", "-sign", "-rawin", "-inkey", keyFile, "-in", bus.place("signed", bytes)]),
    verify: (bytes, signature, publicFile, bus) =>
      runs("openssl", [
        ...["pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", publicFile],
        ...["-in", bus.place("verified", bytes), "-sigfile", bus.place("signature", signature)],
      ]),
  },
];

for (const signer of signers) {
  suite(signer.name, { skip: signer.missing, concurrency: true }, () => {
    test("E20 its signatures are accepted for what it signed, and for nothing else", async () => {
      using bus = await secureBus("herald");
      for (const content of contents) {
        const signature = signer
          .sign(Buffer.from(`c\nherald\n${content}`), bus.file("herald.key"), bus)
          .toString("base64");
        const input = JSON.stringify({ channel: "c", sender: "herald", content, signature });
        assert.equal((await send(bus, input)).code, 0);
      }
      const messages = messagesOf(await bus.answer("read", "c", "b"));
      assert.deepEqual(
        messages.map(({ content, signed }) => [content, signed]),
        contents.map((content) => [content, true]),
      );
      const other = signer.sign(Buffer.from("c\nherald\nother"), bus.file("herald.key"), bus).toString("base64");
      const refused = await send(
        bus,
        JSON.stringify({ channel: "c", sender: "herald", content: "x", signature: other }),
      );
      assert.match(refused.stderr, /invalid signature/);
    });

    test("it accepts our signatures and our keys", async () => {
      using bus = temporaryBus();
      await expectSuccess(bus.run("keygen", "--out", bus.file("herald")));
      const key = readPrivateKey(Buffer.from(textIn(bus.file("herald.key"))));
      for (const content of contents) {
        const bytes = Buffer.from(`c\nherald\n${content}`);
        const signature = Buffer.from(sign(messageBytesV1({ channel: "c", sender: "herald", content }), key), "base64");
        assert.ok(signer.verify(bytes, signature, bus.file("herald.pub"), bus));
        assert.equal(signer.verify(Buffer.from("else"), signature, bus.file("herald.pub"), bus), false);
      }
    });

    test("its keys register, sign and are told apart like ours", async () => {
      using bus = await secureBus();
      signer.makeKeys(bus.file("theirs"));
      const signed = ["--as", "ops", "--key", bus.file("ops.key")];
      await expectSuccess(bus.run("register", "herald", "--pubkey", bus.file("theirs.pub"), ...signed));
      await expectSuccess(bus.run("send", "c", "herald", "with their key", "--key", bus.file("theirs.key")));
      const wrong = await bus.run("send", "c", "herald", "x", "--key", bus.file("ops.key"));
      assert.match(wrong.stderr, /invalid signature/);
      const half = createPublicKey(textIn(bus.file("theirs.key"))).export({ type: "spki", format: "pem" });
      assert.equal(textIn(bus.file("theirs.pub")), half);
    });
  });
}

/** Sends a message with a signature made elsewhere; its text may be longer than a word of a command line. */
async function send(bus: TemporaryBus, message: string) {
  const { channel, sender, content, signature } = JSON.parse(message);
  return bus.start(["send", channel, sender, "--file", bus.place("content", content), "--signature", signature]).ended;
}
