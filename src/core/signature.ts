import type { KeyObject } from "node:crypto";
import type { Bus } from "./bus.ts";
import { getBusDid } from "./card.ts";
import { invalid, unauthorized } from "./errors.ts";
import { nodeCrypto } from "./keys.ts";
import { STAMP_TOLERANCE_SECONDS } from "./limits.ts";
import type { RequestKey } from "./store.ts";

/** Limits a signed request to one bus, one use and a short time. */
export interface Stamp {
  /** The bus's DID; empty in open mode. */
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

/** The signed bytes of the Python original. Unambiguous, since names hold no control characters. */
export function messageBytesV1({ channel, sender, content }: SignedMessage): Buffer {
  return Buffer.from(`${channel}\n${sender}\n${content}`);
}

export function messageBytes({ channel, sender, content }: SignedMessage, { aud, nonce, ts }: Stamp): Buffer {
  return v2Bytes("send", aud, channel, sender, nonce, String(ts), content);
}

interface SignedRegistration extends Required<SignedKeyChange> {
  readonly identity: string;
}

export function registrationBytes(registration: SignedRegistration, { aud, nonce, ts }: Stamp): Buffer {
  const { name, identity, rawKey, operator, v2Only } = registration;
  return v2Bytes("register", aud, name, identity, rawKey, "agent", operator, nonce, String(ts), ...rules(v2Only));
}

interface SignedKeyChange {
  readonly name: string;
  /** The new key of a rotation, or the key to revoke. */
  readonly rawKey: Uint8Array;
  readonly operator: string;
  readonly v2Only?: boolean;
}

export function keyChangeBytes(act: "rotate" | "revoke", change: SignedKeyChange, { aud, nonce, ts }: Stamp): Buffer {
  const { name, rawKey, operator, v2Only = false } = change;
  return v2Bytes(act, aud, name, rawKey, operator, nonce, String(ts), ...rules(v2Only));
}

/** Signed as the last field, so that nobody in between can drop it. */
function rules(v2Only: boolean): readonly string[] {
  return v2Only ? ["v2"] : [];
}

/** Netstrings behind a unique prefix: fields can't run into each other, and other signed bytes can't look the same. */
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

export interface StampFields {
  readonly v?: number | undefined;
  readonly aud?: string | undefined;
  readonly nonce?: string | undefined;
  readonly ts?: number | undefined;
}

/** Undefined for a v1 request, which has no stamp. */
export function readStamp({ v, aud, nonce, ts }: StampFields): Stamp | undefined {
  if (v !== 2) return undefined;
  if (nonce === undefined || ts === undefined) throw invalid("a v2 request needs nonce and ts, and aud in secure mode");
  return { aud: aud ?? "", nonce, ts };
}

export function createStamp(aud: string, milliseconds: number): Stamp {
  return { aud, nonce: nodeCrypto().randomBytes(16).toString("base64url"), ts: milliseconds };
}

/** Refuses a request made for another bus or at another time. */
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

/** The idempotency key of a signed request: the store performs it once, however often it comes. */
export function requestKeyOf(bus: Bus, signer: string, { nonce }: Stamp, bytes: Uint8Array): RequestKey {
  return { signer, nonce, digest: nodeCrypto().hash("sha256", bytes), at: bus.now() };
}
