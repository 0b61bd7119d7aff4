import type { MessageStore } from "../../core/store.ts";
import { timestampIn } from "./message-stream.ts";
import { scan } from "./scan.ts";
import type { Streams } from "./streams.ts";
import type { Watermarks } from "./watermarks.ts";

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
