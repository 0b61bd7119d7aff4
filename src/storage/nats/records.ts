import { nuid } from "@nats-io/transport-node";
import type { JsonObject } from "../../core/json.ts";
import { createReader, shapes } from "../../core/records.ts";
import type { Agent, Envelope, NewMessage, RequestKey, Revoked, StoredMessage, Watermark } from "../../core/store.ts";
import type { StreamKind } from "./names.ts";
import type { Stored, Streams } from "./streams.ts";

export function fieldsOf(value: unknown): JsonObject {
  return typeof value === "object" && value !== null ? { ...value } : {};
}

export function textIn(from: JsonObject, name: string): string {
  const value = from[name];
  return typeof value === "string" ? value : "";
}

export function numberIn(from: JsonObject, name: string): number {
  const value = from[name];
  return typeof value === "number" ? value : 0;
}

export function parseJson(data: Uint8Array): unknown {
  return JSON.parse(Buffer.from(data).toString());
}

/** A subject's last message as a record, with the sequence that a later change must expect: 0 where there is none. */
export interface Found {
  readonly seq: number;
  /** The id that it was stored under. */
  readonly id: string;
  readonly value: JsonObject | undefined;
}

export const NOT_FOUND: Found = { seq: 0, id: "", value: undefined };

export async function getRecord(streams: Streams, kind: StreamKind, subject: string): Promise<Found> {
  const found = await streams.last(kind, subject);
  if (found === undefined) return NOT_FOUND;
  return { seq: found.seq, id: found.id, value: fieldsOf(parseJson(found.data)) };
}

/** Stores a record in place of the one that was found, if that is still there; returns its sequence. */
export async function putRecord(
  streams: Streams,
  kind: StreamKind,
  subject: string,
  value: object,
  { seq }: Pick<Found, "seq">,
): Promise<number | "conflict"> {
  const expect = { lastSubjectSequence: seq };
  const put = await streams.publish(kind, subject, { id: nuid.next(), data: JSON.stringify(value), expect });
  return put === "conflict" ? put : put.seq;
}

/** A message's header; its data is its content. */
export function writeMessage({ channel, sender, timestamp, signature, attested }: NewMessage): object {
  return { channel, sender, at: timestamp, ...(signature !== "" && { signature }), ...(attested && { attested }) };
}

const readMessageFields = createReader(shapes.messages);

export function readMessage({ seq, fields, data }: Stored): StoredMessage {
  const header = fieldsOf(fields);
  const content = Buffer.from(data).toString();
  return readMessageFields({ ...header, id: seq, content, timestamp: header.at });
}

const { id, channel, sender, timestamp } = shapes.messages;
const readEnvelope = createReader<Envelope>({ id, channel, sender, timestamp });

export function envelopeOf({ seq, fields }: Stored): Envelope {
  const { channel, sender, at } = fieldsOf(fields);
  return readEnvelope({ id: seq, channel, sender, timestamp: at });
}

const readWatermarkFields = createReader(shapes.watermarks);

export function readWatermark({ data }: Stored): Watermark {
  return readWatermarkFields(fieldsOf(parseJson(data)));
}

/** A mailbox's messages that were handed out, beyond the watermark. */
export interface Leases {
  /** The end of each lease by message. */
  readonly ends: ReadonlyMap<number, number>;
  readonly arrived: ReadonlySet<number>;
}

export function writeLeases(channel: string, { ends, arrived }: Leases): object {
  return { channel, leases: [...ends], settled: [...arrived] };
}

export function readLeases(value: JsonObject | undefined): Leases {
  const { leases, settled } = fieldsOf(value);
  const ends = Array.isArray(leases) ? leases.flatMap((pair) => (isPair(pair) ? [pair] : [])) : [];
  return { ends: new Map(ends), arrived: new Set(Array.isArray(settled) ? settled.map(Number) : []) };
}

function isPair(value: unknown): value is readonly [number, number] {
  return Array.isArray(value) && typeof value[0] === "number" && typeof value[1] === "number";
}

/** The record under an agent's name: the agent, or its revocation. */
export interface NameRecord {
  readonly agent?: Agent;
  readonly revoked?: Revoked;
}

const readAgent = createReader(shapes.agents);
const readRevoked = createReader(shapes.revoked);

export function readName(value: unknown): NameRecord {
  const { agent, revoked } = fieldsOf(value);
  return {
    ...(agent === undefined ? {} : { agent: readAgent(fieldsOf(agent)) }),
    ...(revoked === undefined ? {} : { revoked: readRevoked(fieldsOf(revoked)) }),
  };
}

/** A signed request that has begun, and perhaps ended. */
export interface NonceRecord extends RequestKey {
  /** Names the request's own steps, whichever process does them. */
  readonly id: string;
  /** Where the stream of agents ended when the request began. */
  readonly agentsSeq: number;
  /** The answer: a message's id, or 0 for a change of an agent. */
  readonly result?: number;
  /** The request was refused, so its nonce is free. */
  readonly gone?: boolean;
}

export function readNonce(from: JsonObject): NonceRecord {
  return {
    signer: textIn(from, "signer"),
    nonce: textIn(from, "nonce"),
    digest: textIn(from, "digest"),
    at: numberIn(from, "at"),
    id: textIn(from, "id"),
    agentsSeq: numberIn(from, "agentsSeq"),
    ...(typeof from.result === "number" && { result: from.result }),
    gone: from.gone === true,
  };
}
