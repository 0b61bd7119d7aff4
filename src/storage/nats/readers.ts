import type { MailboxStore, MessageStore, StoredMessage, TakeOptions, Watermark } from "../../core/store.ts";
import { type Fields, fieldsOf, jsonOf, numberIn, textIn } from "./fields.ts";
import { batch, messagesAfter } from "./message-stream.ts";
import { type Found, getRecord, putRecord } from "./records.ts";
import { scan } from "./scan.ts";
import type { Streams } from "./streams.ts";

/** Of the messages that were handed out and that the watermark hasn't passed: until when, or that they have arrived. */
export interface Taken {
  readonly leases: ReadonlyMap<number, number>;
  readonly settled: ReadonlySet<number>;
}

/**
 * What a mailbox's record says. Whoever needs the watermark too looks at it afterwards: it moves behind the record, so what
 * this doesn't know to have arrived isn't passed by it.
 */
export async function findTaken(streams: Streams, channel: string): Promise<Found & { readonly taken: Taken }> {
  const found = await getRecord(streams, "readers", streams.names.mailbox(channel));
  return { ...found, taken: takenIn(found.value) };
}

/** Without what the watermark has passed. */
export function since({ leases, settled }: Taken, from: number): Taken {
  return {
    leases: new Map([...leases].filter(([id]) => id > from)),
    settled: new Set([...settled].filter((id) => id > from)),
  };
}

export function takenIn(value: Fields | undefined): Taken {
  const { leases, settled } = fieldsOf(value);
  const pairs = Array.isArray(leases) ? leases.flatMap((pair) => (isPair(pair) ? [pair] : [])) : [];
  return { leases: new Map(pairs), settled: new Set(Array.isArray(settled) ? settled.map(Number) : []) };
}

function isPair(value: unknown): value is readonly [number, number] {
  return Array.isArray(value) && typeof value[0] === "number" && typeof value[1] === "number";
}

type Work<T> = (taken: Taken) => Promise<{ readonly to: Taken | undefined; readonly answer: T }>;

/**
 * A record for each mailbox. The watermark moves behind it, in a step of its own: where that is missing, what has arrived
 * is known from the record, and whoever comes next moves the watermark.
 */
export function createMailboxStore(streams: Streams, watermarks: Watermarks): MailboxStore {
  const { names } = streams;
  const turns = new Map<string, Promise<void>>();

  /** Works a change out on what is there, until nobody else was quicker; undefined changes nothing. */
  const changed = async <T>(channel: string, work: Work<T>): Promise<T> => {
    for (;;) {
      const { taken, ...found } = await findTaken(streams, channel);
      const { to, answer } = await work(taken);
      if (to === undefined) return answer;
      const value = { channel, leases: [...to.leases], settled: [...to.settled] };
      if ((await putRecord(streams, "readers", names.mailbox(channel), value, found)) !== "conflict") return answer;
    }
  };

  /** Who waits in one process is served in the order in which they came. */
  const change = <T>(channel: string, work: Work<T>): Promise<T> => {
    const before = turns.get(channel) ?? Promise.resolve();
    const turn = before.then(() => changed(channel, work));
    const over = turn.then(
      () => {},
      () => {},
    );
    turns.set(channel, over);
    void over.then(() => turns.get(channel) === over && turns.delete(channel));
    return turn;
  };

  /** Those of the ids that are messages of the mailbox. What is leased is one. */
  const mail = async (channel: string, ids: readonly number[], { leases }: Taken): Promise<readonly number[]> => {
    const isMail = async (id: number) =>
      leases.has(id) || (await streams.at("messages", id))?.subject === names.message(channel);
    const are = await Promise.all(ids.map(isMail));
    return ids.filter((_, index) => are[index]);
  };

  /** How far all has arrived. */
  const arrivedUpTo = async (channel: string, from: number, { settled }: Taken): Promise<number> => {
    let to = from;
    const range = { subject: names.message(channel), from: from + 1, headersOnly: true };
    for await (const { seq } of scan(streams, "messages", range)) {
      if (!settled.has(seq)) return seq - 1;
      to = seq;
    }
    return to;
  };

  const follow = async (channel: string, agent: string, from: number, taken: Taken): Promise<number> => {
    if (taken.settled.size === 0) return from;
    const to = await arrivedUpTo(channel, from, taken);
    return to > from ? watermarks.advance(channel, agent, to) : from;
  };

  return {
    take: (channel, agent, taking) =>
      change<readonly StoredMessage[]>(channel, async (found) => {
        const from = await follow(channel, agent, await watermarks.get(channel, agent), found);
        const taken = since(found, from);
        const messages = messagesAfter(streams, names.message(channel), from, taking.limit);
        const free = await batch(messages, taking.limit, ({ id }) => isFree(id, taken, taking));
        return free.length > 0
          ? { to: leased(taken, free, taking), answer: free }
          : { to: withoutLost(taken, taking), answer: free };
      }),

    async settle(channel, agent, ids) {
      const from = await watermarks.get(channel, agent);
      const taken = await change(channel, async (found) => {
        const taken = since(found, from);
        const arrived = await mail(
          channel,
          ids.filter((id) => id > from && !taken.settled.has(id)),
          taken,
        );
        const leases = new Map([...taken.leases].filter(([id]) => !arrived.includes(id)));
        const to = { leases, settled: new Set([...taken.settled, ...arrived]) };
        return { to, answer: to };
      });
      await follow(channel, agent, from, taken);
    },

    release: (channel, ids) =>
      change(channel, async ({ leases, settled }) => {
        const kept = new Map([...leases].filter(([id]) => !ids.includes(id)));
        return { to: kept.size < leases.size ? { leases: kept, settled } : undefined, answer: undefined };
      }),

    async nextFree(channel, agent) {
      const { taken } = await findTaken(streams, channel);
      const { leases } = since(taken, await watermarks.get(channel, agent));
      return leases.size === 0 ? undefined : Math.min(...leases.values());
    },
  };
}

function isFree(id: number, { leases, settled }: Taken, { now }: TakeOptions): boolean {
  return !settled.has(id) && (leases.get(id) ?? 0) <= now;
}

function leased({ leases, settled }: Taken, messages: readonly StoredMessage[], { now, lease }: TakeOptions): Taken {
  const current = new Map([...leases].filter(([, until]) => until > now));
  for (const { id } of messages) current.set(id, now + lease);
  return { leases: current, settled };
}

/** A message whose lease has ended and that is free for nobody is gone: nobody should wait for it. */
function withoutLost({ leases, settled }: Taken, { now }: TakeOptions): Taken | undefined {
  const current = new Map([...leases].filter(([, until]) => until > now));
  return current.size < leases.size ? { leases: current, settled } : undefined;
}

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
