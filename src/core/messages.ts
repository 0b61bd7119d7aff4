import { type Caller, isSecure } from "./access.ts";
import type { Bus } from "./bus.ts";
import { conflict, invalid, notFound, unauthorized } from "./errors.ts";
import { strictBase64 } from "./keys.ts";
import { BATCH_MESSAGES } from "./limits.ts";
import { SECURITY_CHANNEL } from "./security.ts";
import {
  checkStamp,
  messageBytes,
  messageBytesV1,
  readStamp,
  requestKeyOf,
  type StampFields,
  verifySignatureInBatch,
} from "./signature.ts";
import type { StoredMessage } from "./store.ts";
import { monotonicMs } from "./time.ts";
import { ANY_CHANGE, waiting, watermarkTopic } from "./waiting.ts";

/** A message as its readers get it. */
export interface Message {
  readonly id: number;
  readonly sender: string;
  readonly content: string;
  readonly timestamp: number;
  /** Present when it came with a signature. Once there is an operator: when the bus has verified it. */
  readonly signed?: true;
  /** Present when the sender showed a token instead: the server vouches for it. */
  readonly attested?: true;
}

export interface OutgoingMessage extends StampFields {
  readonly channel: string;
  readonly sender: string;
  readonly content: string;
  readonly signature: string | undefined;
}

export interface SendResult {
  readonly id: number;
  /** It had come before; the id is that of the first one. */
  readonly duplicate: boolean;
}

export async function send(bus: Bus, message: OutgoingMessage, caller: Caller): Promise<SendResult> {
  const { channel, sender, content, signature } = message;
  if (channel === SECURITY_CHANNEL)
    throw unauthorized(`only the bus itself writes to ${SECURITY_CHANNEL}`, "not_yours");
  const stamp = readStamp(message);
  const v2 = stamp && { stamp, bytes: messageBytes(message, stamp) };
  const proof = await checkSender(bus, message, v2?.bytes, caller);
  if (v2 !== undefined) await checkStamp(bus, v2.stamp);
  const once = v2 && requestKeyOf(bus, sender, v2.stamp, v2.bytes);
  const timestamp = bus.now();
  const written = { channel, sender, content, timestamp, signature: signature ?? "", attested: proof === "attested" };
  const { outcome, id } = await bus.store.messages.append(written, once);
  if (outcome === "clash") throw conflict("this nonce was used for another message", "replay");
  if (outcome === "done") {
    bus.wakeup.ring(channel);
    bus.wakeup.ring(ANY_CHANGE);
  }
  return { id, duplicate: outcome === "repeated" };
}

/**
 * What shows that the sender is who it says: in secure mode its signature or, where it can't sign, its token. In open
 * mode nobody is registered, so there is no key to check with; but what can't be a signature isn't stored as one.
 */
async function checkSender(
  bus: Bus,
  message: OutgoingMessage,
  v2: Buffer | undefined,
  caller: Caller,
): Promise<"signed" | "attested" | "none"> {
  const { sender, signature } = message;
  if (!(await isSecure(bus))) {
    if (signature === undefined) return "none";
    if (strictBase64(signature)?.length === 64) return "signed";
    throw invalid("signature must be 64 bytes in base64", "invalid_signature");
  }
  if (signature === undefined) {
    if (caller.identity?.agent === sender) return "attested";
    throw unauthorized("signature required (secure mode active)", "unsigned_message");
  }
  const agent = await bus.store.agents.find(sender);
  if (agent === undefined) throw await unknownSenderError(bus, sender);
  if (v2 === undefined && (bus.signatures === "v2" || agent.v2Only)) {
    throw unauthorized("a v2 signature is required: with aud, nonce and ts", "invalid_signature");
  }
  const signed = await verifySignatureInBatch(signature, v2 ?? messageBytesV1(message), agent.publicKey);
  if (!signed) throw unauthorized("invalid signature", "invalid_signature");
  return "signed";
}

