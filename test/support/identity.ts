import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";

/**
 * A name with a key pair, and what it signs. Written once more from what DESIGN says of bytes and fields, and without a
 * line of src: src isn't checked with itself.
 */
export interface Identity {
  readonly name: string;
  readonly key: KeyObject;
  readonly privatePem: string;
  readonly publicPem: string;
  readonly rawKey: Buffer;
}

export function createIdentity(name: string): Identity {
  return identityOf(name, generateKeyPairSync("ed25519").privateKey);
}

export function identityOf(name: string, privateKey: string | KeyObject): Identity {
  const key = typeof privateKey === "string" ? createPrivateKey(privateKey) : privateKey;
  const privatePem = key.export({ type: "pkcs8", format: "pem" }).toString();
  const half = createPublicKey(privatePem);
  return {
    name,
    key,
    privatePem,
    publicPem: half.export({ type: "spki", format: "pem" }).toString(),
    rawKey: half.export({ type: "spki", format: "der" }).subarray(-32),
  };
}

/** The private key whose 32 bytes these are. */
export function identityOfSeed(name: string, seed: Buffer): Identity {
  const der = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), seed]);
  return identityOf(name, createPrivateKey({ key: der, format: "der", type: "pkcs8" }));
}

export interface Stamp {
  readonly aud: string;
  readonly nonce: string;
  readonly ts: number;
}

export function stampFor(aud: string, milliseconds = 0): Stamp {
  return { aud, nonce: randomBytes(16).toString("base64url"), ts: Date.now() + milliseconds };
}

export function netstrings(...fields: readonly (string | Buffer)[]): Buffer {
  const parts = fields.map((field) => {
    const bytes = Buffer.from(field);
    return Buffer.concat([Buffer.from(`${bytes.length}:`), bytes, Buffer.from(",")]);
  });
  return Buffer.concat([Buffer.from("el-ipc\0v2\0"), ...parts]);
}

export interface Content {
  readonly channel: string;
  readonly content: string;
}

export function signatureOf({ key }: Identity, bytes: Buffer | string): string {
  return sign(null, Buffer.from(bytes), key).toString("base64");
}

/** The body of a v1 send. */
export function signV1(sender: Identity, { channel, content }: Content) {
  const signature = signatureOf(sender, `${channel}\n${sender.name}\n${content}`);
  return { channel, sender: sender.name, content, signature };
}

/** The bytes that a v2 send signs. */
export function sendBytes(sender: string, { channel, content }: Content, { aud, nonce, ts }: Stamp): Buffer {
  return netstrings("send", aud, channel, sender, nonce, String(ts), content);
}

/** The body of a v2 send. */
export function signV2(sender: Identity, said: Content, stamp: Stamp) {
  const signature = signatureOf(sender, sendBytes(sender.name, said, stamp));
  return { ...said, sender: sender.name, v: 2, ...stamp, signature };
}

export interface Registering {
  readonly identity?: string;
  readonly v2_only?: boolean;
}

export function signRegistration(operator: Identity, agent: Identity, stamp: Stamp, more: Registering = {}) {
  const { aud, nonce, ts } = stamp;
  const bytes = netstrings(
    ...["register", aud, agent.name, more.identity ?? "", agent.rawKey, "agent", operator.name, nonce, String(ts)],
    ...(more.v2_only ? ["v2"] : []),
  );
  return {
    name: agent.name,
    public_key: agent.publicPem,
    operator: operator.name,
    ...more,
    v: 2,
    ...stamp,
    operator_signature: signatureOf(operator, bytes),
  };
}

export function signRotation(operator: Identity, agent: Identity, stamp: Stamp) {
  return { ...signChange("rotate", operator, agent, stamp), rotate: true };
}

export function signRevocation(operator: Identity, agent: Identity, stamp: Stamp) {
  return signChange("revoke", operator, agent, stamp);
}

function signChange(act: string, operator: Identity, agent: Identity, stamp: Stamp) {
  const bytes = netstrings(act, stamp.aud, agent.name, agent.rawKey, operator.name, stamp.nonce, String(stamp.ts));
  const operator_signature = signatureOf(operator, bytes);
  return { name: agent.name, public_key: agent.publicPem, operator: operator.name, v: 2, ...stamp, operator_signature };
}

/** A token as el-ipc's agents make it for themselves, with these claims instead of the right ones. */
export function tokenOf(agent: Identity, aud: string, claims: Readonly<Record<string, unknown>> = {}): string {
  const now = Math.floor(Date.now() / 1_000);
  const right = { iss: agent.name, sub: agent.name, aud, iat: now, exp: now + 600 };
  return jwt({ alg: "EdDSA", typ: "JWT" }, { ...right, ...claims }, (text) => sign(null, text, agent.key));
}

export function jwt(header: object, claims: object, signed: (text: Buffer) => Uint8Array): string {
  const text = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
  return `${text}.${Buffer.from(signed(Buffer.from(text))).toString("base64url")}`;
}

const DIGITS = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/** The did:key of a public key, which a bus with this operator goes by. */
export function didOf({ rawKey }: Identity): string {
  let rest = BigInt(`0x${Buffer.concat([Buffer.from([0xed, 0x01]), rawKey]).toString("hex")}`);
  let text = "";
  for (; rest > 0n; rest /= 58n) text = `${DIGITS[Number(rest % 58n)]}${text}`;
  return `did:key:z${text}`;
}
