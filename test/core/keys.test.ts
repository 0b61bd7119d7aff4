import assert from "node:assert/strict";
import { createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes } from "node:crypto";
import { suite, test } from "node:test";
import nacl from "tweetnacl";
import naclUtil from "tweetnacl-util";
import { isIpcError } from "../../src/core/errors.ts";
import {
  createKeyPair,
  publicKeyOf,
  publicPem,
  rawKeyBytes,
  readPrivateKey,
  readPublicKey,
  registeredKey,
  verifySignature,
} from "../../src/core/keys.ts";
import { messageBytesV1, registrationBytes, sign } from "../../src/core/signature.ts";

const pair = createKeyPair();
const seed = Buffer.from("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", "hex");
const rfc8032 = nacl.sign.keyPair.fromSeed(seed);

/** That reading this is refused with a sentence that a user understands, which names no inside. */
function assertRefused(read: () => unknown, sentence: RegExp): void {
  assert.throws(read, (error) => {
    assert.ok(isIpcError(error), String(error));
    assert.equal(error.code, "invalid");
    assert.match(error.message, sentence);
    return true;
  });
}

function privateBytes(key: KeyObject): Buffer {
  return key.export({ type: "pkcs8", format: "der" });
}

suite("a private key", () => {
  const key = readPrivateKey(Buffer.from(pair.privateKey));
  const lines = pair.privateKey.trim().split("\n");
  const same: readonly [string, string | Uint8Array][] = [
    ["as keygen writes it", pair.privateKey],
    ["with the line ends of Windows", pair.privateKey.replaceAll("\n", "\r\n")],
    ["without its line ends", lines.join("")],
    ["with spaces for line ends", lines.join(" ")],
    ["with white space around", `\n\n  ${pair.privateKey}\n\n`],
    ["with a byte order mark", `\ufeff${pair.privateKey}`],
    ["behind a comment", `My key:\n${pair.privateKey}`],
    ["with its public key behind it, as keygen prints them", pair.privateKey + pair.publicKey],
  ];
  for (const [how, file] of same) {
    test(`in PEM, ${how}, is read`, () => {
      assert.deepEqual(privateBytes(readPrivateKey(Buffer.from(file))), privateBytes(key));
    });
  }

  const tweetnacl: readonly [string, Uint8Array][] = [
    ["secret key", rfc8032.secretKey],
    ["secret key in base64", Buffer.from(naclUtil.encodeBase64(rfc8032.secretKey))],
    ["secret key in base64 with a line end", Buffer.from(`${naclUtil.encodeBase64(rfc8032.secretKey)}\r\n`)],
    ["seed", seed],
    ["seed in base64", Buffer.from(naclUtil.encodeBase64(seed))],
  ];
  for (const [what, file] of tweetnacl) {
    test(`as tweetnacl's ${what} is read`, () => {
      assert.deepEqual(rawKeyBytes(publicKeyOf(readPrivateKey(file))), Buffer.from(rfc8032.publicKey));
    });
  }

  const { privateKey: ed25519 } = generateKeyPairSync("ed25519");
  const { privateKey: rsa } = generateKeyPairSync("rsa", { modulusLength: 1024 });
  const { privateKey: ec } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const sealed = { cipher: "aes-256-cbc", passphrase: "secret" };
  const refused: readonly [string, string | Uint8Array | Buffer, RegExp][] = [
    ["that is encrypted", ed25519.export({ type: "pkcs8", format: "pem", ...sealed }), /is encrypted; decrypt it with/],
    ["of RSA that is encrypted", rsa.export({ type: "pkcs1", format: "pem", ...sealed }), /is encrypted; decrypt it/],
    ["of OpenSSH", openSshKey(), /is an OpenSSH private key; make a key with `el-ipc keygen --out NAME` instead/],
    ["of RSA", rsa.export({ type: "pkcs1", format: "pem" }), /Ed25519 key is needed, and this is .*"RSA PRIVATE KEY"/],
    ["of RSA in PKCS8", rsa.export({ type: "pkcs8", format: "pem" }), /Ed25519 key is needed, and this is .*type rsa/],
    ["of an elliptic curve", ec.export({ type: "sec1", format: "pem" }), /this is .*labelled "EC PRIVATE KEY"/],
    ["of an elliptic curve in PKCS8", ec.export({ type: "pkcs8", format: "pem" }), /this is a key of type ec/],
    ["of X25519", generateKeyPairSync("x25519").privateKey.export({ type: "pkcs8", format: "pem" }), /type x25519/],
    ["of Ed448", generateKeyPairSync("ed448").privateKey.export({ type: "pkcs8", format: "pem" }), /type ed448/],
    ["whose file is the public one", pair.publicKey, /is a public key; the private one is needed/],
    ["whose PEM holds no base64", pair.privateKey.replace("M", "?"), /damaged: what it holds is not base64/],
    [
      "whose PEM is cut short",
      pem("PRIVATE KEY", privateBytes(ed25519).subarray(0, 40)),
      /is damaged: it can't be read/,
    ],
    ["whose PEM holds something else", pem("PRIVATE KEY", randomBytes(48)), /is damaged: it can't be read/],
    ["whose PEM has no end", lines.slice(0, -1).join("\n"), /neither PEM nor 32 or 64 bytes/],
    ["of tweetnacl whose halves don't belong together", mismatched(), /its two halves don't belong together/],
    ["of 33 bytes", randomBytes(33), /neither PEM nor 32 or 64 bytes/],
    [
      "in base64 with junk in it",
      `${naclUtil.encodeBase64(seed).slice(0, 20)}!${naclUtil.encodeBase64(seed).slice(20)}`,
      /neither PEM/,
    ],
    ["in an empty file", "", /neither PEM nor 32 or 64 bytes/],
    ["in a text", "This is my diary.\n", /neither PEM nor 32 or 64 bytes/],
  ];
  for (const [what, file, sentence] of refused) {
    test(`${what} is refused with a sentence`, () => {
      assertRefused(() => readPrivateKey(typeof file === "string" ? Buffer.from(file) : file), sentence);
    });
  }

  test("that is refused isn't shown in the sentence", () => {
    for (const [, file] of refused) {
      const secret = Buffer.from(file).toString("latin1").split("\n")[1] ?? "";
      if (secret.length < 20) continue;
      assert.throws(
        () => readPrivateKey(Buffer.from(file)),
        (error) => error instanceof Error && !error.message.includes(secret),
      );
    }
  });
});

suite("a public key", () => {
  const raw = rawKeyBytes(readPublicKey(Buffer.from(pair.publicKey)));
  const same: readonly [string, string | Uint8Array][] = [
    ["in PEM", pair.publicKey],
    ["in PEM with the line ends of Windows", pair.publicKey.replaceAll("\n", "\r\n")],
    ["in PEM without its line ends", pair.publicKey.replaceAll("\n", "")],
    ["raw", raw],
    ["in base64", naclUtil.encodeBase64(raw)],
    ["in base64 with a line end", `${naclUtil.encodeBase64(raw)}\n`],
    ["in hexadecimal", raw.toString("hex")],
    ["in hexadecimal as some write it", `${raw.toString("hex").toUpperCase()}\n`],
  ];
  for (const [how, file] of same) {
    test(`${how} is read`, () => {
      const key = readPublicKey(typeof file === "string" ? Buffer.from(file) : file);
      assert.deepEqual(rawKeyBytes(key), raw);
      assert.equal(publicPem(key), pair.publicKey);
    });
  }

  test("is no text of 32 characters: only a file holds bare bytes", () => {
    assertRefused(() => readPublicKey("k".repeat(32)), /neither PEM nor 32 bytes in base64 or hex/);
    assert.deepEqual(rawKeyBytes(readPublicKey(raw.toString("base64"))), raw);
  });

  test("as openssl, Python and we write it is the same", () => {
    const key = createPrivateKey(pair.privateKey);
    assert.equal(publicPem(publicKeyOf(key)), pair.publicKey);
    assert.match(pair.publicKey, /^-----BEGIN PUBLIC KEY-----\n[A-Za-z0-9+/]{59}=\n-----END PUBLIC KEY-----\n$/);
  });

  const { publicKey: rsa } = generateKeyPairSync("rsa", { modulusLength: 1024 });
  const { publicKey: ec } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const refused: readonly [string, string | Uint8Array, RegExp][] = [
    ["whose file is the private one", pair.privateKey, /is a private key; the public one is needed/],
    ["of RSA", rsa.export({ type: "spki", format: "pem" }), /this is a public key of another kind/],
    ["of RSA in PKCS1", rsa.export({ type: "pkcs1", format: "pem" }), /labelled "RSA PUBLIC KEY"/],
    ["of an elliptic curve", ec.export({ type: "spki", format: "pem" }), /this is a public key of another kind/],
    ["of X25519", generateKeyPairSync("x25519").publicKey.export({ type: "spki", format: "pem" }), /of another kind/],
    ["of OpenSSH", `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI${"A".repeat(43)} me@here\n`, /neither PEM nor 32 bytes/],
    ["of 31 bytes", randomBytes(31), /neither PEM nor 32 bytes/],
    ["of 64 bytes", randomBytes(64), /neither PEM nor 32 bytes/],
    [
      "with something behind it",
      pem("PUBLIC KEY", Buffer.concat([der(pair.publicKey), Buffer.from([0])])),
      /another kind/,
    ],
    ["in an empty file", "", /neither PEM nor 32 bytes/],
  ];
  for (const [what, file, sentence] of refused) {
    test(`${what} is refused with a sentence`, () => {
      assertRefused(() => readPublicKey(typeof file === "string" ? Buffer.from(file) : file), sentence);
    });
  }

  // https://eprint.iacr.org/2020/1244, table 6: the encodings of the eight points of small order, and those not reduced.
  const weak = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
  ];
  for (const hex of weak) {
    test(`that proves nothing is refused: ${hex.slice(0, 4)}…${hex.slice(-2)}`, () => {
      const point = Buffer.from(hex, "hex");
      assertRefused(() => readPublicKey(point), /not safe to use/);
      const spki = Buffer.concat([der(pair.publicKey).subarray(0, 12), point]);
      assertRefused(() => readPublicKey(Buffer.from(pem("PUBLIC KEY", spki))), /not safe to use/);
      assert.equal(registeredKey(pem("PUBLIC KEY", spki)), undefined, "nor is it used where another program stored it");
    });
  }

  test("whose encoding isn't reduced is refused", () => {
    for (let above = 0; above < 19; above++) {
      const bytes = Buffer.alloc(32, 0xff);
      bytes[0] = 0xed + above;
      for (const top of [0x7f, 0xff]) {
        bytes[31] = top;
        assertRefused(() => readPublicKey(bytes), /not safe to use/);
      }
    }
  });

  test("that another program stored damaged verifies nothing, and breaks nothing", () => {
    for (const stored of ["", "garbage", "\u0000", pair.privateKey]) {
      assert.equal(registeredKey(stored), undefined);
      assert.equal(verifySignature(Buffer.alloc(64).toString("base64"), Buffer.from("x"), stored), false);
    }
  });
});

suite("signing", () => {
  const key = readPrivateKey(Buffer.from(rfc8032.secretKey));
  const publicKey = publicPem(publicKeyOf(key));

  test("E20 what is signed is channel, sender and content, a line each, in UTF-8", () => {
    const bytes = messageBytesV1({ channel: "ops", sender: "hérald", content: "one\ntwo 🦜" });
    assert.deepEqual(bytes, Buffer.from("ops\nhérald\none\ntwo 🦜", "utf8"));
  });

  test("what is signed of a registration is each of its fields with its length, in order", () => {
    const rawKey = Buffer.alloc(32, "k");
    const registration = { name: "herald", identity: "", rawKey, operator: "ops", v2Only: false };
    const fields = "8:register,9:did:key:z,6:herald,0:,KEY,5:agent,3:ops,22:AAECAwQFBgcICQoLDA0ODw,1:7,";
    assert.deepEqual(
      registrationBytes(registration, { aud: "did:key:z", nonce: "AAECAwQFBgcICQoLDA0ODw", ts: 7 }),
      Buffer.from(`el-ipc\0v2\0${fields.replace("KEY", `32:${rawKey}`)}`),
    );
  });

  test("the signature of RFC 8032's first test is made", () => {
    assert.equal(
      Buffer.from(sign(Buffer.alloc(0), key), "base64").toString("hex"),
      "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    );
  });

  test("E20 tweetnacl accepts what we sign, and we what tweetnacl signs, in a hundred random cases each", () => {
    let theirs = nacl.sign.keyPair();
    for (let n = 0; n < 100; n++) {
      if (n % 5 === 0) theirs = nacl.sign.keyPair();
      const ours = readPrivateKey(theirs.secretKey);
      const pem = publicPem(publicKeyOf(ours));
      assert.deepEqual(rawKeyBytes(publicKeyOf(ours)), Buffer.from(theirs.publicKey));
      const bytes = randomBytes(n * 7);
      const signature = naclUtil.encodeBase64(nacl.sign.detached(bytes, theirs.secretKey));
      assert.equal(sign(bytes, ours), signature);
      assert.ok(nacl.sign.detached.verify(bytes, naclUtil.decodeBase64(sign(bytes, ours)), theirs.publicKey));
      assert.ok(verifySignature(signature, bytes, pem));
      const changed = Buffer.concat([bytes, Buffer.from([1])]);
      assert.ok(!verifySignature(signature, changed, pem));
      assert.ok(!verifySignature(signature, bytes, publicKey), "E21 not with another's key");
    }
  });

  test("a signature with any bit turned is none", () => {
    const bytes = Buffer.from("main is green");
    const signature = Buffer.from(sign(bytes, key), "base64");
    assert.ok(verifySignature(signature.toString("base64"), bytes, publicKey));
    for (let bit = 0; bit < 512; bit++) {
      const turned = Buffer.from(signature);
      turned[bit >> 3] = (turned[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      assert.ok(!verifySignature(turned.toString("base64"), bytes, publicKey), `bit ${bit}`);
    }
  });

  test("a signature whose second half had the group's order added is none: there is one signature, not many", () => {
    const order = 2n ** 252n + 27742317777372353535851937790883648493n;
    const bytes = Buffer.from("main is green");
    const signature = Buffer.from(sign(bytes, key), "base64");
    const second = BigInt(`0x${Buffer.from(signature.subarray(32)).reverse().toString("hex")}`) + order;
    const added = Buffer.from(second.toString(16).padStart(64, "0"), "hex").reverse();
    assert.ok(!verifySignature(Buffer.concat([signature.subarray(0, 32), added]).toString("base64"), bytes, publicKey));
  });

  const bytes = Buffer.from("main is green");
  const good = sign(bytes, key);
  const odd: readonly [string, string][] = [
    ["with junk in it", `${good.slice(0, 40)}!!${good.slice(40)}`],
    ["with a line end", `${good}\n`],
    ["with spaces around", ` ${good} `],
    ["without its padding", good.replaceAll("=", "")],
    ["in base64url", good.replaceAll("+", "-").replaceAll("/", "_").replace("=", "_=")],
    ["with bytes behind it", Buffer.concat([Buffer.from(good, "base64"), Buffer.from([0])]).toString("base64")],
    ["a byte short", Buffer.from(good, "base64").subarray(0, 63).toString("base64")],
    ["in hexadecimal", Buffer.from(good, "base64").toString("hex")],
    ["twice", good + good],
    ["of nothing", ""],
  ];
  for (const [how, signature] of odd) {
    test(`a signature ${how} is none`, () => {
      assert.ok(verifySignature(good, bytes, publicKey));
      assert.equal(verifySignature(signature, bytes, publicKey), false);
    });
  }
});

function der(pemText: string): Buffer {
  return Buffer.from(pemText.replace(/-----[^-]+-----/g, ""), "base64");
}

function pem(label: string, bytes: Buffer): string {
  return `-----BEGIN ${label}-----\n${bytes.toString("base64")}\n-----END ${label}-----\n`;
}

function mismatched(): Buffer {
  return Buffer.concat([seed, nacl.sign.keyPair().publicKey]);
}

/** The shape that ssh-keygen writes: another container, with a magic of its own. */
function openSshKey(): string {
  return pem("OPENSSH PRIVATE KEY", Buffer.concat([Buffer.from("openssh-key-v1\0"), randomBytes(200)]));
}
