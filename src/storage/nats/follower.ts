import { nuid } from "@nats-io/transport-node";
import { elapsed } from "../../core/clock.ts";
import { IpcError } from "../../core/errors.ts";
import type { JournalEntry } from "../../core/session-store.ts";
import { decodeEvent, encodeEvent, entriesIn, type LogEvent } from "./log-events.ts";
import { BEGINNING, endOfLog, isInLog, isSame, type Place } from "./place.ts";
import { scan } from "./scan.ts";
import { createSnapshots } from "./snapshots.ts";
import { createState, type MutableState } from "./state.ts";
import type { Streams } from "./streams.ts";

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

interface Found {
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

  const now = () => ({ breaks: connection.breaks(), at: elapsed() });
  const isSure = () => known !== undefined && looked.breaks === connection.breaks() && elapsed() < looked.at + SURE_MS;

  async function* events(from: number): AsyncGenerator<Found, void, void> {
    for await (const { seq, data } of scan(streams, "sessions", { subject: names.sessions, from })) {
      yield { seq, event: decodeEvent(data), bytes: data.byteLength };
    }
  }

  const apply = ({ seq, event, bytes }: Found): void => {
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
  const eventsBehind = async (place: Place, byId: boolean): Promise<readonly Found[] | undefined> => {
    const came: Found[] = [];
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
