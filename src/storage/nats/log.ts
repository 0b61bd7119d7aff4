import { nuid } from "@nats-io/transport-node";
import { IpcError, isIpcError } from "../../core/errors.ts";
import type { Journal } from "../../core/store.ts";
import { createFollower } from "./replica.ts";
import type { Change, MutableState, State } from "./state.ts";
import type { Streams } from "./streams.ts";

/** One step on the sessions, as it is worked out: on all that is, and without waiting for anything. */
export interface Draft {
  readonly state: State;
  readonly at: number;
  put(change: Change): void;
}

export interface Job {
  readonly step: (draft: Draft) => unknown;
  readonly done: (result: unknown) => void;
  readonly failed: (error: unknown) => void;
}

/** What a step changes shows in the state at once, for the steps behind it, and can be taken back. */
export function createDraft(state: MutableState, at: number) {
  const made: { change: Change; undo: () => void }[] = [];
  const { entry } = state;
  let bytes = 0;

  const draft: Draft = {
    state,
    at,
    put(change) {
      made.push({ change, undo: state.apply(change, at) });
      bytes += JSON.stringify(change).length;
    },
  };

  const undo = (to: number): void => {
    for (const { undo } of made.splice(to).reverse()) undo();
  };

  return {
    /** The journal's number before. */
    entry,
    undo,
    bytes: () => bytes,
    changes: () => made.map(({ change }) => change),
    attempt(job: Job): () => void {
      const before = made.length;
      try {
        const result = job.step(draft);
        return () => job.done(result);
      } catch (error) {
        undo(before);
        return () => job.failed(error);
      }
    },
  };
}

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
  /** Looks again after so many seconds, though nothing happens. */
  lookIn(seconds: number): void;
  close(): Promise<void>;
}

/** Steps that arrive together share a message, up to so many and so much. */
const MAX_JOBS = 1_000;
const MAX_BYTES = 256 * 1024;

/** So often the next event may not be taken though nothing came before it. */
const MAX_REFUSALS = 10;

export function createLog(streams: Streams): Log {
  const waiting: Job[] = [];
  const looks: ((state: State) => void)[] = [];
  const tasks = new Set<Promise<unknown>>();
  let working: Promise<void> | undefined;
  let looking: NodeJS.Timeout | undefined;
  let isClosed = false;

  const meanwhile = (task: Promise<unknown>): void => {
    const kept: Promise<unknown> = task.catch(() => {}).finally(() => tasks.delete(kept));
    tasks.add(kept);
  };
  const follower = createFollower(streams, meanwhile);
  const { state } = follower;

  /** Works out as many of the jobs as one message holds, until that is the next; answers how many those were. */
  const turn = async (jobs: readonly Job[]): Promise<number> => {
    let current = false;
    for (let refusals = 0; ; ) {
      if (!follower.isSure()) {
        await follower.catchUp();
        current = true;
      }
      const at = Date.now() / 1_000;
      const draft = createDraft(state, at);
      const settled: (() => void)[] = [];
      for (const job of jobs) {
        if (draft.bytes() > MAX_BYTES) break;
        settled.push(draft.attempt(job));
      }
      const settle = () => {
        for (const one of settled) one();
        return settled.length;
      };
      const changes = draft.changes();
      const { seq: after, id: follows } = follower.place;
      const event = { id: nuid.next(), after, follows, entry: draft.entry, at, changes };
      try {
        if (changes.length === 0 ? current : await follower.store(event)) return settle();
      } catch (error) {
        draft.undo(0);
        throw error;
      }
      draft.undo(0);
      if (await follower.catchUp(event)) return settle();
      // Nobody was quicker, and yet it wasn't the next.
      if (changes.length > 0 && follower.place.seq === after) {
        if (++refusals > MAX_REFUSALS) throw refused(streams);
        await follower.rejoin();
      }
      current = true;
    }
  };

  const work = async (): Promise<void> => {
    await new Promise(setImmediate);
    while (waiting.length > 0) {
      await workOff(waiting.splice(0, MAX_JOBS));
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

  const takeStep = <T>(step: (draft: Draft) => T): Promise<T> =>
    new Promise<T>((resolve, reject) => {
      waiting.push({ step, done: (result) => resolve(result as T), failed: reject });
      working ??= work();
    });

  return {
    step: takeStep,
    recall: follower.recall,
    afterwards: (look) => void looks.push(look),
    meanwhile,

    lookIn(seconds) {
      if (isClosed || looking !== undefined) return;
      looking = setTimeout(() => {
        looking = undefined;
        meanwhile(takeStep(() => {}));
      }, seconds * 1_000).unref();
    },

    async close() {
      isClosed = true;
      clearTimeout(looking);
      while (working !== undefined || tasks.size > 0) await Promise.all([working, ...tasks]);
    },
  };
}

function refused({ names }: Streams): IpcError {
  return new IpcError(
    "internal",
    `the stream ${names.stream("sessions")} takes no event, though nothing else comes into it`,
  );
}

/** So many entries are told of, and no older ones. */
const KEPT_ENTRIES = 10_000;

/** The log of sessions, without what nobody is told. */
export function createJournal(log: Log): Journal {
  return {
    last: () => log.step(({ state }) => lastOf(state)),

    async after(seq, limit) {
      const look = () =>
        log.step(({ state }) => {
          const last = lastOf(state);
          if (seq > last || seq < Math.max(last - KEPT_ENTRIES, Math.min(state.forgotten, last))) return "gone";
          const first = state.entries[0]?.seq ?? state.entry + 1;
          if (seq + 1 < first) return "older";
          return state.entries.slice(seq + 1 - first, Math.min(seq + 1 - first + limit, last + 1 - first));
        });
      const found = await look();
      if (found === "gone") return undefined;
      if (found !== "older") return found;
      await log.recall();
      const recalled = await look();
      return typeof recalled === "string" ? undefined : recalled;
    },
  };
}

/** What came with an errand is told once that is done, as the entry in the channel of activity is told first. */
function lastOf({ entry, errands }: State): number {
  return Math.min(entry, ...[...errands.values()].map((errand) => errand.entry));
}
