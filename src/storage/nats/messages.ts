import { nuid } from "@nats-io/transport-node";
import { BATCH_BYTES } from "../../core/limits.ts";
import { isOwnMailbox } from "../../core/names.ts";
import type { ChannelSummary, Envelope, MessageStore, StoredMessage } from "../../core/store.ts";
import { createNonces } from "./agents.ts";
import { fieldsOf, numberIn, textIn } from "./fields.ts";
import { appendMessage, asMessage, batch, messagesAfter, senderIn, timestampIn } from "./message-stream.ts";
import { findTaken, type Watermarks } from "./readers.ts";
import { countOf, scan } from "./scan.ts";
import type { Stored, Streams } from "./streams.ts";

/** Clocks differ: a message may be a little younger than the one that came after it. */
const CLOCK_SECONDS = 60;

type Overview = Pick<MessageStore, "before" | "recent" | "count" | "watermarks">;

/** What those ask who watch the whole bus. */
export function createOverview(streams: Streams, watermarks: Watermarks): Overview {
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
      const messages: StoredMessage[] = [];
      if (first === undefined || newest === undefined) return messages;
      for await (const message of messagesAfter(streams, subject, first.seq - 1, last.length)) {
        if (message.id <= newest.seq) messages.push(message);
        if (message.id >= newest.seq) break;
      }
      return messages;
    },

    async recent(since, limit) {
      const found: Envelope[] = [];
      let looked = 0;
      for await (const { seq, fields } of backwards(streams, names.everyMessage, Number.MAX_SAFE_INTEGER, limit)) {
        const timestamp = timestampIn(fields);
        if (timestamp < since - CLOCK_SECONDS) break;
        const channel = textIn(fieldsOf(fields), "channel");
        if (timestamp >= since) found.push({ id: seq, channel, sender: senderIn(fields), timestamp });
        if (++looked === limit) break;
      }
      return found;
    },

    async count(channel, after, upTo, most) {
      const subject = names.message(channel);
      if (upTo <= after) return 0;
      const countAfter = (id: number) => countOf(streams, "messages", { subject, from: id + 1 });
      const [all, later] = await Promise.all([countAfter(after), countAfter(upTo)]);
      return Math.min(most, Math.max(0, all - later));
    },

    watermarks: watermarks.furthest,
  };
}

/**
 * The messages of a subject before an id, newest first, without what they hold. A stream can only be read forwards: so it is
 * read in windows, each before the last, and as wide as it likely takes for so many to lie in it.
 */
async function* backwards(
  streams: Streams,
  subject: string,
  before: number,
  likely: number,
): AsyncGenerator<Stored, void, void> {
  if (likely <= 0) return;
  let end = Math.min(before, (await streams.lastSeq("messages")) + 1);
  const first = (await streams.next("messages", subject, 1))?.seq ?? end;
  for (let width = likely; end > first; ) {
    const from = Math.max(first, end - width);
    const found = await window(streams, subject, from, end);
    yield* found.reverse();
    end = from;
    width = found.length === 0 ? width * 4 : Math.min(width * 4, Math.ceil((width * likely) / found.length));
  }
}

async function window(streams: Streams, subject: string, from: number, end: number): Promise<Stored[]> {
  const found: Stored[] = [];
  for await (const one of scan(streams, "messages", { subject, from, headersOnly: true, enough: end - from })) {
    if (one.seq >= end) break;
    found.push(one);
    if (one.seq === end - 1) break;
  }
  return found;
}

type PruningSteps = Pick<MessageStore, "prunable" | "remove">;

export function createPruning(streams: Streams, watermarks: Watermarks): PruningSteps {
  const { names } = streams;

  const countOf = async (subject: string): Promise<number> => (await streams.counts("messages", subject))[subject] ?? 0;

  /**
   * Of the oldest of a subject those that leave so many behind them. Others may have removed some while they were looked
   * at, and then they reach too far. What is there now is counted last: nothing that is removed before that counts twice.
   */
  const leaving = async (subject: string, oldest: readonly number[], keep: number): Promise<readonly number[]> => {
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
      for await (const { seq, fields } of scan(streams, "messages", { subject, from: 1, headersOnly: true })) {
        if (consumed && seq > slowest) break;
        if (before !== undefined && timestampIn(fields) >= before) break;
        oldest.push(seq);
        if (oldest.length === most) break;
      }
      const may = keep === 0 ? oldest : await leaving(subject, oldest, keep);
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
        // Where somebody else was quicker there may be more behind those.
        if (removed > 0) return removed;
      }
    },
  };
}

