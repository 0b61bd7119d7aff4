import { nuid } from "@nats-io/transport-node";
import { IpcError } from "../../core/errors.ts";
import type { JournalEntry } from "../../core/store.ts";
import { monotonicMs } from "../../core/time.ts";
import { type Fields, numberIn, textIn } from "./fields.ts";
import { decodeEvent, encodeEvent, entriesIn, type LogEvent, pack, unpack } from "./log-events.ts";
import { BEGINNING, endOfLog, type Found, getRecord, isInLog, isSame, type Place, putRecord } from "./records.ts";
import { scan } from "./scan.ts";
import { createState, type MutableState, type Snapshot } from "./state.ts";
import type { Streams } from "./streams.ts";

/**
 * All that the log came to at a position, so that who comes doesn't read it from its beginning. One is made by whoever
 * notices that the log behind the last is longer than that was, so both stay in proportion.
 */
export interface Snapshots {
  /** Where the latest one was made. */
  place(): Promise<Place | undefined>;
  latest(): Promise<{ readonly place: Place; readonly snapshot: Snapshot } | undefined>;
  /** Counts an event's bytes; answers whether a snapshot is due. */
  count(bytes: number): boolean;
  take(snapshot: Snapshot, place: Place): Promise<void>;
}

const LEAST_BYTES = 128 * 1024;
const PART_BYTES = 256 * 1024;

/** Events that stay behind a snapshot, for those who watch what changes. */
const KEPT_EVENTS = 20_000;

export function createSnapshots(streams: Streams): Snapshots {
  const { names } = streams;
  const head = names.body("snapshot");
  let since = 0;
  let size = LEAST_BYTES;
  let taking = false;

  const read = async (parts: readonly string[]): Promise<Snapshot | undefined> => {
    const found = await Promise.all(parts.map((name) => streams.last("bodies", names.body(name))));
    const chunks = found.flatMap((part) => (part === undefined ? [] : [part.data]));
    if (chunks.length < parts.length) return undefined;
    const snapshot = unpack(Buffer.concat(chunks));
    if (isSnapshot(snapshot)) return snapshot;
    throw new Error("the snapshot of the sessions is none of el-ipc's");
  };

  const drop = (parts: readonly string[]) =>
    Promise.all(parts.map((name) => streams.purge("bodies", names.body(name)))).then(() => {});

  /** Answers with the names of its parts. Where they can't all be stored, none of them stays. */
  const storeParts = async (bytes: Uint8Array): Promise<readonly string[]> => {
    const most = Math.max(1, Math.min(PART_BYTES, streams.connection.room()));
    const parts: string[] = [];
    try {
      for (let at = 0; at < bytes.length; at += most) {
        const name = nuid.next();
        parts.push(name);
        await streams.publish("bodies", names.body(name), { id: name, data: bytes.subarray(at, at + most) });
      }
    } catch (error) {
      await drop(parts);
      throw error;
    }
    return parts;
  };

  return {
    async place() {
      const { value } = await getRecord(streams, "bodies", head);
      return value && placeIn(value);
    },

    async latest() {
      for (let missed: Found | undefined; ; ) {
        const found = await getRecord(streams, "bodies", head);
        since = 0;
        // Where a part is gone, there is a later one; or else it is as if there were none.
        if (found.value === undefined || found.seq === missed?.seq) return undefined;
        size = Math.max(LEAST_BYTES, numberIn(found.value, "bytes"));
        const snapshot = await read(partsIn(found, "parts"));
        if (snapshot !== undefined) return { place: placeIn(found.value), snapshot };
        missed = found;
      }
    },

    count(bytes) {
      since += bytes;
      return since > size && !taking;
    },

    async take(snapshot, { seq, id }) {
      taking = true;
      since = 0;
      try {
        const bytes = pack(JSON.stringify(snapshot));
        size = Math.max(LEAST_BYTES, bytes.length);
        const parts = await storeParts(bytes);
        const before = await getRecord(streams, "bodies", head);
        const there = before.value && placeIn(before.value);
        // One of more than the log has is no later one.
        const isLater = there !== undefined && there.seq >= seq && (await isInLog(streams, there));
        const former = partsIn(before, "parts");
        const value = { position: seq, id, parts, former, bytes: bytes.length };
        // Where this gets no answer the parts stay: a head that names them may still come to be stored.
        const put = isLater ? "conflict" : await putRecord(streams, "bodies", head, value, before);
        if (put === "conflict") return await drop(parts);
        // Where the last one got no answer, those of the one before may still be there.
        await drop([...former, ...partsIn(before, "former")]);
        await streams.purge("sessions", names.sessions, seq - KEPT_EVENTS);
      } finally {
        taking = false;
      }
    },
  };
}

