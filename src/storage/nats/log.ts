import { nuid } from "@nats-io/transport-node";
import { IpcError, isIpcError } from "../../core/errors.ts";
import { createDraft, type Draft, type Job } from "./draft.ts";
import { createFollower } from "./follower.ts";
import type { State } from "./state.ts";
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
  /** Looks again after so many seconds, though nothing happens. */
  lookIn(seconds: number): void;
  close(): Promise<void>;
}

/** Steps that arrive together share a message, up to so many and so much. */
const MOST_JOBS = 1_000;
const MOST_BYTES = 256 * 1024;

/** So often the next event may not be taken though nothing came before it. */
const MOST_REFUSALS = 10;

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
        if (draft.bytes() > MOST_BYTES) break;
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
        if (++refusals > MOST_REFUSALS) throw refused(streams);
        await follower.rejoin();
      }
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