const NONE: ReadonlySet<number> = new Set();

/** One stream of all channels, a subject each; a message's id is its sequence there. */
export function createMessageStore(streams: Streams, watermarks: Watermarks): MessageStore {
  const { names } = streams;
  const nonces = createNonces(streams);

  const after = (channel: string, id: number, limit: number) =>
    messagesAfter(streams, names.message(channel), id, limit);

  /** In one's own mailbox messages may arrive in another order than they came in. */
  const arrivedOf = async (channel: string, agent: string): Promise<ReadonlySet<number>> =>
    isOwnMailbox(channel, agent) ? (await findTaken(streams, channel)).taken.settled : NONE;

  return {
    async append(message, once) {
      if (once === undefined) return { outcome: "done", id: (await appendMessage(streams, message, nuid.next())).seq };
      const claim = await nonces.claim(once);
      if (claim === "clash") return { outcome: "clash", id: 0 };
      if (claim.result !== undefined) return { outcome: "repeated", id: claim.result };
      // Whoever comes after a crash between these steps does them once more, under the same id.
      const { seq, repeated } = await appendMessage(streams, message, claim.id);
      await nonces.settle(claim, seq);
      return { outcome: repeated ? "repeated" : "done", id: seq };
    },

    async unread(channel, agent, { limit, others }) {
      const arrived = await arrivedOf(channel, agent);
      const found = after(channel, await watermarks.get(channel, agent), limit);
      return batch(found, limit, ({ id, sender }) => !arrived.has(id) && (!others || sender !== agent));
    },

    after: (channel, id, limit) => batch(after(channel, id, limit), limit),

    watermark: watermarks.get,
    advance: watermarks.advance,
    readers: watermarks.readers,

    async skipOwn(channel, agent) {
      const from = await watermarks.get(channel, agent);
      let to = from;
      const range = { subject: names.message(channel), from: from + 1, headersOnly: true };
      for await (const { seq, fields } of scan(streams, "messages", range)) {
        if (senderIn(fields) !== agent) break;
        to = seq;
      }
      if (to > from) await watermarks.advance(channel, agent, to);
    },

    async pending(channel, agent) {
      const arrived = await arrivedOf(channel, agent);
      const subject = names.message(channel);
      const from = (await watermarks.get(channel, agent)) + 1;
      const count = await countOf(streams, "messages", { subject, from });
      if (count === 0 || arrived.size === 0) return count;
      // Of what was pruned it may be known still that it has arrived.
      const first = (await streams.next("messages", subject, from))?.seq ?? 0;
      return Math.max(0, count - [...arrived].filter((id) => id >= first).length);
    },

    async find(id) {
      if (!Number.isSafeInteger(id) || id < 1) return undefined;
      const found = await streams.at("messages", id);
      return found && asMessage(found);
    },

    lastId: async () => (await streams.last("messages", names.everyMessage))?.seq ?? 0,

    allAfter: (id, limit) => batch(messagesAfter(streams, names.everyMessage, id, limit), limit),

    ...createOverview(streams, watermarks),

    ...createPruning(streams, watermarks),

    channels: () => channelsOf(streams),
  };
}

/** The server counts each subject's messages, and keeps where the last one is: no message is read but the last of each. */
async function channelsOf(streams: Streams): Promise<readonly ChannelSummary[]> {
  const subject = streams.names.everyMessage;
  const counts = await streams.counts("messages", subject);
  const channels: ChannelSummary[] = [];
  const range = { subject, subjects: Object.keys(counts), from: 1, lastOnly: true, headersOnly: true };
  for await (const last of scan(streams, "messages", range)) {
    const fields = fieldsOf(last.fields);
    const count = counts[last.subject] ?? 1;
    channels.push({ channel: textIn(fields, "channel"), count, lastMessage: numberIn(fields, "at") });
  }
  return channels.sort((a, b) => b.lastMessage - a.lastMessage || (a.channel < b.channel ? -1 : 1));
}
