import { nuid } from "@nats-io/transport-node";
import { isIpcError } from "../../core/errors.ts";
import type { JournalEntry } from "../../core/session-store.ts";
import { createDraft, type Draft, type Job } from "./draft.ts";
import { decodeEvent, encodeEvent, entriesIn, type LogEvent } from "./log-events.ts";
import { scan } from "./scan.ts";
import { createSnapshots } from "./snapshots.ts";
import { createState, type State } from "./state.ts";
import type { Streams } from "./streams.ts";

/**
 * Sessions, orders and signals, as a log of what changed. A step is one message that expects to be the next, so all of it
 * happens or nothing, in one order for everybody; whoever was too slow looks at what came and works its step out anew.
 */
export interface Log {
  /** What the step answers, once everything it was worked out from is known to be so and what it changes is stored. */
  step<T>(step: (draft: Draft) => T): Promise<T>;
  /** Reads the journal as far back as it goes. */
  recall(): Promise<void>;
  /** Called after each step, with how things then are. */
  afterwards(look: (state: State) => void): void;
  /** Something that is seen to in the background, and waited for at the end. */
  meanwhile(task: Promise<unknown>): void;
  close(): Promise<void>;
}

/** Steps that arrive together share a message, up to so many and so much. */
const MOST_JOBS = 1_000;
const MOST_BYTES = 256 * 1024;

export function createLog(streams: Streams): Log {
  const { names } = streams;
  const state = createState();
  const snapshots = createSnapshots(streams);
  const waiting: Job[] = [];
  const looks: ((state: State) => void)[] = [];
  const tasks = new Set<Promise<unknown>>();
  /** The sequence of the last event that the state holds; undefined before anything was read. */
  let position: number | undefined;
  let working: Promise<void> | undefined;

  const load = async (): Promise<void> => {
    const found = await snapshots.latest();
    state.restore(found?.snapshot);
    position = found?.position ?? 0;
  };

  /** Reads what others have stored; answers whether the event of this id was there. */
  const catchUp = async (id?: string): Promise<boolean> => {
    let met = false;
    for (;;) {
      if (position === undefined) await load();
      const from = position ?? 0;
      const came = await readEvents(from);
      // Where it doesn't follow on what is known, older events have left meanwhile.
      if (came === undefined) {
        position = undefined;
        continue;
      }
      for (const { seq, event, bytes } of came) {
        for (const change of event.changes) state.apply(change, event.at);
        position = seq;
        snapshots.count(bytes);
        met ||= event.id === id;
      }
      return met;
    }
  };

  const readEvents = async (from: number) => {
    const came: { seq: number; event: LogEvent; bytes: number }[] = [];
    let last = from;
    for await (const { seq, data } of scan(streams, "sessions", { subject: names.sessions, from: from + 1 })) {
      const event = decodeEvent(data);
      if (event.after !== last) return undefined;
      came.push({ seq, event, bytes: data.byteLength });
      last = seq;
    }
    return came;
  };

  const store = async (event: LogEvent): Promise<boolean> => {
    const data = encodeEvent(event);
    const expect = { lastSubjectSequence: event.after };
    const put = await streams.publish("sessions", names.sessions, { id: event.id, data, expect });
    if (put === "conflict") return false;
    position = put.seq;
    if (snapshots.count(data.byteLength)) meanwhile(snapshots.take(state.snapshot(), put.seq));
    return true;
  };

  /** Works out as many of the jobs as one message holds, until that is the next; answers how many those were. */
  const turn = async (jobs: readonly Job[]): Promise<number> => {
    let current = false;
    for (;;) {
      if (position === undefined) {
        await catchUp();
        current = true;
      }
      const at = Date.now() / 1_000;
      const draft = createDraft(state, at);
      const settled: (() => void)[] = [];
      for (const job of jobs) {
        if (draft.bytes() > MOST_BYTES) break;
        settled.push(draft.attempt(job));
      }
      const changes = draft.changes();
      const event = { id: nuid.next(), after: position ?? 0, entry: draft.entry, at, changes };
      try {
        if (changes.length === 0 ? current : await store(event)) {
          for (const settle of settled) settle();
          return settled.length;
        }
      } catch (error) {
        draft.undo(0);
        throw error;
      }
      draft.undo(0);
      const before = position;
      if (await catchUp(event.id)) {
        for (const settle of settled) settle();
        return settled.length;
      }
      // Nobody was quicker, and yet it wasn't the next: the log isn't the one that was read.
      if (changes.length > 0 && position === before) position = undefined;
      current = true;
    }
  };

  const work = async (): Promise<void> => {
    await new Promise(setImmediate);
    while (waiting.length > 0) {
      await workOff(waiting.splice(0, MOST_JOBS));
      for (const look of looks) look(state);
    }
    working = undefined;
  };

  const workOff = async (jobs: readonly Job[]): Promise<void> => {
    try {
      const done = await turn(jobs);
      waiting.unshift(...jobs.slice(done));
    } catch (error) {
      // Of several one alone may have been too large.
      if (jobs.length > 1 && isIpcError(error) && error.reason === "too_large") {
        for (const job of jobs) await workOff([job]);
      } else for (const job of jobs) job.failed(error);
    }
  };

  const meanwhile = (task: Promise<unknown>): void => {
    const kept: Promise<unknown> = task.catch(() => {}).finally(() => tasks.delete(kept));
    tasks.add(kept);
  };

  return {
    step: <T>(step: (draft: Draft) => T) =>
      new Promise<T>((resolve, reject) => {
        waiting.push({ step, done: (result) => resolve(result as T), failed: reject });
        working ??= work();
      }),

    async recall() {
      const known = state.entry;
      const older: JournalEntry[] = [];
      for await (const { data } of scan(streams, "sessions", { subject: names.sessions, from: 1 })) {
        older.push(...entriesIn(decodeEvent(data)).filter(({ seq }) => seq <= known));
      }
      state.recall(older);
    },

    afterwards: (look) => void looks.push(look),
    meanwhile,

    async close() {
      while (working !== undefined || tasks.size > 0) await Promise.all([working, ...tasks]);
    },
  };
}
