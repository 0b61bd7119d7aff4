import { admit, type Caller, isSecure, visibleTo } from "./access.ts";
import type { Bus } from "./bus.ts";
import { conflict, invalid, notFound, unauthorized } from "./errors.ts";
import { strictBase64 } from "./keys.ts";
import { BATCH_MESSAGES } from "./limits.ts";
import { SECURITY_CHANNEL } from "./security.ts";
import { checkStamp, messageBytes, messageBytesV1, readStamp, requestKeyOf, type StampFields } from "./signature.ts";
import type { ChannelSummary, StoredMessage } from "./store.ts";
import { monotonicMs } from "./time.ts";
import { waitFor, waitForEach, watermarkTopic } from "./waiting.ts";

/** A message as its readers get it. */
export interface Message {
  readonly id: number;
  readonly sender: string;
  readonly content: string;
  readonly timestamp: number;
  /** Its signature was verified. In open mode: it has one, unverified. */
  readonly signed?: true;
  /** The sender showed a token instead of signing. */
  readonly attested?: true;
}

export interface OutgoingMessage extends StampFields {
  readonly channel: string;
  readonly sender: string;
  readonly content: string;
  readonly signature: string | undefined;
}

/** Of a duplicate request, the id is the first message's. */
export async function send(bus: Bus, message: OutgoingMessage, caller: Caller) {
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
  if (outcome === "done") bus.notify(channel);
  return { id, duplicate: outcome === "repeated" };
}

/**
 * Checks the sender's proof: in secure mode a signature or, without one, its token. Open mode has no keys, and only refuses
 * malformed signatures.
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
  const signed = await bus.verifyMessage(signature, v2 ?? messageBytesV1(message), agent.publicKey);
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
  /** Move no watermark, not even over the agent's own messages. */
  readonly peek: boolean;
  readonly wait: boolean;
  /** The longest wait; unbounded without it. */
  readonly seconds: number | undefined;
  /** Seconds to collect more messages after the first one of a wait. */
  readonly burst: number;
}

/** The agent's unread messages, oldest first. `acknowledge` moves the watermark once they are delivered. */
export async function read(bus: Bus, request: ReadRequest, signal: AbortSignal): Promise<readonly Message[]> {
  const look = () => findUnread(bus, request);
  if (!request.wait) return (await look()) ?? [];
  const first = await waitFor(bus, { topic: request.channel, seconds: request.seconds, signal }, look);
  if (first === undefined) return [];
  return request.burst > 0 ? await collectBurst(bus, request, signal) : first;
}

async function findUnread(bus: Bus, request: ReadRequest): Promise<readonly Message[] | undefined> {
  const { channel, agent, others, peek } = request;
  const limit = Math.min(request.limit ?? BATCH_MESSAGES, BATCH_MESSAGES);
  const unread = await bus.store.messages.unread(channel, agent, { limit, others });
  if (unread.length > 0) return await toReaderMessages(bus, unread);
  if (others && !peek) await bus.store.messages.skipOwn(channel, agent);
  return undefined;
}

async function collectBurst(bus: Bus, request: ReadRequest, signal: AbortSignal): Promise<readonly Message[]> {
  using bell = bus.wakeup.arm(request.channel);
  for (let left = request.burst * 1_000, end = monotonicMs() + left; left > 0 && !signal.aborted; ) {
    await bell.wait(signal, left);
    left = end - monotonicMs();
  }
  return (await findUnread(bus, request)) ?? [];
}

/** Moves the agent's watermark to `id`; answers with the new watermark. */
export async function acknowledge(bus: Bus, channel: string, agent: string, id: number): Promise<number> {
  const watermark = await bus.store.messages.advance(channel, agent, id);
  bus.notify(watermarkTopic(channel));
  return watermark;
}

export async function countUnread(
  bus: Bus,
  { channel, agent }: { channel: string; agent: string },
  caller: Caller,
): Promise<number> {
  await admit(bus, "reader", { channel, agent }, caller);
  return bus.store.messages.pending(channel, agent);
}

interface FollowRequest extends Pick<ReadRequest, "channel" | "agent" | "others"> {
  /** Begin after this id instead of at the agent's watermark. */
  readonly since: number | undefined;
}

