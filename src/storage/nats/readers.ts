import type { MailboxStore, MessageStore, StoredMessage, TakeOptions, Watermark } from "../../core/store.ts";
import { collect, messagesAfter, type Watermarks } from "./messages.ts";
import {
  type Found,
  fieldsOf,
  getRecord,
  type Leases,
  numberIn,
  putRecord,
  readLeases,
  readWatermark,
  writeLeases,
} from "./records.ts";
import { scan, scanLast } from "./scan.ts";
import type { Streams } from "./streams.ts";

/** A record for each agent and channel. */
export function createWatermarks(streams: Streams): Watermarks {
  const { names } = streams;
  return {
    async get(channel, agent) {
      const { value } = await getRecord(streams, "readers", names.record("watermarks", channel, agent));
      return numberIn(fieldsOf(value), "lastId");
    },

    async advance(channel, agent, id) {
      const subject = names.record("watermarks", channel, agent);
      for (;;) {
        const record = getRecord(streams, "readers", subject);
        const [found, newest] = await Promise.all([record, streams.lastSeq("messages")]);
        const from = numberIn(fieldsOf(found.value), "lastId");
        // Past the newest message, the agent would miss those still to come.
        const lastId = Math.min(id, newest);
        if (lastId <= from) return from;
        const put = await putRecord(streams, "readers", subject, { agent, channel, lastId }, found);
        if (put !== "conflict") return lastId;
      }
    },

    async readers(channel) {
      const found = await Array.fromAsync(scanLast(streams, "readers", names.watermarksOf(channel)), readWatermark);
      return found.map(({ agent, lastId }) => ({ agent, lastId })).sort((a, b) => (a.agent < b.agent ? -1 : 1));
    },

    furthest: createFurthest(streams),

    arrived: async (mailbox) => (await findLeases(streams, mailbox)).leases.arrived,
  };
}

/** Dashboards ask every second, and no watermark is removed: so all are read once, and later only the moved ones. */
function createFurthest(streams: Streams): MessageStore["watermarks"] {
  const { names } = streams;
  const known = new Map<string, Watermark>();
  let upTo = 0;

  return async (limit) => {
    const newest = await streams.lastSeq("readers");
    if (newest < upTo) {
      // The stream was removed, and another process has made it again.
      known.clear();
      upTo = 0;
    }
    if (newest > upTo) {
      const subject = names.everyRecord("watermarks");
      const moved =
        upTo === 0 ? scanLast(streams, "readers", subject) : scan(streams, "readers", { subject, from: upTo + 1 });
      for await (const found of moved) {
        const watermark = readWatermark(found);
        if (watermark.lastId > (known.get(found.subject)?.lastId ?? 0)) known.set(found.subject, watermark);
      }
      upTo = newest;
    }
    return [...known.values()].sort((a, b) => b.lastId - a.lastId).slice(0, limit);
  };
}

/**
 * A mailbox's leases. Read the watermark after them, if at all: it moves after the record, so it never passes a message
 * that these don't know to have arrived.
 */
async function findLeases(streams: Streams, channel: string): Promise<Found & { readonly leases: Leases }> {
  const found = await getRecord(streams, "readers", streams.names.record("arrived", channel));
  return { ...found, leases: readLeases(found.value) };
}

/** Works out new leases from those that are stored; `to` is undefined where nothing changes. */
type Change<T> = (leases: Leases) => Promise<{ readonly to: Leases | undefined; readonly answer: T }>;

/**
 * A record for each mailbox. The watermark moves in a later step of its own: after a crash in between, the record says
 * what has arrived, and the next reader moves the watermark.
 */
