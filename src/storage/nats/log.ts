import { nuid } from "@nats-io/transport-node";
import { isIpcError } from "../../core/errors.ts";
import type { Journal } from "../../core/store.ts";
import { fault } from "./connection.ts";
import { createReplica, type Replica } from "./replica.ts";
import type { Change, MutableState, State, Undo } from "./state.ts";
import type { Streams } from "./streams.ts";

/** A step's view: it works on the whole state, synchronously. */
export interface Transaction {
  readonly state: State;
  readonly at: number;
  put(change: Change): void;
}

export type Log = ReturnType<typeof createLog>;

interface Job {
  readonly step: (transaction: Transaction) => unknown;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** Steps that arrive together share a message, up to these limits. */
const MAX_JOBS = 1_000;
const MAX_BYTES = 256 * 1024;

/** Refusals of an event in a row though no other event came first. */
const MAX_REFUSALS = 10;
const REFUSAL_PAUSE_MS = 50;

/**
 * Sessions, commands and signals, as a log of what changed. A step is stored as one message that expects to be the
 * next, so it happens as a whole or not at all, and in one order for all processes.
 *
 * Steps wait as jobs in a queue, and run in turns. A turn takes as many as fit into one event, and goes through these
 * states:
 *
 * 1. **Catch up**, where the replica isn't current.
 * 2. **Apply**: run the steps on the replica's state, as if their event were stored already. A step that throws is
 *    undone alone, and rejects its job.
 * 3. **Commit**. Steps that change nothing are answered if the replica has caught up during this turn. Changes are
 *    answered once they are stored as the next event.
 * 4. Otherwise **undo** all changes and catch up. If the event is in the log, its answer was lost, and the jobs are
 *    answered. If another event came first, go on with 2. If none did, and the event was refused nevertheless, the
 *    server doesn't know its own log yet: wait, and give up after `MAX_REFUSALS`.
 *
 * An error of the server undoes all changes and rejects all jobs of the turn. Jobs that are only too large together are
 * tried one by one.
 */
export function createLog(streams: Streams, now: () => number) {
  const queue: Job[] = [];
  const listeners: ((state: State) => void)[] = [];
  const tasks = new Set<Promise<unknown>>();
  let working: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;

  /** Runs a task that only closing waits for. Its failure is ignored. */
  const inBackground = (task: Promise<unknown>): void => {
    const tracked: Promise<unknown> = task.catch(() => {}).finally(() => tasks.delete(tracked));
    tasks.add(tracked);
  };
  const replica = createReplica(streams, inBackground);
  const { state } = replica;

  const runJobs = async (jobs: readonly Job[]): Promise<void> => {
    try {
      const done = await takeTurn(streams, replica, now, jobs);
      queue.unshift(...jobs.slice(done));
    } catch (error) {
      if (jobs.length > 1 && isIpcError(error) && error.reason === "too_large") {
        for (const job of jobs) await runJobs([job]);
      } else for (const job of jobs) job.reject(error);
    }
  };

  const work = async (): Promise<void> => {
    await new Promise(setImmediate);
    while (queue.length > 0) {
      await runJobs(queue.splice(0, MAX_JOBS));
      for (const listen of listeners) listen(state);
    }
    working = undefined;
  };

  /** Runs a step on the newest state; answers once what it changes is stored. */
  const step = <T>(step: (transaction: Transaction) => T): Promise<T> =>
    new Promise<T>((resolve, reject) => {
      queue.push({ step, resolve: (result) => resolve(result as T), reject });
      working ??= work();
    });

  return {
    step,
    now,
    recall: replica.recall,
    /** Calls back after each turn. */
    onStep: (listen: (state: State) => void) => void listeners.push(listen),
    inBackground,

    /** Looks at the log again after some seconds, even if no step comes. */
    lookIn(seconds: number): void {
      if (isClosed || timer !== undefined) return;
      timer = setTimeout(() => {
        timer = undefined;
        inBackground(step(() => {}));
      }, seconds * 1_000).unref();
    },

    async close(): Promise<void> {
      isClosed = true;
      clearTimeout(timer);
      while (working !== undefined || tasks.size > 0) await Promise.all([working, ...tasks]);
    },
  };
}

/** Runs as many jobs as fit into one event; returns how many. */
async function takeTurn(streams: Streams, replica: Replica, now: () => number, jobs: readonly Job[]): Promise<number> {
  let hasCaughtUp = false;
  for (let refusals = 0; ; ) {
    if (!replica.isCurrent()) {
      await replica.catchUp();
      hasCaughtUp = true;
    }
    const { position } = replica;
    const batch = applyJobs(replica.state, now(), jobs);
    const event = { id: nuid.next(), after: position.seq, follows: position.id, ...batch.event };
    const isRead = batch.event.changes.length === 0;
    try {
      if (isRead ? hasCaughtUp : await replica.store(event)) return batch.answer();
    } catch (error) {
      batch.undo();
      throw error;
    }
    batch.undo();
    if (await replica.catchUp(isRead ? undefined : event)) return batch.answer();
    hasCaughtUp = true;
    if (!isRead && replica.position.seq === position.seq) {
      if (++refusals > MAX_REFUSALS) {
        throw fault(`the stream ${streams.names.stream("sessions")} takes no event, though no other came first`);
      }
      await new Promise((resolve) => setTimeout(resolve, REFUSAL_PAUSE_MS * refusals));
    }
  }
}

/** Runs jobs on a state, until an event is full. Their answers wait until that event is stored. */
function applyJobs(state: MutableState, at: number, jobs: readonly Job[]) {
  const made: { readonly change: Change; readonly undo: Undo }[] = [];
  const answers: (() => void)[] = [];
  const { entry } = state;
  let bytes = 0;

  const transaction: Transaction = {
    state,
    at,
    put(change) {
      made.push({ change, undo: state.apply(change, at) });
      bytes += JSON.stringify(change).length;
    },
  };

  const undo = (to = 0): void => {
    for (const { undo } of made.splice(to).reverse()) undo();
  };

  for (const job of jobs) {
    if (bytes > MAX_BYTES) break;
    const before = made.length;
    try {
      const result = job.step(transaction);
      answers.push(() => job.resolve(result));
    } catch (error) {
      undo(before);
      answers.push(() => job.reject(error));
    }
  }

  return {
    event: { entry, at, changes: made.map(({ change }) => change) },
    undo,
    answer(): number {
      for (const answer of answers) answer();
      return answers.length;
    },
  };
}

/** Entries that can be asked for. */
const KEPT_ENTRIES = 10_000;

export function createJournal(log: Log): Journal {
  return {
    last: () => log.step(({ state }) => lastEntry(state)),

    async after(seq, limit) {
      const look = () =>
        log.step(({ state }) => {
          const last = lastEntry(state);
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

/** Entries behind work in the outbox stay hidden until it is done: a message that it sends comes first. */
function lastEntry({ entry, outbox }: State): number {
  return Math.min(entry, ...[...outbox.values()].map((work) => work.entry));
}
