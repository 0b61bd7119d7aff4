import type { Arrived } from "./archive.ts";
import { invalid } from "./errors.ts";
import { CONTENT_BYTES } from "./limits.ts";
import { nameFault } from "./names.ts";
import type { Order, OrderStatus, Peer, Signal } from "./session-store.ts";
import type { Agent, Once, Revoked, StoredMessage, Watermark } from "./store.ts";

type Value = Readonly<Record<string, unknown>>;

/** What a line of an export says, once it was looked at: a file may come from anywhere. */
export type Line =
  | { readonly export: { readonly format: number } }
  | { readonly agent: Agent }
  | { readonly revoked: Revoked }
  | { readonly request: Once & { readonly messageId: number } }
  | { readonly message: StoredMessage }
  | { readonly watermark: Watermark }
  | { readonly arrived: Arrived }
  | { readonly peer: Peer }
  | { readonly order: Order }
  | { readonly signal: Signal }
  | { readonly complete: object };

/** Undefined where it is no line of an export; throws where it is one, and what it says can't be. */
export function readLine(value: unknown): Line | undefined {
  if (!isValue(value)) return undefined;
  const [word, ...more] = Object.keys(value);
  const said = word === undefined ? undefined : value[word];
  if (word === undefined || more.length > 0 || !isValue(said) || !Object.hasOwn(readers, word)) return undefined;
  return readers[word]?.(said);
}

const readers: Readonly<Record<string, (said: Value) => Line>> = {
  export: (said) => ({ export: { format: number(said, "format") } }),
  agent: (said) => ({
    agent: {
      name: name(said, "name"),
      identity: text(said, "identity"),
      publicKey: text(said, "publicKey"),
      role: oneOf(said, "role", ["agent", "operator"]),
      registeredBy: nullable(said, "registeredBy", name),
      createdAt: number(said, "createdAt"),
      v2Only: said.v2Only === true,
    },
  }),
  revoked: (said) => ({
    revoked: {
      name: name(said, "name"),
      publicKey: text(said, "publicKey"),
      registeredBy: nullable(said, "registeredBy", name),
    },
  }),
  request: (said) => ({
    request: {
      signer: name(said, "signer"),
      nonce: name(said, "nonce"),
      digest: text(said, "digest"),
      at: number(said, "at"),
      messageId: id(said, "messageId"),
    },
  }),
  message: (said) => ({
    message: {
      id: id(said, "id"),
      channel: name(said, "channel"),
      sender: name(said, "sender"),
      content: content(said),
      timestamp: number(said, "timestamp"),
      signature: text(said, "signature"),
      attested: said.attested === true,
    },
  }),
  watermark: (said) => ({
    watermark: { channel: name(said, "channel"), agent: name(said, "agent"), lastId: id(said, "lastId") },
  }),
  arrived: (said) => ({ arrived: { channel: name(said, "channel"), ids: list(said, "ids").map(asId) } }),
  peer: (said) => ({
    peer: {
      id: name(said, "id"),
      role: name(said, "role"),
      capabilities: list(said, "capabilities").map(String),
      agent: nullable(said, "agent", name),
      connectedAt: number(said, "connectedAt"),
      lastSeen: number(said, "lastSeen"),
      waitingFor: nullable(said, "waitingFor", text),
    },
  }),
  order: (said) => ({
    order: {
      id: name(said, "id"),
      kind: oneOf(said, "kind", ["command", "command_response"]),
      from: name(said, "from"),
      fromId: nullable(said, "fromId", name),
      target: nullable(said, "target", name),
      targetRole: text(said, "targetRole"),
      action: text(said, "action"),
      params: said.params ?? null,
      createdAt: number(said, "createdAt"),
      leaseSeconds: number(said, "leaseSeconds"),
      expiresAt: nullable(said, "expiresAt", number),
      status: oneOf(said, "status", STATUSES),
      attempts: number(said, "attempts"),
      holder: nullable(said, "holder", name),
      leaseUntil: nullable(said, "leaseUntil", number),
      result: said.result ?? null,
      endedAt: nullable(said, "endedAt", number),
    },
  }),
  signal: (said) => ({
    signal: {
      name: name(said, "name"),
      data: said.data ?? null,
      sender: name(said, "sender"),
      setAt: number(said, "setAt"),
    },
  }),
  complete: (said) => ({ complete: said }),
};

const STATUSES: readonly OrderStatus[] = ["pending", "leased", "acked", "failed", "dead", "expired"];

function isValue(value: unknown): value is Value {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function text(said: Value, field: string): string {
  const value = said[field];
  if (typeof value === "string" && value.isWellFormed()) return value;
  throw invalid(`${field} must be a text`);
}

function name(said: Value, field: string): string {
  const value = text(said, field);
  const fault = nameFault(value);
  if (fault === undefined) return value;
  throw invalid(`${field} ${fault}`);
}

function content(said: Value): string {
  const value = text(said, "content");
  if (Buffer.byteLength(value) <= CONTENT_BYTES) return value;
  throw invalid(`content must be ${CONTENT_BYTES} bytes at most`, "too_large");
}

function number(said: Value, field: string): number {
  const value = said[field];
  if (typeof value === "number" && Number.isFinite(value)) return value;
  throw invalid(`${field} must be a number`);
}

function id(said: Value, field: string): number {
  return asId(said[field]);
}

function asId(value: unknown): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw invalid("an id must be a whole number");
}

function nullable<T>(said: Value, field: string, read: (said: Value, field: string) => T): T | null {
  return said[field] === null || said[field] === undefined ? null : read(said, field);
}

function list(said: Value, field: string): readonly unknown[] {
  const value = said[field];
  if (Array.isArray(value)) return value;
  throw invalid(`${field} must be a list`);
}

function oneOf<const T extends string>(said: Value, field: string, values: readonly T[]): T {
  const value = values.find((known) => known === said[field]);
  if (value !== undefined) return value;
  throw invalid(`${field} must be ${values.join(" or ")}`);
}
