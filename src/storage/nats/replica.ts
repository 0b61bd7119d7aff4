import { nuid } from "@nats-io/transport-node";
import { IpcError } from "../../core/errors.ts";
import type { JsonObject } from "../../core/json.ts";
import type { JournalEntry } from "../../core/store.ts";
import { monotonicMs } from "../../core/time.ts";
import { type Found, getRecord, numberIn, putRecord, textIn } from "./records.ts";
import { scan } from "./scan.ts";
import {
  decodeEvent,
  decodeSnapshot,
  EMPTY,
  encode,
  entriesIn,
  type LogEvent,
  MutableState,
  type Snapshot,
} from "./state.ts";
import type { Streams } from "./streams.ts";

export type Replica = ReturnType<typeof createReplica>;

/** No server crashes and restarts within this time. */
const CURRENT_MS = 1_000;
/** A leader that was cut off from its cluster may show an old log for some seconds before it notices. */
const GRACE_MS = 12_000;
const PAUSE_MS = 200;

/**
 * The state that the log of sessions adds up to, as far as a position. A replica is in one of three states.
 *
 * - **Unread**: nothing is known, since the replica is new or the log lost its position. `catchUp` loads the latest
 *   snapshot and the events behind it, and the replica becomes current. Where the log lacks the snapshot's event, or has
 *   a gap behind it, something was lost: `catchUp` fails with a sentence, and the replica stays unread.
 * - **Current**: the whole log was known a moment ago, and the connection hasn't broken since. A step may build on it
 *   without a request. It becomes stale after `CURRENT_MS`, or when the connection breaks.
 * - **Stale**: a position is known, and others may have written behind it. Where the log ends at the position or goes on
 *   from it, `catchUp` follows, and the replica becomes current. Where the log ends earlier, has another event at the
 *   position, or goes on from another one, the replica becomes unread, and loads.
 *
 * `store` appends an event. If the log takes it, the position moves; if the replica had become stale by then, a server
 * may have restarted and lost the event before it, and the replica becomes unread. If the log refuses it, nothing
 * changes: another event came first, and `catchUp` reads it. The answer may also be lost, so `catchUp` returns whether
 * an event of ours is in the log nevertheless.
 */
export function createReplica(streams: Streams, inBackground: (task: Promise<unknown>) => void) {
  const { connection } = streams;
  const log = createEventLog(streams);
  const snapshots = createSnapshots(streams, log);
  const state = new MutableState();
  /** Undefined while unread. */
  let position: Position | undefined;
  let checked = { breaks: 0, at: Number.NEGATIVE_INFINITY };

  const now = () => ({ breaks: connection.breaks(), at: monotonicMs() });
  const isCurrent = () =>
    position !== undefined && checked.breaks === connection.breaks() && monotonicMs() < checked.at + CURRENT_MS;

  const apply = (events: readonly LoggedEvent[]): void => {
    for (const { seq, event, bytes } of events) {
      for (const change of event.changes) state.apply(change, event.at);
      position = { seq, id: event.id };
      snapshots.count(bytes);
    }
  };

  /** From unread to current. */
  const load = async (): Promise<void> => {
    for (let missed: Position | undefined; ; ) {
      const { position: from, snapshot } = await snapshots.latest();
      const events = snapshot && (await log.has(from)) ? await log.after(from) : undefined;
      if (snapshot !== undefined && events !== undefined) {
        state.restore(snapshot);
        position = from;
        return apply(events);
      }
      // Another process may just have replaced this snapshot, and the events before it, by a later one.
      if (missed !== undefined && isSame(missed, from)) throw lostError(streams, whatIsLost(from, snapshot));
      missed = from;
    }
  };

  /** From stale to current; undefined where the log isn't the one that was read before. */
  const follow = async (from: Position): Promise<readonly LoggedEvent[] | undefined> => {
    if (checked.breaks !== connection.breaks()) {
      // A server that restarted may have lost what the snapshot holds, though not what this replica knows.
      const latest = await snapshots.position();
      if (latest !== undefined && !(await log.has(latest))) return undefined;
    }
    const events = await log.after(from);
    const next = events?.[0];
    if (events === undefined || (next !== undefined && next.event.follows !== from.id)) return undefined;
    apply(events);
    return events;
  };

  const catchUpOnce = async (own?: LogEvent): Promise<boolean> => {
    const begun = now();
    const followed = position && (await follow(position));
    if (followed === undefined) {
      position = undefined;
      await load();
    }
    state.trim();
    checked = begun;
    if (own === undefined) return false;
    if (followed !== undefined) return followed.some(({ event }) => event.id === own.id);
    for await (const { event } of log.events(own.after + 1)) if (event.id === own.id) return true;
    return false;
  };

  return {
    state,
    /** The last event that the state holds. */
    get position(): Position {
      return position ?? BEGINNING;
    },
    isCurrent,

    /** Reads what others have stored; returns whether this event was there. */
    async catchUp(own?: LogEvent): Promise<boolean> {
      for (const end = monotonicMs() + GRACE_MS; ; ) {
        try {
          return await catchUpOnce(own);
        } catch (error) {
          const isFinal = connection.isSingleServer() || monotonicMs() > end;
          if (!(error instanceof LostError) || isFinal) throw error;
        }
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      }
    },

    /** Stores an event that the state already holds; returns whether it was the next. */
    async store(event: LogEvent): Promise<boolean> {
      const data = encode(event);
      const expect = { lastSubjectSequence: event.after };
      const put = await streams.publish("sessions", streams.names.sessions, { id: event.id, data, expect });
      if (put === "conflict") return false;
      const wasCurrent = isCurrent();
      const begun = now();
      const before = { seq: event.after, id: event.follows };
      const isBuiltOnLog = wasCurrent || (await log.has(before).catch(() => false));
      position = isBuiltOnLog ? { seq: put.seq, id: event.id } : undefined;
      checked = begun;
      const isSnapshotDue = snapshots.count(data.byteLength);
      if (isSnapshotDue && position !== undefined) inBackground(snapshots.take(state.snapshot(), position));
      state.trim();
      return true;
    },

    /** Reads the journal as far back as the log goes. */
    async recall(): Promise<void> {
      const { entry } = state;
      const older: JournalEntry[] = [];
      for await (const { event } of log.events(1)) older.push(...entriesIn(event).filter(({ seq }) => seq <= entry));
      state.recall(older);
    },
  };
}