/** Yields each message after the watermark, then each new one, until the signal aborts. Moves no watermark. */
export async function* follow(
  bus: Bus,
  { channel, agent, others, since }: FollowRequest,
  signal: AbortSignal,
): AsyncGenerator<Message, void, void> {
  let position = since ?? (await bus.store.messages.watermark(channel, agent));
  const look = async () => {
    const next = await bus.store.messages.after(channel, position, 100);
    return next.length > 0 ? next : undefined;
  };
  for await (const batch of waitForEach(bus, { topic: channel, signal }, look)) {
    for (const message of await toReaderMessages(bus, batch)) {
      position = message.id;
      if (!(others && message.sender === agent)) yield message;
    }
  }
}

export async function getChannels(bus: Bus, caller: Caller): Promise<readonly ChannelSummary[]> {
  return visibleTo(caller, await bus.store.messages.channels());
}

/** The first messages after an id, read or not. Consumes none, and waits only with `seconds`. */
export async function messagesAfter(
  bus: Bus,
  { channel, since, limit, seconds }: { channel: string; since: number; limit: number; seconds: number | undefined },
  signal: AbortSignal,
): Promise<readonly StoredMessage[]> {
  const look = async () => {
    const found = await bus.store.messages.after(channel, since, limit);
    return found.length > 0 ? found : undefined;
  };
  const found = seconds === undefined ? await look() : await waitFor(bus, { topic: channel, seconds, signal }, look);
  return found ?? [];
}

/** The last messages before one id and after another, read or not, oldest first. Consumes none. */
export async function messagesBefore(
  bus: Bus,
  { channel, before, since, limit }: { channel: string; before: number; since: number; limit: number },
): Promise<readonly StoredMessage[]> {
  return (await bus.store.messages.before(channel, before, limit)).filter(({ id }) => id > since);
}

/** Proof of a message's author: a verified signature, or a token checked by the bus. */
export type Proof = "verified" | "attested";

/**
 * The proof of a message on a bus whose first operator was seeded at `since`. Older messages, and all in open mode, have
 * none: their signatures were never verified.
 */
function proofOf({ signature, attested, timestamp }: StoredMessage, since: number | undefined): Proof | undefined {
  if (since === undefined || timestamp < since) return undefined;
  if (signature !== "") return "verified";
  return attested ? "attested" : undefined;
}

async function provenSince(bus: Bus): Promise<number | undefined> {
  return (await bus.store.agents.firstOperator())?.createdAt;
}

export async function createProofLookup(bus: Bus): Promise<(message: StoredMessage) => Proof | undefined> {
  const since = await provenSince(bus);
  return (message) => proofOf(message, since);
}

export async function toReaderMessages(bus: Bus, messages: readonly StoredMessage[]): Promise<readonly Message[]> {
  const claimed = messages.some(({ signature, attested }) => signature !== "" || attested);
  const since = claimed ? await provenSince(bus) : undefined;
  return messages.map((message) => {
    const { id, sender, content, timestamp, signature } = message;
    const proof = proofOf(message, since);
    return {
      id,
      sender,
      content,
      timestamp,
      ...(proof === "verified" || (since === undefined && signature !== "") ? { signed: true } : {}),
      ...(proof === "attested" ? { attested: true } : {}),
    };
  });
}

/** The readers that have consumed a message, by their watermarks. */
export interface Receipts {
  readonly id: number;
  readonly channel: string;
  readonly sender: string;
  readonly read_by: readonly string[];
  /** Readers of the channel that haven't consumed it. */
  readonly unread_by: readonly string[];
}

export async function getReceipts(bus: Bus, id: number, caller: Caller): Promise<Receipts> {
  const receipts = await findReceipts(bus, id);
  // Ids are easy to guess: they must reveal nothing about channels that the caller may not read.
  await admit(bus, "reader", { channel: receipts.channel }, caller);
  return receipts;
}

/** The receipts once the agent has consumed the message; as they are when the time is up. */
export async function waitUntilRead(
  bus: Bus,
  { id, agent, seconds }: { id: number; agent: string; seconds: number | undefined },
  caller: Caller,
  signal: AbortSignal,
): Promise<Receipts> {
  const { channel } = await getReceipts(bus, id, caller);
  const look = async () => {
    const receipts = await findReceipts(bus, id);
    return receipts.read_by.includes(agent) ? receipts : undefined;
  };
  const read = await waitFor(bus, { topic: watermarkTopic(channel), seconds, signal }, look);
  return read ?? findReceipts(bus, id);
}

async function findReceipts(bus: Bus, id: number): Promise<Receipts> {
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
