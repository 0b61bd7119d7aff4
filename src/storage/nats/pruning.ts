import type { MessageStore } from "../../core/store.ts";
import { timestampIn } from "./messages.ts";
import { scan } from "./scan.ts";
import type { Streams } from "./streams.ts";
import type { Watermarks } from "./watermarks.ts";

type PruningSteps = Pick<MessageStore, "prunable" | "remove">;

export function createPruning(streams: Streams, watermarks: Watermarks): PruningSteps {
  const { names } = streams;
  return {
    async prunable(channel, { before, keep, consumed }) {
      const subject = names.message(channel);
      const [counts, readers] = await Promise.all([streams.counts("messages", subject), watermarks.readers(channel)]);
      const most = (counts[subject] ?? 0) - (keep ?? 0);
      const slowest = readers.length === 0 ? 0 : Math.min(...readers.map(({ lastId }) => lastId));
      let [upTo, count, unconsumed] = [0, 0, 0];
      if (most <= 0) return { upTo, count, unconsumed };
      for await (const { seq, fields } of scan(streams, "messages", { subject, from: 1, headersOnly: true })) {
        if (consumed && seq > slowest) break;
        if (before !== undefined && timestampIn(fields) >= before) break;
        upTo = seq;
        count++;
        if (seq > slowest) unconsumed++;
        if (count === most) break;
      }
      return { upTo, count, unconsumed };
    },

    async remove(channel, upTo, limit) {
      const subject = names.message(channel);
      let [last, count] = [0, 0];
      for await (const { seq } of scan(streams, "messages", { subject, from: 1, headersOnly: true })) {
        if (seq > upTo || count === limit) break;
        last = seq;
        count++;
      }
      return last === 0 ? 0 : streams.purge("messages", subject, last);
    },
  };
}