/** A place in the log. A server that has lost its last events gives their sequences again, so the id counts too. */
export interface Position {
  readonly seq: number;
  readonly id: string;
}

const BEGINNING: Position = { seq: 0, id: "" };

function isSame(one: Position, other: Position): boolean {
  return one.seq === other.seq && one.id === other.id;
}

interface LoggedEvent {
  readonly seq: number;
  readonly event: LogEvent;
  readonly bytes: number;
}

type EventLog = ReturnType<typeof createEventLog>;

/** Reads the log of sessions as the server has it now. */
function createEventLog(streams: Streams) {
  const { names } = streams;

  async function* events(from: number): AsyncGenerator<LoggedEvent, void, void> {
    for await (const { seq, data } of scan(streams, "sessions", { subject: names.sessions, from })) {
      yield { seq, event: decodeEvent(data), bytes: data.byteLength };
    }
  }

  const end = async (): Promise<Position> => {
    const find = () => streams.last("sessions", names.sessions);
    const last = (await find()) ?? ((await streams.lastSeq("sessions")) > 0 ? await find() : BEGINNING);
    if (last === undefined) throw lostError(streams, "has lost its events");
    return last;
  };

  return {
    events,
    async has(position: Position): Promise<boolean> {
      if (position.seq === 0) return true;
      const found = await streams.at("sessions", position.seq);
      return found !== undefined && isSame(found, position);
    },

    /** Undefined where the log doesn't reach the position, has another event there, or a gap behind it. */
    async after(position: Position): Promise<readonly LoggedEvent[] | undefined> {
      const last = await end();
      if (isSame(last, position)) return [];
      if (last.seq <= position.seq) return undefined;
      const found: LoggedEvent[] = [];
      let { seq } = position;
      for await (const next of events(seq + 1)) {
        if (next.event.after !== seq) return undefined;
        found.push(next);
        seq = next.seq;
      }
      return found;
    },
  };
}

function whatIsLost({ seq }: Position, snapshot: Snapshot | undefined): string {
  if (snapshot === undefined) return "has lost a part of its snapshot";
  return seq === 0 ? "has lost its first events" : `has lost event ${seq} or a later one`;
}

/** The log or its snapshot lacks something that only an administrator or a power cut removes. */
class LostError extends IpcError {}

