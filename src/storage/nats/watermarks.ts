import type { MessageStore } from "../../core/store.ts";
import { fieldsOf, jsonOf, numberIn, textIn } from "./fields.ts";
import { getRecord, putRecord } from "./records.ts";
import { scan } from "./scan.ts";
import type { Streams } from "./streams.ts";

export interface Watermarks extends Pick<MessageStore, "advance" | "readers"> {
  readonly get: MessageStore["watermark"];
}

/** A record for each agent and channel. */
export function createWatermarks(streams: Streams): Watermarks {
  const { names } = streams;
  return {
    async get(channel, agent) {
      const { value } = await getRecord(streams, "readers", names.watermark(channel, agent));
      return numberIn(fieldsOf(value), "lastId");
    },

    async advance(channel, agent, id) {
      const subject = names.watermark(channel, agent);
      for (;;) {
        const [found, newest] = await Promise.all([
          getRecord(streams, "readers", subject),
          streams.lastSeq("messages"),
        ]);
        const from = numberIn(fieldsOf(found.value), "lastId");
        // An id that isn't there yet would make the agent miss what comes until then.
        const lastId = Math.min(id, newest);
        if (lastId <= from) return from;
        const put = await putRecord(streams, "readers", subject, { agent, channel, lastId }, found);
        if (put !== "conflict") return lastId;
      }
    },

    async readers(channel) {
      const readers: { agent: string; lastId: number }[] = [];
      const range = { subject: names.watermarksOf(channel), from: 1, lastOnly: true };
      for await (const { data } of scan(streams, "readers", range)) {
        const value = fieldsOf(jsonOf(data));
        readers.push({ agent: textIn(value, "agent"), lastId: numberIn(value, "lastId") });
      }
      return readers.sort((a, b) => (a.agent < b.agent ? -1 : 1));
    },
  };
}
