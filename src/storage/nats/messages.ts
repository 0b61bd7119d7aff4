import { nuid } from "@nats-io/transport-node";
import { BATCH_BYTES } from "../../core/limits.ts";
import { isOwnMailbox } from "../../core/names.ts";
import type { ChannelSummary, Envelope, MessageStore, NewMessage, Store, StoredMessage } from "../../core/store.ts";
import { createNonces } from "./agents.ts";
import type { StreamKind } from "./names.ts";
import { envelopeOf, readMessage, writeMessage } from "./records.ts";
import { countMessages, scan, scanLast } from "./scan.ts";
import type { Published, Stored, Streams } from "./streams.ts";

/** `headers` go into the message's header beside ours. */
export async function appendMessage(
  streams: Streams,
  message: NewMessage,
  id: string,
  headers: object = {},
): Promise<Exclude<Published, "conflict">> {
  const publication = { id, fields: { ...writeMessage(message), ...headers }, data: message.content };
  const published = await streams.publish("messages", streams.names.message(message.channel), publication);
  if (published === "conflict") throw new Error("a message that expects nothing met a conflict");
  return published;
}

export async function* messagesAfter(
  streams: Streams,
  subject: string,
  id: number,
  enough = 1_000,
): AsyncGenerator<StoredMessage> {
  if (id >= Number.MAX_SAFE_INTEGER) return;
  for await (const found of scan(streams, "messages", { subject, from: id + 1, enough })) yield readMessage(found);
}

export async function* messagesBetween(
  streams: Streams,
  subject: string,
  after: number,
  upTo: number,
  enough?: number,
) {
  for await (const message of messagesAfter(streams, subject, after, enough)) {
    if (message.id <= upTo) yield message;
    if (message.id >= upTo) return;
  }
}

/** Collects up to `limit` messages and a batch's bytes, but at least one. */
export async function collect(
  found: AsyncIterable<StoredMessage>,
  limit: number,
  isWanted: (message: StoredMessage) => boolean = () => true,
): Promise<readonly StoredMessage[]> {
  const messages: StoredMessage[] = [];
  let bytes = 0;
  if (limit <= 0) return messages;
  for await (const message of found) {
    if (!isWanted(message)) continue;
    bytes += Buffer.byteLength(message.content);
    if (messages.length > 0 && bytes > BATCH_BYTES) break;
    messages.push(message);
    if (messages.length === limit) break;
  }
  return messages;
}

export interface Watermarks extends Pick<MessageStore, "advance" | "readers"> {
  readonly get: MessageStore["watermark"];
  readonly furthest: MessageStore["watermarks"];
  /** The messages of a mailbox that have arrived though the watermark hasn't passed them. */
  arrived(mailbox: string): Promise<ReadonlySet<number>>;
}

const NONE: ReadonlySet<number> = new Set();