function placeIn(value: Fields): Place {
  return { seq: numberIn(value, "position"), id: textIn(value, "id") };
}

function partsIn({ value }: Found, which: "parts" | "former"): readonly string[] {
  const parts = value?.[which];
  return Array.isArray(parts) ? parts.map(String) : [];
}

/** As with an event: what is inside is our own. */
function isSnapshot(value: unknown): value is Snapshot {
  return typeof value === "object" && value !== null && "orders" in value && Array.isArray(value.orders);
}

/**
 * What this process knows of the log, and how it came to it. A server that fell may have forgotten its last events, and
 * somebody may have emptied a stream or removed it: then what is known is thrown away, and read again.
 */
export interface Follower {
  readonly state: MutableState;
  /** The last event that the state holds. */
  readonly place: Place;
  /** Whether that was so a moment ago, and can be built on without a look. */
  isSure(): boolean;
  /** Reads what others have stored; answers whether this event was there. */
  catchUp(own?: LogEvent): Promise<boolean>;
  /** Stores an event that the state already holds; answers whether it was the next. */
  store(event: LogEvent): Promise<boolean>;
  /** Begins anew, where the log isn't the one that was read. */
  rejoin(): Promise<void>;
  /** Reads the journal as far back as it goes. */
  recall(): Promise<void>;
}

interface LoggedEvent {
  readonly seq: number;
  readonly event: LogEvent;
  readonly bytes: number;
}

/** No server falls and is there again as quickly. */
const SURE_MS = 1_000;

