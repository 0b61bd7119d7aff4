import { BATCH_BYTES } from "../../core/limits.ts";
import type { Envelope, MessageStore, StoredMessage } from "../../core/store.ts";
import { fieldsOf, textIn } from "./fields.ts";
import { messagesAfter, senderIn, timestampIn } from "./message-stream.ts";
import { countOf, scan } from "./scan.ts";
import type { Stored, Streams } from "./streams.ts";
import type { Watermarks } from "./watermarks.ts";

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