/** One stream holds all channels, a subject each; a message's id is its sequence there. */
export function createMessageStore(streams: Streams, watermarks: Watermarks): MessageStore {
  const { names } = streams;
  const nonces = createNonces(streams);

  const after = (channel: string, id: number, limit: number) =>
    messagesAfter(streams, names.message(channel), id, limit);

  /** Messages may arrive out of order in an agent's own mailbox. */
  const arrivedOf = async (channel: string, agent: string): Promise<ReadonlySet<number>> =>
    isOwnMailbox(channel, agent) ? watermarks.arrived(channel) : NONE;

  return {
    async append(message, request) {
      if (request === undefined) {
        const { seq } = await appendMessage(streams, message, nuid.next());
        return { outcome: "done", id: seq };
      }
      const claim = await nonces.claim(request);
      if (claim === "clash") return { outcome: "clash", id: 0 };
      if (claim.result !== undefined) return { outcome: "repeated", id: claim.result };
      // After a crash between these steps another process repeats them, and the stream recognises the id.
      const { seq, repeated } = await appendMessage(streams, message, claim.id);
      await nonces.settle(claim, seq);
      return { outcome: repeated ? "repeated" : "done", id: seq };
    },

    async unread(channel, agent, { limit, others }) {
      const arrived = await arrivedOf(channel, agent);
      const found = after(channel, await watermarks.get(channel, agent), limit);
      return collect(found, limit, ({ id, sender }) => !arrived.has(id) && (!others || sender !== agent));
    },

    after: (channel, id, limit) => collect(after(channel, id, limit), limit),

    watermark: watermarks.get,
    advance: watermarks.advance,
    readers: watermarks.readers,
    watermarks: watermarks.furthest,

    async skipOwn(channel, agent) {
      const from = await watermarks.get(channel, agent);
      let to = from;
      const range = { subject: names.message(channel), from: from + 1, headersOnly: true };
      for await (const found of scan(streams, "messages", range)) {
        if (envelopeOf(found).sender !== agent) break;
        to = found.seq;
      }
      if (to > from) await watermarks.advance(channel, agent, to);
    },

    async pending(channel, agent) {
      const arrived = await arrivedOf(channel, agent);
      const subject = names.message(channel);
      const from = (await watermarks.get(channel, agent)) + 1;
      const count = await countMessages(streams, "messages", { subject, from });
      if (count === 0 || arrived.size === 0) return count;
      // Messages that were pruned may still be among the arrived.
      const first = (await streams.next("messages", subject, from))?.seq ?? 0;
      return Math.max(0, count - [...arrived].filter((id) => id >= first).length);
    },

    async find(id) {
      if (!Number.isSafeInteger(id) || id < 1) return undefined;
      const found = await streams.at("messages", id);
      return found && readMessage(found);
    },

    lastId: async () => (await streams.last("messages", names.everyMessage))?.seq ?? 0,

    allAfter: (id, limit) => collect(messagesAfter(streams, names.everyMessage, id, limit), limit),

    ...createOverview(streams),

    ...createPruning(streams, watermarks),

    channels: () => listChannels(streams),
  };
}

/** The server counts each subject's messages and knows its last one, so only the last of each is read. */
async function listChannels(streams: Streams): Promise<readonly ChannelSummary[]> {
  const subject = streams.names.everyMessage;
  const counts = await streams.counts("messages", subject);
  const channels: ChannelSummary[] = [];
  const subjects = Object.keys(counts);
  for await (const last of scanLast(streams, "messages", subject, { subjects, headersOnly: true })) {
    const { channel, timestamp } = envelopeOf(last);
    channels.push({ channel, count: counts[last.subject] ?? 1, lastMessage: timestamp });
  }
  return channels.sort((a, b) => b.lastMessage - a.lastMessage || (a.channel < b.channel ? -1 : 1));
}

/** Clocks differ: a message may be this much younger than the one stored after it. */
const CLOCK_SECONDS = 60;

function createOverview(streams: Streams): Pick<MessageStore, "before" | "recent" | "count"> {
  const { names } = streams;
  return {
    async before(channel, id, limit) {
      const subject = names.message(channel);
      const last: Stored[] = [];
      let bytes = 0;
      for await (const found of backwards(streams, subject, id, limit)) {
        bytes += found.bytes;
        if (last.length > 0 && bytes > BATCH_BYTES) break;
        last.push(found);
        if (last.length === limit) break;
      }
      const [first, newest] = [last.at(-1), last[0]];
      if (first === undefined || newest === undefined) return [];
      return Array.fromAsync(messagesBetween(streams, subject, first.seq - 1, newest.seq, last.length));
    },

    async recent(since, limit) {
      const envelopes: Envelope[] = [];
      let read = 0;
      for await (const found of backwards(streams, names.everyMessage, Number.MAX_SAFE_INTEGER, limit)) {
        const envelope = envelopeOf(found);
        if (envelope.timestamp < since - CLOCK_SECONDS) break;
        if (envelope.timestamp >= since) envelopes.push(envelope);
        if (++read === limit) break;
      }
      return envelopes;
    },

    async count(channel, after, upTo, most) {
      const subject = names.message(channel);
      if (upTo <= after) return 0;
      const countAfter = (id: number) => countMessages(streams, "messages", { subject, from: id + 1 });
      const [all, later] = await Promise.all([countAfter(after), countAfter(upTo)]);
      return Math.min(most, Math.max(0, all - later));
    },
  };
}

/**
 * Reads the messages of a subject before an id, newest first, without their data. A stream is only read forwards, so
 * this reads windows, each before the last, and each as wide as `likely` messages probably need.
 */
