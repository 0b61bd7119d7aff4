import type { KeyObject } from "node:crypto";
import { IpcError, invalid } from "./errors.ts";

/** Decodes canonical, padded base64; undefined for anything else. Buffer alone skips invalid characters. */
export function strictBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, "base64");
  return bytes.toString("base64") === text ? bytes : undefined;
}

export interface KeyPair {
  /** PEM, PKCS8. */
  readonly privateKey: string;
  /** PEM, SPKI. */
  readonly publicKey: string;
}

/** Longer than any key file. Longer input isn't searched for PEM, which takes quadratic time. */
const FILE_BYTES = 8 * 1024;

const PKCS8_PREFIX = Buffer.from("302e020100300506032b657004220420", "hex");
const SPKI_PREFIX = Buffer.from("302a300506032b6570032100", "hex");

/** Loaded on demand: it costs a fresh process milliseconds that an unsigned send shouldn't pay. */
export function nodeCrypto(): typeof import("node:crypto") {
  return process.getBuiltinModule("node:crypto");
}

export function createKeyPair(): KeyPair {
  const { privateKey, publicKey } = nodeCrypto().generateKeyPairSync("ed25519");
  return {
    privateKey: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    publicKey: publicKey.export({ type: "spki", format: "pem" }).toString(),
  };
}

/**
 * Reads an Ed25519 private key: PEM PKCS8 as openssl, Python's `cryptography` and we write it, with any white space; or
 * tweetnacl's secret key or seed, raw or in base64.
 */
export function readPrivateKey(file: Uint8Array): KeyObject {
  const bytes = Buffer.from(file);
  const pem = readPem(bytes);
  if (pem === undefined) return privateKeyFromSeed(readSeed(bytes));
  if (pem.label === "OPENSSH PRIVATE KEY") {
    throw invalid("this is an OpenSSH private key; make a key with `el-ipc keygen --out NAME` instead");
  }
  if (pem.label.startsWith("ENCRYPTED") || pem.encrypted) {
    throw invalid("this private key is encrypted; decrypt it with `openssl pkey -in FILE -out PLAIN` and use that");
  }
  if (pem.label.includes("PUBLIC")) throw invalid("this is a public key; the private one is needed here");
  if (pem.label !== "PRIVATE KEY") throw notEd25519Error(`a PEM file labelled "${pem.label}"`);
  const key = parseOrRefuse(() => nodeCrypto().createPrivateKey({ key: pem.der, format: "der", type: "pkcs8" }));
  if (key.asymmetricKeyType !== "ed25519") throw notEd25519Error(`a key of type ${key.asymmetricKeyType}`);
  return key;
}

/** Reads an Ed25519 public key: PEM SPKI, or 32 bytes, raw, in base64 or in hex. Refuses weak points. */
export function readPublicKey(key: Uint8Array | string): KeyObject {
  const raw = typeof key !== "string" && key.length === 32 ? Buffer.from(key) : rawPublicKey(Buffer.from(key));
  refuseWeakPoint(raw);
  return nodeCrypto().createPublicKey({ key: Buffer.concat([SPKI_PREFIX, raw]), format: "der", type: "spki" });
}

export function publicPem(key: KeyObject): string {
  return key.export({ type: "spki", format: "pem" }).toString();
}

const known = new Map<string, KeyObject | undefined>();

/** Caches stored keys. Undefined if another program stored a key that we would refuse. */
export function registeredKey(pem: string): KeyObject | undefined {
  if (known.has(pem)) return known.get(pem);
  if (known.size >= 10_000) known.clear();
  const key = tryReadPublicKey(pem);
  known.set(pem, key);
  return key;
}

function tryReadPublicKey(pem: string): KeyObject | undefined {
  try {
    return readPublicKey(pem);
  } catch {
    return undefined;
  }
}

export function rawKeyBytes(key: KeyObject): Buffer {
  return key.export({ type: "spki", format: "der" }).subarray(SPKI_PREFIX.length);
}

export function verifySignature(signature: string, bytes: Uint8Array, publicKeyPem: string): boolean {
  const parts = signatureParts(signature, publicKeyPem);
  return parts === undefined ? false : nodeCrypto().verify(null, bytes, parts.key, parts.raw);
}

/** `verifySignature`, perhaps on a thread. */
export type Verifier = (signature: string, bytes: Uint8Array, publicKeyPem: string) => boolean | Promise<boolean>;

/**
 * Verifies the first signature of each event-loop turn at once, since a thread costs more than one verification, and the
 * others on threads meanwhile.
 */
