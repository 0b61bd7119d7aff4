import { nuid } from "@nats-io/transport-node";
import { isOwnMailbox } from "../../core/names.ts";
import type { ChannelSummary, MessageStore } from "../../core/store.ts";
import { fieldsOf, numberIn, textIn } from "./fields.ts";
import { appendMessage, asMessage, batch, messagesAfter, senderIn } from "./message-stream.ts";
import { createNonces } from "./nonces.ts";
import { createOverview } from "./overview.ts";
import { createPruning } from "./pruning.ts";
import { countOf, scan } from "./scan.ts";
import type { Streams } from "./streams.ts";
import { findTaken } from "./taken.ts";
import type { Watermarks } from "./watermarks.ts";

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

    everyAfter: (id, limit) => batch(messagesAfter(streams, names.everyMessage, id, limit), limit),

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
