import { IpcError, isIpcError } from "../../core/errors.ts";
import type { Changes } from "../../core/store.ts";
import { monotonicMs } from "../../core/time.ts";
import { type Driver, describeFault, isBusy, type Statement } from "./driver.ts";
import { createFileCheck } from "./file.ts";
import { numberOf, textOf } from "./rows.ts";

const MAX_BUSY_MS = 10_000;
const cell = new Int32Array(new SharedArrayBuffer(4));

/**
 * Runs a step on the file, repeatedly while other processes hold it. SQLite's own busy handler backs off so far that one
 * of several writers can starve; short, uneven pauses give each a turn. The event loop runs between tries, so a server
 * keeps answering. A step that succeeds at once answers without a promise.
 */
export function retryWhileBusy<T>(step: () => T): T | Promise<T> {
  try {
    return step();
  } catch (error) {
    if (!isBusy(error)) throw error;
    return retry(step);
  }
}

async function retry<T>(step: () => T): Promise<T> {
  for (const end = monotonicMs() + MAX_BUSY_MS; ; ) {
    Atomics.wait(cell, 0, 0, 0.05 + Math.random() * 0.95);
    await new Promise(setImmediate);
    try {
      return step();
    } catch (error) {
      if (!isBusy(error)) throw error;
      if (monotonicMs() > end) {
        throw new IpcError("internal", "The database is busy: another program has held it for 10 seconds", undefined, {
          cause: error,
        });
      }
    }
  }
}

/** An open database file. Steps are synchronous functions, so that nothing comes between their statements. */
export interface Connection {
  /**
   * The statement for this text, prepared once. Write `LIMIT +?` and, where the query sorts or takes a maximum, `= +?`: SQLite
   * compiles a statement anew for each value of a bare parameter there.
   */
  statement(sql: string): Statement;
  read<T>(step: () => T): Promise<T>;
  /** Changes with every commit, by this process or another: results that were read under the same number still hold. */
  version(): number;
  /** Runs a step that changes something. All of it is durable when this answers, or none of it happened. */
  write<T>(step: () => T): Promise<T>;
  /** Like `write`, without waiting for the disk: a power cut may undo the latest of these steps, a kill can't. */
  writeSoon<T>(step: () => T): Promise<T>;
  close(): Promise<void>;
}

/** `full` survives a power cut. `normal` may lose the last moments to one; neither loses anything to a kill. */
export type Durability = "full" | "normal";

interface Job {
  readonly step: () => unknown;
  readonly durable: boolean;
  readonly done: (result: unknown) => void;
  readonly failed: (error: unknown) => void;
}

/** Jobs per commit. A longer commit would delay answers. */
const MAX_JOBS = 250;

export const DATA_VERSION = "PRAGMA data_version";