export function createFollower(streams: Streams, meanwhile: (task: Promise<unknown>) => void): Follower {
  const { names, connection } = streams;
  const state = createState();
  const snapshots = createSnapshots(streams);
  /** Undefined before anything was read. */
  let known: Place | undefined;
  /** The snapshot that it goes back to. */
  let base = BEGINNING;
  let looked = { breaks: 0, at: Number.NEGATIVE_INFINITY };

  const now = () => ({ breaks: connection.breaks(), at: monotonicMs() });
  const isSure = () =>
    known !== undefined && looked.breaks === connection.breaks() && monotonicMs() < looked.at + SURE_MS;

  async function* events(from: number): AsyncGenerator<LoggedEvent, void, void> {
    for await (const { seq, data } of scan(streams, "sessions", { subject: names.sessions, from })) {
      yield { seq, event: decodeEvent(data), bytes: data.byteLength };
    }
  }

  const apply = ({ seq, event, bytes }: LoggedEvent): void => {
    for (const change of event.changes) state.apply(change, event.at);
    known = { seq, id: event.id };
    snapshots.count(bytes);
  };

  /** All that the snapshot comes to, with what follows on it where the log goes on from it at another place. */
  const load = async (): Promise<{ readonly place: Place; readonly isJoined: boolean }> => {
    const found = await snapshots.latest();
    state.restore(found?.snapshot);
    const place = found?.place ?? BEGINNING;
    known = place;
    base = place;
    if (await isInLog(streams, place)) return { place, isJoined: true };
    for await (const next of events(1)) {
      if (next.event.follows !== place.id) continue;
      apply(next);
      return { place, isJoined: true };
    }
    return { place, isJoined: false };
  };

  /** Whether there is a snapshot of more than the log has: whoever is behind it would never come to that. */
  const isOutdone = async (place: Place): Promise<boolean> => {
    const head = await snapshots.place();
    return head !== undefined && head.seq > place.seq && !isSame(head, base) && !(await isInLog(streams, head));
  };

  /** What comes behind a place; undefined where it doesn't follow on it. `byId`: also by whom the first is. */
  const eventsBehind = async (place: Place, byId: boolean): Promise<readonly LoggedEvent[] | undefined> => {
    const came: LoggedEvent[] = [];
    let last = place.seq;
    for await (const found of events(place.seq + 1)) {
      const { after, follows } = found.event;
      if (after !== last || (byId && came.length === 0 && follows !== place.id)) return undefined;
      came.push(found);
      last = found.seq;
    }
    return came;
  };

  const isStored = async ({ id, after }: LogEvent): Promise<boolean> => {
    for await (const { event } of events(after + 1)) if (event.id === id) return true;
    return false;
  };

  const catchUp = async (own?: LogEvent): Promise<boolean> => {
    for (let loaded: Awaited<ReturnType<typeof load>> | undefined; ; ) {
      const begun = now();
      if (known === undefined || (loaded === undefined && !isSure() && (await isOutdone(known)))) {
        const before = loaded;
        loaded = await load();
        if (before !== undefined && isSame(before.place, loaded.place)) throw unreadable(streams, loaded.place.seq);
      }
      const from = known ?? BEGINNING;
      const end = await endOfLog(streams);
      const isShort = end.seq < from.seq || (end.seq === from.seq && end.id !== from.id);
      const isThrough = isSame(end, from) || (isShort && loaded !== undefined);
      const byId = loaded === undefined || !loaded.isJoined;
      const came = isThrough ? [] : isShort ? undefined : await eventsBehind(from, byId);
      if (came === undefined) {
        known = undefined;
        continue;
      }
      for (const one of came) apply(one);
      state.trim();
      looked = begun;
      if (own === undefined) return false;
      // A snapshot may hold it already.
      return loaded === undefined ? came.some(({ event }) => event.id === own.id) : isStored(own);
    }
  };

  const store = async (event: LogEvent, behind = event.after): Promise<boolean> => {
    const data = encodeEvent(event);
    const expect = { lastSubjectSequence: behind };
    const put = await streams.publish("sessions", names.sessions, { id: event.id, data, expect });
    if (put === "conflict") return false;
    const wasSure = isSure();
    const begun = now();
    const before = { seq: event.after, id: event.follows };
    // After a break, or a while, what it was worked out on may be what a server has forgotten meanwhile.
    known = wasSure || (await isInLog(streams, before).catch(() => false)) ? { seq: put.seq, id: event.id } : undefined;
    looked = begun;
    const isDue = snapshots.count(data.byteLength);
    if (isDue && known !== undefined) meanwhile(snapshots.take(state.snapshot(), known));
    state.trim();
    return true;
  };

  return {
    state,
    get place() {
      return known ?? BEGINNING;
    },
    isSure,
    catchUp,
    store,

    /**
     * Where the snapshot holds more than the log, the log goes on from what the snapshot holds: with an event that follows
     * on it, and lies where the log now ends. Of several who do this at once only one comes first.
     */
    async rejoin() {
      const end = await endOfLog(streams);
      known = undefined;
      await catchUp();
      const { seq, id } = known ?? BEGINNING;
      if (await isInLog(streams, { seq, id })) return;
      const event = {
        id: nuid.next(),
        after: seq,
        follows: id,
        entry: state.entry,
        at: Date.now() / 1_000,
        changes: [],
      };
      if (!(await store(event, end.seq))) return;
      await catchUp();
      if (known !== undefined) meanwhile(snapshots.take(state.snapshot(), known));
    },

    async recall() {
      const { entry } = state;
      const older: JournalEntry[] = [];
      for await (const { event } of events(1)) older.push(...entriesIn(event).filter(({ seq }) => seq <= entry));
      state.recall(older);
    },
  };
}

function unreadable({ names }: Streams, seq: number): IpcError {
  const [sessions, bodies] = [names.stream("sessions"), names.stream("bodies")];
  const lost = seq === 0 ? "its first events" : `events behind number ${seq}`;
  const words =
    `the stream ${sessions} has lost ${lost}, and no snapshot holds them: nothing may leave it by age or number. To begin ` +
    `with no peers, orders and signals, remove it and ${bodies}; messages stay`;
  return new IpcError("internal", words);
}