export function createVerifier(): Verifier {
  let isFirst = true;
  const nextTurn = (): void => {
    isFirst = true;
  };
  return (signature, bytes, publicKeyPem) => {
    if (isFirst) {
      isFirst = false;
      setImmediate(nextTurn);
      return verifySignature(signature, bytes, publicKeyPem);
    }
    const parts = signatureParts(signature, publicKeyPem);
    if (parts === undefined) return false;
    const { key, raw } = parts;
    return new Promise((resolve, reject) => {
      const verified = (error: Error | null, isGood: boolean) => (error === null ? resolve(isGood) : reject(error));
      nodeCrypto().verify(null, bytes, key, raw, verified);
    });
  };
}

function signatureParts(signature: string, publicKeyPem: string) {
  const raw = strictBase64(signature);
  const key = raw?.length === 64 ? registeredKey(publicKeyPem) : undefined;
  return raw === undefined || key === undefined ? undefined : { raw, key };
}

export function publicKeyOf(key: KeyObject): KeyObject {
  return nodeCrypto().createPublicKey(key.export({ type: "pkcs8", format: "pem" }));
}

function readPem(bytes: Buffer) {
  if (bytes.length > FILE_BYTES) throw notEd25519Error("too long to be a key");
  const match = /-----BEGIN ([A-Z0-9 ]+)-----([\s\S]*?)-----END \1-----/.exec(bytes.toString("latin1"));
  const [, label, inside] = match ?? [];
  if (label === undefined || inside === undefined) return undefined;
  const encrypted = /Proc-Type:.*ENCRYPTED/.test(inside);
  const der = strictBase64(inside.replace(/\s+/g, ""));
  if (der === undefined && !encrypted) throw invalid("this PEM file is damaged: what it holds is not base64");
  return { label, der: der ?? Buffer.alloc(0), encrypted };
}

function rawPublicKey(bytes: Buffer): Buffer {
  const pem = readPem(bytes);
  if (pem === undefined) {
    const text = bytes.toString("latin1").trim();
    const raw = /^[0-9a-f]{64}$/i.test(text) ? Buffer.from(text, "hex") : strictBase64(text);
    if (raw?.length !== 32) throw notEd25519Error("neither PEM nor 32 bytes in base64 or hex");
    return raw;
  }
  if (pem.label.includes("PRIVATE")) throw invalid("this is a private key; the public one is needed here");
  if (pem.label !== "PUBLIC KEY") throw notEd25519Error(`a PEM file labelled "${pem.label}"`);
  if (pem.der.length !== SPKI_PREFIX.length + 32 || !pem.der.subarray(0, SPKI_PREFIX.length).equals(SPKI_PREFIX)) {
    throw notEd25519Error("a public key of another kind");
  }
  return pem.der.subarray(SPKI_PREFIX.length);
}

function readSeed(bytes: Buffer): Buffer {
  const raw = isKeyLength(bytes.length) ? bytes : strictBase64(bytes.toString("latin1").trim());
  if (raw === undefined || !isKeyLength(raw.length)) throw notEd25519Error("neither PEM nor 32 or 64 bytes");
  const seed = raw.subarray(0, 32);
  if (raw.length === 64 && !rawKeyBytes(publicKeyOf(privateKeyFromSeed(seed))).equals(raw.subarray(32))) {
    throw invalid("this secret key is damaged: its two halves don't belong together");
  }
  return seed;
}

function isKeyLength(length: number): boolean {
  return length === 32 || length === 64;
}

function privateKeyFromSeed(seed: Buffer): KeyObject {
  return nodeCrypto().createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, seed]), format: "der", type: "pkcs8" });
}

function parseOrRefuse(parse: () => KeyObject): KeyObject {
  try {
    return parse();
  } catch (cause) {
    throw new IpcError("invalid", "this private key is damaged: it can't be read", undefined, { cause });
  }
}

function notEd25519Error(what: string): Error {
  return invalid(`an Ed25519 key is needed, and this is ${what}; make one with \`el-ipc keygen --out NAME\``);
}

const P = 2n ** 255n - 19n;

/** The y of each point whose order divides 8. Anyone can sign for an agent that registered one. */
const SMALL_ORDER = new Set([
  0n,
  1n,
  P - 1n,
  2707385501144840649318225287225658788936804267575313519463743609750303402022n,
  55188659117513257062467267217118295137698188065244968500265048394206261417927n,
]);

function refuseWeakPoint(raw: Buffer): void {
  const y = BigInt(`0x${Buffer.from(raw).reverse().toString("hex")}`) & (2n ** 255n - 1n);
  if (y >= P || SMALL_ORDER.has(y)) {
    throw invalid(
      "this public key is not safe to use: it is a point of small order, or not written in the one right way",
    );
  }
}