function lostError({ names }: Streams, what: string): LostError {
  const [sessions, bodies] = [names.stream("sessions"), names.stream("bodies")];
  const words =
    `the stream ${sessions} ${what}: it or ${bodies} was emptied or removed, or the server lost it in a power cut. Restore ` +
    `both; or, to begin with no sessions, commands and signals, end all el-ipc processes of this bus and remove both. ` +
    `Messages and agents stay`;
  return new LostError("internal", words);
}

const MIN_BYTES = 128 * 1024;
const MAX_PART_BYTES = 256 * 1024;

/** Events kept behind a snapshot for readers of the journal. */
const KEPT_EVENTS = 20_000;

/**
 * Snapshots of the state, so that a process doesn't read the log from its beginning. The next one is made once the log
 * behind the last is longer than it, so neither outgrows the other.
 */
function createSnapshots(streams: Streams, log: EventLog) {
  const { names } = streams;
  const head = names.payload("snapshot");
  let bytesSince = 0;
  let lastBytes = MIN_BYTES;
  let isTaking = false;

  const readParts = async (parts: readonly string[]): Promise<Snapshot | undefined> => {
    const found = await Promise.all(parts.map((name) => streams.last("bodies", names.payload(name))));
    const chunks = found.flatMap((part) => (part === undefined ? [] : [part.data]));
    return chunks.length < parts.length ? undefined : decodeSnapshot(Buffer.concat(chunks));
  };

  const dropParts = async (parts: readonly string[]) => {
    await Promise.all(parts.map((name) => streams.purge("bodies", names.payload(name))));
  };

  /** Returns the parts' names. Where one can't be stored, the others are dropped. */
  const storeParts = async (bytes: Uint8Array): Promise<readonly string[]> => {
    const size = Math.max(1, Math.min(MAX_PART_BYTES, streams.connection.maxData()));
    const parts: string[] = [];
    try {
      for (let at = 0; at < bytes.length; at += size) {
        const name = nuid.next();
        parts.push(name);
        await streams.publish("bodies", names.payload(name), { id: name, data: bytes.subarray(at, at + size) });
      }
    } catch (error) {
      await dropParts(parts);
      throw error;
    }
    return parts;
  };

  return {
    async position(): Promise<Position | undefined> {
      const { value } = await getRecord(streams, "bodies", head);
      return value && positionIn(value);
    },

    /** The latest, or the empty state at the beginning. `snapshot` is undefined where a part is gone. */
    async latest(): Promise<{ readonly position: Position; readonly snapshot: Snapshot | undefined }> {
      const { value, ...found } = await getRecord(streams, "bodies", head);
      bytesSince = 0;
      if (value === undefined) return { position: BEGINNING, snapshot: EMPTY };
      lastBytes = Math.max(MIN_BYTES, numberIn(value, "bytes"));
      return { position: positionIn(value), snapshot: await readParts(partsIn({ value, ...found })) };
    },

    /** Counts an event's bytes; returns whether a snapshot is due. */
    count(bytes: number): boolean {
      bytesSince += bytes;
      return bytesSince > lastBytes && !isTaking;
    },

    async take(snapshot: Snapshot, { seq, id }: Position): Promise<void> {
      isTaking = true;
      bytesSince = 0;
      try {
        const bytes = encode(snapshot);
        lastBytes = Math.max(MIN_BYTES, bytes.length);
        const parts = await storeParts(bytes);
        const before = await getRecord(streams, "bodies", head);
        const last = before.value && positionIn(before.value);
        // A snapshot that the log doesn't lead up to is never replaced: it holds records that the log has lost.
        const isNext = last === undefined || (last.seq < seq && (await log.has(last)));
        const value = { position: seq, id, parts, bytes: bytes.length };
        // Where no answer comes the parts stay, since the head may name them.
        const put = isNext ? await putRecord(streams, "bodies", head, value, before) : "conflict";
        if (put === "conflict") return await dropParts(parts);
        await dropParts(partsIn(before));
        await streams.purge("sessions", names.sessions, seq - KEPT_EVENTS);
      } finally {
        isTaking = false;
      }
    },
  };
}

function positionIn(value: JsonObject): Position {
  return { seq: numberIn(value, "position"), id: textIn(value, "id") };
}

function partsIn({ value }: Found): readonly string[] {
  const parts = value?.parts;
  return Array.isArray(parts) ? parts.map(String) : [];
}