export function createMailboxStore(streams: Streams, watermarks: Watermarks): MailboxStore {
  const { names } = streams;
  const inTurn = createTurns();

  /** Repeats a change until no other process came first. Calls in this process keep their order. */
  const update = <T>(channel: string, change: Change<T>): Promise<T> =>
    inTurn(channel, async () => {
      for (;;) {
        const { leases, ...found } = await findLeases(streams, channel);
        const { to, answer } = await change(leases);
        if (to === undefined) return answer;
        const value = writeLeases(channel, to);
        if ((await putRecord(streams, "readers", names.record("arrived", channel), value, found)) !== "conflict")
          return answer;
      }
    });

  /** Keeps the ids that are messages of the mailbox. */
  const onlyMail = async (channel: string, ids: readonly number[], { ends }: Leases): Promise<readonly number[]> => {
    const isMail = async (id: number) =>
      ends.has(id) || (await streams.at("messages", id))?.subject === names.message(channel);
    const found = await Promise.all(ids.map(isMail));
    return ids.filter((_, index) => found[index]);
  };

  /** The last message up to which all have arrived. */
  const arrivedUpTo = async (channel: string, from: number, { arrived }: Leases): Promise<number> => {
    let to = from;
    const range = { subject: names.message(channel), from: from + 1, headersOnly: true };
    for await (const { seq } of scan(streams, "messages", range)) {
      if (!arrived.has(seq)) return seq - 1;
      to = seq;
    }
    return to;
  };

  const moveWatermark = async (channel: string, agent: string, from: number, leases: Leases): Promise<number> => {
    if (leases.arrived.size === 0) return from;
    const to = await arrivedUpTo(channel, from, leases);
    return to > from ? watermarks.advance(channel, agent, to) : from;
  };

  return {
    take: (channel, agent, options) =>
      update<readonly StoredMessage[]>(channel, async (found) => {
        const from = await moveWatermark(channel, agent, await watermarks.get(channel, agent), found);
        const leases = leasesAfter(found, from);
        const messages = messagesAfter(streams, names.message(channel), from, options.limit);
        const free = await collect(messages, options.limit, ({ id }) => isFree(id, leases, options));
        return { to: lease(leases, free, options), answer: free };
      }),

    async settle(channel, agent, ids) {
      const from = await watermarks.get(channel, agent);
      const leases = await update(channel, async (found) => {
        const current = leasesAfter(found, from);
        const open = ids.filter((id) => id > from && !current.arrived.has(id));
        const arrived = await onlyMail(channel, open, current);
        if (arrived.length === 0) return { to: undefined, answer: current };
        const ends = new Map([...current.ends].filter(([id]) => !arrived.includes(id)));
        const to = { ends, arrived: new Set([...current.arrived, ...arrived]) };
        return { to, answer: to };
      });
      await moveWatermark(channel, agent, from, leases);
    },

    release: (channel, ids) =>
      update(channel, async ({ ends, arrived }) => {
        const kept = new Map([...ends].filter(([id]) => !ids.includes(id)));
        return { to: kept.size < ends.size ? { ends: kept, arrived } : undefined, answer: undefined };
      }),

    async nextFree(channel, agent) {
      const { leases } = await findLeases(streams, channel);
      const { ends } = leasesAfter(leases, await watermarks.get(channel, agent));
      return ends.size === 0 ? undefined : Math.min(...ends.values());
    },
  };
}

/** Runs each key's tasks one after the other. */
function createTurns(): <T>(key: string, task: () => Promise<T>) => Promise<T> {
  const turns = new Map<string, Promise<unknown>>();
  return (key, task) => {
    const turn = (turns.get(key) ?? Promise.resolve()).then(task);
    const over = turn.catch(() => {}).finally(() => turns.get(key) === over && turns.delete(key));
    turns.set(key, over);
    return turn;
  };
}

/** Leaves out messages that the watermark has passed. */
function leasesAfter({ ends, arrived }: Leases, from: number): Leases {
  return {
    ends: new Map([...ends].filter(([id]) => id > from)),
    arrived: new Set([...arrived].filter((id) => id > from)),
  };
}

function isFree(id: number, { ends, arrived }: Leases, { now }: TakeOptions): boolean {
  return !arrived.has(id) && (ends.get(id) ?? 0) <= now;
}

/**
 * Leases these messages; undefined where nothing changes. Drops older leases that have ended: their messages are either
 * leased here or were removed, and nobody should wait for a removed one.
 */
function lease(
  { ends, arrived }: Leases,
  messages: readonly StoredMessage[],
  { now, lease }: TakeOptions,
): Leases | undefined {
  const current = new Map([...ends].filter(([, end]) => end > now));
  if (messages.length === 0 && current.size === ends.size) return undefined;
  for (const { id } of messages) current.set(id, now + lease);
  return { ends: current, arrived };
}