async function* backwards(streams: Streams, subject: string, before: number, likely: number) {
  if (likely <= 0) return;
  let end = Math.min(before, (await streams.lastSeq("messages")) + 1);
  const first = (await streams.next("messages", subject, 1))?.seq ?? end;
  for (let width = likely; end > first; ) {
    const from = Math.max(first, end - width);
    const found = await readWindow(streams, subject, from, end);
    yield* found.reverse();
    end = from;
    width = found.length === 0 ? width * 4 : Math.min(width * 4, Math.ceil((width * likely) / found.length));
  }
}

async function readWindow(streams: Streams, subject: string, from: number, end: number): Promise<Stored[]> {
  const found: Stored[] = [];
  for await (const one of scan(streams, "messages", { subject, from, headersOnly: true, enough: end - from })) {
    if (one.seq >= end) break;
    found.push(one);
    if (one.seq === end - 1) break;
  }
  return found;
}

function createPruning(streams: Streams, watermarks: Watermarks): Pick<MessageStore, "prunable" | "remove"> {
  const { names } = streams;

  const countOf = async (subject: string): Promise<number> => (await streams.counts("messages", subject))[subject] ?? 0;

  /**
   * Shortens the list of the oldest messages so that `keep` stay behind them, even where others have removed some
   * meanwhile. The count comes last: a message removed before it is counted nowhere.
   */
  const leaveNewest = async (subject: string, oldest: readonly number[], keep: number): Promise<readonly number[]> => {
    if (oldest.length === 0) return oldest;
    const first = (await streams.next("messages", subject, 1))?.seq ?? Number.POSITIVE_INFINITY;
    const behind = (await countOf(subject)) - oldest.filter((seq) => seq >= first).length;
    return oldest.slice(0, Math.max(0, oldest.length - Math.max(0, keep - behind)));
  };

  return {
    async prunable(channel, { before, keep = 0, consumed }) {
      const subject = names.message(channel);
      const [count, readers] = await Promise.all([countOf(subject), watermarks.readers(channel)]);
      const most = count - keep;
      const slowest = readers.length === 0 ? 0 : Math.min(...readers.map(({ lastId }) => lastId));
      const oldest: number[] = [];
      if (most <= 0) return { upTo: 0, count: 0, unconsumed: 0 };
      for await (const found of scan(streams, "messages", { subject, from: 1, headersOnly: true })) {
        if (consumed && found.seq > slowest) break;
        if (before !== undefined && envelopeOf(found).timestamp >= before) break;
        oldest.push(found.seq);
        if (oldest.length === most) break;
      }
      const may = keep === 0 ? oldest : await leaveNewest(subject, oldest, keep);
      return { upTo: may.at(-1) ?? 0, count: may.length, unconsumed: may.filter((seq) => seq > slowest).length };
    },

    async remove(channel, upTo, limit) {
      const subject = names.message(channel);
      for (;;) {
        let [last, count] = [0, 0];
        for await (const { seq } of scan(streams, "messages", { subject, from: 1, headersOnly: true })) {
          if (seq > upTo || count === limit) break;
          last = seq;
          count++;
        }
        if (last === 0) return 0;
        const removed = await streams.purge("messages", subject, last);
        // 0: another process removed these first, and there may be more.
        if (removed > 0) return removed;
      }
    },
  };
}

/** Streams without messages whose changes wake waiters. */
const OTHERS: readonly StreamKind[] = ["readers", "agents", "sessions"];

/** Compares where each stream ends, and reads the channels of new messages. This process's own changes count too. */
export function createChanges(streams: Streams): Store["changes"] {
  const known = new Map<StreamKind, number>();

  const progress = async (kind: StreamKind) => {
    const newest = await streams.lastSeq(kind);
    const before = known.get(kind);
    known.set(kind, newest);
    return { newest, before };
  };

  return async (of) => {
    const [{ newest, before }, ...others] = await Promise.all([
      progress("messages"),
      ...(of === "messages" ? [] : OTHERS.map(progress)),
    ]);
    if (before === undefined || newest < before) return undefined;
    const changed = others.some((other) => other.newest !== other.before);
    return { channels: newest === before ? [] : await channelsBetween(streams, before, newest), others: changed };
  };
}

async function channelsBetween(streams: Streams, from: number, to: number): Promise<readonly string[]> {
  const channels = new Set<string>();
  const range = { subject: streams.names.everyMessage, from: from + 1, headersOnly: true };
  for await (const found of scan(streams, "messages", range)) {
    if (found.seq > to) break;
    channels.add(envelopeOf(found).channel);
  }
  return [...channels];
}