async function unknownSenderError(bus: Bus, sender: string): Promise<Error> {
  if ((await bus.store.agents.revoked(sender)) === undefined) {
    return unauthorized(`unknown sender: ${sender}`, "unknown_sender");
  }
  return unauthorized(`the key of ${sender} was revoked`, "revoked");
}

export interface ReadRequest {
  readonly channel: string;
  readonly agent: string;
  readonly limit: number | undefined;
  /** Leave out the agent's own messages. */
  readonly others: boolean;
  /** The watermark stays where it is, for this and for what is left out. */
  readonly peek: boolean;
  /** Wait for a message while there is none. */
  readonly wait: boolean;
  /** How long to wait at most; forever where it doesn't say. */
  readonly seconds: number | undefined;
  /** After the first message of a wait: how long to collect more of a burst. */
  readonly burst: number;
}

/** The agent's unread messages, oldest first. Moves no watermark: that follows once they were delivered (`acknowledge`). */
export async function read(bus: Bus, reading: ReadRequest, signal: AbortSignal): Promise<readonly Message[]> {
  const look = () => lookForUnread(bus, reading);
  if (!reading.wait) return (await look()) ?? [];
  const milliseconds = reading.seconds === undefined ? undefined : reading.seconds * 1_000;
  for await (const first of waiting({ wakeup: bus.wakeup, topic: reading.channel, signal, milliseconds }, look)) {
    return reading.burst > 0 ? await collectBurst(bus, reading, signal) : first;
  }
  return [];
}

async function lookForUnread(bus: Bus, reading: ReadRequest): Promise<readonly Message[] | undefined> {
  const { channel, agent, others, peek } = reading;
  const limit = Math.min(reading.limit ?? BATCH_MESSAGES, BATCH_MESSAGES);
  const unread = await bus.store.messages.unread(channel, agent, { limit, others });
  if (unread.length > 0) return await toReaderMessages(bus, unread);
  if (others && !peek) await bus.store.messages.skipOwn(channel, agent);
  return undefined;
}

async function collectBurst(bus: Bus, reading: ReadRequest, signal: AbortSignal): Promise<readonly Message[]> {
  using bell = bus.wakeup.arm(reading.channel);
  for (let left = reading.burst * 1_000, end = monotonicMs() + left; left > 0 && !signal.aborted; ) {
    await bell.rung(signal, left);
    left = end - monotonicMs();
  }
  return (await lookForUnread(bus, reading)) ?? [];
}

export interface HistoryRequest {
  readonly channel: string;
  readonly since: number;
  readonly limit: number;
  /** How long to wait while there is nothing; not at all where it doesn't say. */
  readonly seconds: number | undefined;
}

/** The first messages after an id, whoever has read them. Consumes none. */
export async function messagesAfter(
  bus: Bus,
  { channel, since, limit, seconds }: HistoryRequest,
  signal: AbortSignal,
): Promise<readonly StoredMessage[]> {
  const look = async () => {
    const found = await bus.store.messages.after(channel, since, limit);
    return found.length > 0 ? found : undefined;
  };
  if (seconds === undefined) return (await look()) ?? [];
  const milliseconds = seconds * 1_000;
  for await (const found of waiting({ wakeup: bus.wakeup, topic: channel, signal, milliseconds }, look)) return found;
  return [];
}

/** The agent has what came up to `id`. */
export async function acknowledge(bus: Bus, channel: string, agent: string, id: number): Promise<number> {
  const watermark = await bus.store.messages.advance(channel, agent, id);
  bus.wakeup.ring(watermarkTopic(channel));
  bus.wakeup.ring(ANY_CHANGE);
  return watermark;
}

export interface FollowRequest {
  readonly channel: string;
  readonly agent: string;
  readonly others: boolean;
  /** Begin after this id instead of at the agent's watermark. */
  readonly since: number | undefined;
}

