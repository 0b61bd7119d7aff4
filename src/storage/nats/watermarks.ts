import type { MessageStore, Watermark } from "../../core/store.ts";
import { fieldsOf, jsonOf, numberIn, textIn } from "./fields.ts";
import { getRecord, putRecord } from "./records.ts";
import { scan } from "./scan.ts";
import type { Streams } from "./streams.ts";

export interface Watermarks extends Pick<MessageStore, "advance" | "readers"> {
  readonly get: MessageStore["watermark"];
  readonly furthest: MessageStore["watermarks"];
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
      const readers: Watermark[] = [];
      const range = { subject: names.watermarksOf(channel), from: 1, lastOnly: true };
      for await (const { data } of scan(streams, "readers", range)) readers.push(asWatermark(data));
      return readers.map(({ agent, lastId }) => ({ agent, lastId })).sort((a, b) => (a.agent < b.agent ? -1 : 1));
    },

    furthest: createFurthest(streams),
  };
}

/** Who watches asks every second, and a watermark is never removed: so all are read once, and then those that have moved. */
function createFurthest(streams: Streams): MessageStore["watermarks"] {
  const { names } = streams;
  let known = new Map<string, Watermark>();
  let upTo = 0;

  return async (limit) => {
    const newest = await streams.lastSeq("readers");
    // A stream that is younger than what was known of it was made anew.
    if (newest < upTo) [known, upTo] = [new Map(), 0];
    if (newest > upTo) {
      const range = { subject: names.everyWatermark, from: upTo + 1, lastOnly: upTo === 0 };
      for await (const { subject, data } of scan(streams, "readers", range)) {
        const found = asWatermark(data);
        if (found.lastId > (known.get(subject)?.lastId ?? 0)) known.set(subject, found);
      }
      upTo = newest;
    }
    return [...known.values()].sort((a, b) => b.lastId - a.lastId).slice(0, limit);
  };
}

export function asWatermark(data: Uint8Array): Watermark {
  const said = fieldsOf(jsonOf(data));
  return { channel: textIn(said, "channel"), agent: textIn(said, "agent"), lastId: numberIn(said, "lastId") };
}
