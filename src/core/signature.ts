import type { KeyObject } from "node:crypto";
import type { Bus } from "./bus.ts";
import { getBusDid } from "./card.ts";
import { invalid, unauthorized } from "./errors.ts";
import { nodeCrypto, registeredKey, strictBase64 } from "./keys.ts";
import { STAMP_TOLERANCE_SECONDS } from "./limits.ts";
import type { RequestKey } from "./store.ts";

/** What makes a signed request good for one bus, once, for a while. */
export interface Stamp {
  /** The DID of the bus that it is meant for; empty in open mode. */
  readonly aud: string;
  /** 16 random bytes, base64url. */
  readonly nonce: string;
  /** Milliseconds since 1970. */
  readonly ts: number;
}

export interface SignedMessage {
  readonly channel: string;
  readonly sender: string;
  readonly content: string;
}

/** What the sender of a v1 message signs, as the original has it. Unambiguous, since names hold no control characters. */
export function messageBytesV1({ channel, sender, content }: SignedMessage): Buffer {
  return Buffer.from(`${channel}\n${sender}\n${content}`);
}

export function messageBytes({ channel, sender, content }: SignedMessage, { aud, nonce, ts }: Stamp): Buffer {
  return v2Bytes("send", aud, channel, sender, nonce, String(ts), content);
}

export interface SignedRegistration {
  readonly name: string;
  readonly identity: string;
  readonly rawKey: Uint8Array;
  readonly operator: string;
  readonly v2Only: boolean;
}

export function registrationBytes(registration: SignedRegistration, { aud, nonce, ts }: Stamp): Buffer {
  const { name, identity, rawKey, operator, v2Only } = registration;
  return v2Bytes("register", aud, name, identity, rawKey, "agent", operator, nonce, String(ts), ...rules(v2Only));
}

export interface SignedKeyChange {
  readonly name: string;
  /** The new key to rotate to, or the key that is revoked. */
  readonly rawKey: Uint8Array;
  readonly operator: string;
  readonly v2Only?: boolean;
}

export function keyChangeBytes(act: "rotate" | "revoke", change: SignedKeyChange, { aud, nonce, ts }: Stamp): Buffer {
  const { name, rawKey, operator, v2Only = false } = change;
  return v2Bytes(act, aud, name, rawKey, operator, nonce, String(ts), ...rules(v2Only));
}

/** A last field, where the operator asks for more than the others say: nobody on the way can take it back. */
function rules(v2Only: boolean): readonly string[] {
  return v2Only ? ["v2"] : [];
}

/** Netstrings behind a prefix of their own: no field can run into the next, and nothing else that is signed looks alike. */
function v2Bytes(...fields: readonly (string | Uint8Array)[]): Buffer {
  const parts = fields.flatMap((field) => {
    const bytes = typeof field === "string" ? Buffer.from(field) : field;
    return [Buffer.from(`${bytes.length}:`), bytes, Buffer.from(",")];
  });
  return Buffer.concat([Buffer.from("el-ipc\0v2\0"), ...parts]);
}

export function sign(bytes: Uint8Array, key: KeyObject): string {
  return nodeCrypto().sign(null, bytes, key).toString("base64");
}

/** Whether `signature` was made over `bytes` with the private half of a registered key. */
export function verifySignature(signature: string, bytes: Uint8Array, publicKeyPem: string): boolean {
  const parts = signatureParts(signature, publicKeyPem);
  return parts === undefined ? false : nodeCrypto().verify(null, bytes, parts.key, parts.raw);
}

let isOneOfMany = false;

/** The same. Where more than one is asked in a turn of the event loop, the others are checked on threads meanwhile. */
export function verifySignatureInBatch(
  signature: string,
  bytes: Uint8Array,
  publicKeyPem: string,
): boolean | Promise<boolean> {
  if (!isOneOfMany) {
    isOneOfMany = true;
    setImmediate(() => {
      isOneOfMany = false;
    });
    return verifySignature(signature, bytes, publicKeyPem);
  }
  const parts = signatureParts(signature, publicKeyPem);
  if (parts === undefined) return false;
  const { key, raw } = parts;
  return new Promise((resolve, reject) => {
    const checked = (error: Error | null, isGood: boolean) => (error === null ? resolve(isGood) : reject(error));
    nodeCrypto().verify(null, bytes, key, raw, checked);
  });
}

function signatureParts(
  signature: string,
  publicKeyPem: string,
): { readonly raw: Buffer; readonly key: KeyObject } | undefined {
  const raw = strictBase64(signature);
  const key = raw?.length === 64 ? registeredKey(publicKeyPem) : undefined;
  return raw === undefined || key === undefined ? undefined : { raw, key };
}

/** The fields that make a request v2, as it carries them. */
export interface StampFields {
  readonly v?: number | undefined;
  readonly aud?: string | undefined;
  readonly nonce?: string | undefined;
  readonly ts?: number | undefined;
}

/** A v2 request's stamp; undefined for v1, which has none. */
export function readStamp({ v, aud, nonce, ts }: StampFields): Stamp | undefined {
  if (v !== 2) return undefined;
  if (nonce === undefined || ts === undefined) throw invalid("a v2 request needs nonce and ts, and aud in secure mode");
  return { aud: aud ?? "", nonce, ts };
}

/** A stamp for a request that is about to be signed. */
export function createStamp(aud: string, milliseconds: number): Stamp {
  return { aud, nonce: nodeCrypto().randomBytes(16).toString("base64url"), ts: milliseconds };
}

/** Refuses a request that was made for another bus or at another time. */
export async function checkStamp(bus: Bus, { aud, ts }: Stamp): Promise<void> {
  const did = (await getBusDid(bus)) ?? "";
  if (aud !== did) {
    const whose = did === "" ? "this bus is in open mode, and has no aud" : `this bus is ${did}`;
    throw unauthorized(`the request is meant for another bus: ${whose}`, "wrong_audience");
  }
  const now = bus.now();
  if (Math.abs(now - ts / 1_000) <= STAMP_TOLERANCE_SECONDS) return;
  const clock = new Date(now * 1_000).toISOString();
  throw unauthorized(
    `the request's ts is too far from this server's time, ${clock} (${Math.round(now * 1_000)})`,
    "stale",
  );
}

/** What lets the store do a signed request once, however often it comes. */
export function requestKeyOf(bus: Bus, signer: string, { nonce }: Stamp, bytes: Uint8Array): RequestKey {
  return { signer, nonce, digest: nodeCrypto().hash("sha256", bytes), at: bus.now() };
}