export function connect(driver: Driver, path: string, durability: Durability = "full"): Connection {
  const checkFile = createFileCheck(path);
  const statements = new Map<string, Statement>();
  const waiting: Job[] = [];
  let flushing: Promise<void> | undefined;
  let isOpen = true;
  let commits = 0;

  const statement = (sql: string): Statement => {
    const known = statements.get(sql);
    if (known !== undefined) return known;
    const prepared = driver.prepare(sql);
    statements.set(sql, prepared);
    return prepared;
  };

  /** Commits jobs that arrive together in one transaction, which waits for the disk once. */
  const flush = async (): Promise<void> => {
    do {
      await new Promise(setImmediate);
      const jobs = waiting.splice(0, MAX_JOBS);
      try {
        checkFile();
        // Synchronously: other steps run between turns of the event loop, and must not meet an open transaction.
        await retryWhileBusy(() => commit(jobs));
      } catch (error) {
        for (const job of jobs) job.failed(explainFault(error, path));
      }
    } while (waiting.length > 0);
    flushing = undefined;
  };

  const commit = (jobs: readonly Job[]): void => {
    const isSoon = durability === "full" && !jobs.some(({ durable }) => durable);
    if (isSoon) driver.exec("PRAGMA synchronous = NORMAL");
    try {
      const answers = runJobs(jobs);
      statement("COMMIT").run();
      commits++;
      for (const answer of answers) answer();
    } catch (error) {
      undo("ROLLBACK");
      throw error;
    } finally {
      if (isSoon) driver.exec("PRAGMA synchronous = FULL");
    }
  };

  /** Runs all jobs. Where one fails they run again, each in a savepoint: failures are rare, and savepoints cost. */
  const runJobs = (jobs: readonly Job[]): (() => void)[] => {
    statement("BEGIN IMMEDIATE").run();
    try {
      return jobs.map((job) => runJob(job));
    } catch (error) {
      if (jobs.length === 1) throw error;
    }
    undo("ROLLBACK");
    statement("BEGIN IMMEDIATE").run();
    return jobs.map((job) => runJobAlone(job));
  };

  const runJob = (job: Job): (() => void) => {
    const result = job.step();
    return () => job.done(result);
  };

  /** A failure undoes this job's own step alone. */
  const runJobAlone = (job: Job): (() => void) => {
    statement("SAVEPOINT job").run();
    try {
      const answer = runJob(job);
      statement("RELEASE job").run();
      return answer;
    } catch (error) {
      if (!undo("ROLLBACK TO job") || !undo("RELEASE job")) throw error;
      return () => job.failed(explainFault(error, path));
    }
  };

  /** Answers false where there is nothing to undo: some failures, such as a full disk, have ended the transaction. */
  const undo = (sql: string): boolean => {
    try {
      statement(sql).run();
      return true;
    } catch {
      return false;
    }
  };

  const write = <T>(step: () => T, durable: boolean): Promise<T> =>
    new Promise<T>((resolve, reject) => {
      waiting.push({ step, durable, done: (result) => resolve(result as T), failed: reject });
      flushing ??= flush();
    });

  return {
    statement,
    version: () => commits + numberOf(statement(DATA_VERSION).get(), "data_version"),
    read: async (step) => {
      try {
        checkFile();
        return await retryWhileBusy(step);
      } catch (error) {
        throw explainFault(error, path);
      }
    },
    write: (step) => write(step, true),
    writeSoon: (step) => write(step, false),
    close: async () => {
      await flushing;
      if (isOpen) driver.close();
      isOpen = false;
    },
  };
}

/** Turns a fault of the file that the user can mend into a sentence. */
export function explainFault(error: unknown, path: string): unknown {
  if (isIpcError(error)) return error;
  const fault = describeFault(error);
  if (fault === undefined) return error;
  return new IpcError("internal", `The database ${path} ${fault}`, undefined, { cause: error });
}

const LAST_ID = "SELECT max(id) AS id FROM messages";

/** The plus makes SQLite read the new rows instead of the whole index by channel. */
const CHANGED = "SELECT channel, max(id) AS id FROM messages WHERE id > ? GROUP BY +channel";

/** Sees commits of other connections. Each changes SQLite's data_version, which can be asked without reading a table. */
export function createChanges({ statement, read }: Connection): () => Promise<Changes | undefined> {
  let version: number | undefined;
  let lastId = 0;

  const look = (): Changes | undefined => {
    // In this order: the next call reports a commit in between, which the opposite order would lose.
    const newest = numberOf(statement(LAST_ID).get(), "id");
    const now = numberOf(statement(DATA_VERSION).get(), "data_version");
    const known = version;
    if (known === undefined || known === now) {
      version = now;
      lastId = newest;
      return known === undefined ? undefined : { channels: [], others: false };
    }
    const changed = statement(CHANGED).all(lastId);
    version = now;
    lastId = Math.max(lastId, ...changed.map((channel) => numberOf(channel, "id")));
    return { channels: changed.map((channel) => textOf(channel, "channel")), others: true };
  };

  return () => read(look);
}