/** Each message after the watermark, then each new one as it comes, until the signal aborts. Moves no watermark. */
export async function* follow(
  bus: Bus,
  following: FollowRequest,
  signal: AbortSignal,
): AsyncGenerator<Message, void, void> {
  const { channel, agent, others } = following;
  let position = following.since ?? (await bus.store.messages.watermark(channel, agent));
  const look = async () => {
    const next = await bus.store.messages.after(channel, position, 100);
    return next.length > 0 ? next : undefined;
  };
  for await (const batch of waiting({ wakeup: bus.wakeup, topic: channel, signal }, look)) {
    for (const message of await toReaderMessages(bus, batch)) {
      position = message.id;
      if (!(others && message.sender === agent)) yield message;
    }
  }
}

/** Messages as their readers get them. */
export async function toReaderMessages(bus: Bus, messages: readonly StoredMessage[]): Promise<readonly Message[]> {
  const since = messages.some(({ signature }) => signature !== "") ? await verifiedSince(bus) : 0;
  return messages.map(({ id, sender, content, timestamp, signature, attested }) => ({
    id,
    sender,
    content,
    timestamp,
    ...(signature === "" || timestamp < since ? {} : { signed: true }),
    ...(attested ? { attested: true } : {}),
  }));
}

/** From when on every signature was verified: in open mode there was no key to do it with, and anybody could write one. */
async function verifiedSince(bus: Bus): Promise<number> {
  return (await bus.store.agents.firstOperator())?.createdAt ?? 0;
}

/** Who has consumed a message, as the watermarks say. */
export interface Receipts {
  readonly id: number;
  readonly channel: string;
  readonly sender: string;
  readonly read_by: readonly string[];
  /** Those who read the channel and haven't come so far. */
  readonly unread_by: readonly string[];
}

export async function getReceipts(bus: Bus, id: number): Promise<Receipts> {
  const message = await bus.store.messages.find(id);
  if (message === undefined) throw notFound(`There is no message ${id}`);
  const { channel, sender } = message;
  const readers = await bus.store.messages.readers(channel);
  return {
    id,
    channel,
    sender,
    read_by: readers.filter(({ lastId }) => lastId >= id).map(({ agent }) => agent),
    unread_by: readers.filter(({ lastId }) => lastId < id).map(({ agent }) => agent),
  };
}

/** The receipts as soon as the agent has consumed the message; as they are when the time is up. */
export async function waitUntilRead(
  bus: Bus,
  { id, agent, seconds }: { id: number; agent: string; seconds: number | undefined },
  signal: AbortSignal,
): Promise<Receipts> {
  const { channel } = await getReceipts(bus, id);
  const look = async () => {
    const now = await getReceipts(bus, id);
    return now.read_by.includes(agent) ? now : undefined;
  };
  const milliseconds = seconds === undefined ? undefined : seconds * 1_000;
  for await (const read of waiting({ wakeup: bus.wakeup, topic: watermarkTopic(channel), signal, milliseconds }, look))
    return read;
  return getReceipts(bus, id);
}

/** What shows who wrote something: a signature that the bus has checked, or a token of the writer, for which it vouches. */
export type Proof = "verified" | "attested";

/** Tells what proves a message's sender. Nothing does in open mode, nor for what was sent before the bus had an operator. */
export async function createProofLookup(bus: Bus): Promise<(message: StoredMessage) => Proof | undefined> {
  const operator = await bus.store.agents.firstOperator();
  return ({ signature, attested, timestamp }) => {
    if (operator === undefined || timestamp < operator.createdAt) return undefined;
    if (signature !== "") return "verified";
    return attested ? "attested" : undefined;
  };
}

/** The registered agent behind a session that did something, where its token shows that. */
export async function agentOfSession(bus: Bus, peer: string | null): Promise<string | undefined> {
  const found = peer === null ? undefined : await bus.store.sessions.find(peer);
  return found?.agent ?? undefined;
}
