import { nuid } from "@nats-io/transport-node";
import { IpcError } from "../../core/errors.ts";
import type { JournalEntry } from "../../core/session-store.ts";
import { decodeEvent, encodeEvent, entriesIn, type LogEvent } from "./log-events.ts";
import { scan } from "./scan.ts";
import { createSnapshots, type Place } from "./snapshots.ts";
import { createState, type MutableState } from "./state.ts";
import type { Streams } from "./streams.ts";

/** What this process knows of the log, and how it came to it. */
export interface Follower {
  readonly state: MutableState;
  /** The last event that the state holds. */
  readonly place: Place;
  /** Whether that can be built on without a look. It can't after a broken connection: a server that fell may forget its last. */
  isSure(): boolean;
  /** Reads what others have stored; answers whether the event of this id was there. */
  catchUp(id?: string): Promise<boolean>;
  /** Stores an event that the state already holds; answers whether it was the next. */
  store(event: LogEvent): Promise<boolean>;
  /** Begins anew, where the log isn't the one that was read. */
  rejoin(): Promise<void>;
  /** Reads the journal as far back as it goes. */
  recall(): Promise<void>;
}

const BEGINNING: Place = { seq: 0, id: "" };

interface Found {
  readonly seq: number;
  readonly event: LogEvent;
  readonly bytes: number;
}

export function createFollower(streams: Streams, meanwhile: (task: Promise<unknown>) => void): Follower {
  const { names, connection } = streams;
  const state = createState();
  const snapshots = createSnapshots(streams);
  /** Undefined before anything was read. */
  let known: Place | undefined;
  let surety = 0;

  const apply = ({ seq, event, bytes }: Found): void => {
    for (const change of event.changes) state.apply(change, event.at);
    known = { seq, id: event.id };
    snapshots.count(bytes);
  };

  const isStillThere = async ({ seq, id }: Place): Promise<boolean> => {
    if (seq === 0) return true;
    const found = await streams.at("sessions", seq);
    return found !== undefined && decodeEvent(found.data).id === id;
  };

  /** All that a snapshot and what follows on it come to, wherever in the log that now is. */
  const load = async (): Promise<Place> => {
    const found = await snapshots.latest();
    state.restore(found?.snapshot);
    const place = found?.place ?? BEGINNING;
    known = place;
    if (await isStillThere(place)) return place;
    for await (const next of events(1)) {
      if (next.event.follows !== place.id) continue;
      apply(next);
      break;
    }
    return place;
  };

  async function* events(from: number): AsyncGenerator<Found, void, void> {
    for await (const { seq, data } of scan(streams, "sessions", { subject: names.sessions, from })) {
      yield { seq, event: decodeEvent(data), bytes: data.byteLength };
    }
  }

  /** What comes behind a place; or where it doesn't follow on it. `id`: also by whom the first is, not only by where. */
  const eventsBehind = async (place: Place, { byId }: { byId: boolean }): Promise<Found[] | Found> => {
    const came: Found[] = [];
    let last = place.seq;
    for await (const found of events(place.seq + 1)) {
      const { after, follows } = found.event;
      if (after !== last || (byId && came.length === 0 && follows !== place.id)) return found;
      came.push(found);
      last = found.seq;
    }
    return came;
  };

  const catchUp = async (id?: string): Promise<boolean> => {
    for (let loaded: Place | undefined; ; ) {
      const breaks = connection.breaks();
      if (known === undefined || (surety !== breaks && !(await isStillThere(known)))) {
        const place = await load();
        if (loaded?.seq === place.seq) throw unreadable(streams, place.seq);
        loaded = place;
      }
      surety = breaks;
      const came = await eventsBehind(known ?? BEGINNING, { byId: loaded === undefined });
      if (Array.isArray(came)) {
        for (const one of came) apply(one);
        state.trim();
        return came.some(({ event }) => event.id === id);
      }
      // Older events have left meanwhile, or the server has lost what was read from it.
      known = undefined;
    }
  };

  const store = async (event: LogEvent, after = event.after): Promise<boolean> => {
    const data = encodeEvent(event);
    const expect = { lastSubjectSequence: after };
    const put = await streams.publish("sessions", names.sessions, { id: event.id, data, expect });
    if (put === "conflict") return false;
    // After a break what it was worked out on may be what a server has forgotten.
    known = surety === connection.breaks() ? { seq: put.seq, id: event.id } : undefined;
    const due = snapshots.count(data.byteLength);
    if (due && known !== undefined) meanwhile(snapshots.take(state.snapshot(), known));
    state.trim();
    return true;
  };

  return {
    state,
    get place() {
      return known ?? BEGINNING;
    },
    isSure: () => known !== undefined && surety === connection.breaks(),
    catchUp,
    store,

    /**
     * Where the snapshot holds more than the log, since a server has lost its end or somebody emptied it, the log goes on
     * from what the snapshot holds: with an event that follows on it, and lies where the log now ends.
     */
    async rejoin() {
      known = undefined;
      await catchUp();
      const { seq, id } = known ?? BEGINNING;
      if (await isStillThere({ seq, id })) return;
      const last = await streams.last("sessions", names.sessions);
      const event = {
        id: nuid.next(),
        after: seq,
        follows: id,
        entry: state.entry,
        at: Date.now() / 1_000,
        changes: [],
      };
      if (!(await store(event, last?.seq ?? 0))) known = undefined;
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
