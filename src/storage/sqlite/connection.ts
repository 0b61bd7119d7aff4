import { IpcError, isIpcError } from "../../core/errors.ts";
import type { Changes } from "../../core/store.ts";
import { monotonicMs } from "../../core/time.ts";
import { type Driver, fileFault, isBusy, type Statement } from "./driver.ts";
import { createFileCheck } from "./file.ts";
import { isRow, numberOf, row, textOf } from "./rows.ts";

const MAX_MS = 10_000;
const cell = new Int32Array(new SharedArrayBuffer(4));

/**
 * Does one step on the file, again and again while other processes hold it. SQLite's own busy handler backs off so far
 * that one of several writers can starve; short, uneven pauses give everybody a turn. Between two tries the event loop
 * runs, so that a server goes on answering. Free as it mostly is, it answers without a promise.
 */
export function whileBusy<T>(step: () => T): T | Promise<T> {
  try {
    return step();
  } catch (error) {
    if (!isBusy(error)) throw error;
    return again(step);
  }
}

async function again<T>(step: () => T): Promise<T> {
  for (const end = monotonicMs() + MAX_MS; ; ) {
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

/** One open database file. Steps are synchronous functions, so that nothing else comes between their statements. */
export interface Connection {
  /**
   * The prepared statement for this text; prepared once. So that it stays so, it says LIMIT +? and, where it sorts or looks
   * for an end, = +?: for a bare parameter there SQLite wants to know the value, and compiles the statement anew each time.
   */
  statement(sql: string): Statement;
  /** A step that changes nothing. */
  read<T>(step: () => T): Promise<T>;
  /** A number that changes with every commit, of this process or another: what was read under the same is so still. */
  version(): number;
  /** A step that changes something: all of it is durable when this answers, or none of it happened. */
  write<T>(step: () => T): Promise<T>;
  /** The same, but the disk is told and not waited for: a power cut, never a kill, may undo the last of these. */
  writeSoon<T>(step: () => T): Promise<T>;
  close(): Promise<void>;
}

/** `full` survives a power cut; `normal` may lose the last moments to one, never to a kill. */
export type Durability = "full" | "normal";

interface Job {
  readonly step: () => unknown;
  readonly durable: boolean;
  readonly done: (result: unknown) => void;
  readonly failed: (error: unknown) => void;
}

/** So many share a commit: more would keep others from being answered meanwhile. */
const MAX_JOBS = 250;

export const DATA_VERSION = "PRAGMA data_version";

export function connect(driver: Driver, path: string, durability: Durability = "full"): Connection {
  const checkFile = createFileCheck(path);
  const statements = new Map<string, Statement>();
  const waiting: Job[] = [];
  let flushing: Promise<void> | undefined;
  let open = true;
  let commits = 0;

  const statement = (sql: string): Statement => {
    const known = statements.get(sql);
    if (known !== undefined) return known;
    const prepared = driver.prepare(sql);
    statements.set(sql, prepared);
    return prepared;
  };

  /** Writes that arrive together share one commit, and so one wait for the disk. */
  const flush = async (): Promise<void> => {
    do {
      await new Promise(setImmediate);
      const jobs = waiting.splice(0, MAX_JOBS);
      try {
        checkFile();
        // In one go: between two turns of the event loop no transaction is open that another step could stumble over.
        await whileBusy(() => commit(jobs));
      } catch (error) {
        for (const job of jobs) job.failed(inWords(error, path));
      }
    } while (waiting.length > 0);
    flushing = undefined;
  };

  const commit = (jobs: readonly Job[]): void => {
    const hurried = durability === "full" && !jobs.some(({ durable }) => durable);
    if (hurried) driver.exec("PRAGMA synchronous = NORMAL");
    try {
      const results = allOrEach(jobs);
      statement("COMMIT").run();
      commits++;
      for (const settle of results) settle();
    } catch (error) {
      tried("ROLLBACK");
      throw error;
    } finally {
      if (hurried) driver.exec("PRAGMA synchronous = FULL");
    }
  };

  /** Where one is refused, all is done over with a savepoint for each: that happens seldom, and savepoints cost. */
  const allOrEach = (jobs: readonly Job[]): (() => void)[] => {
    statement("BEGIN IMMEDIATE").run();
    try {
      return jobs.map((job) => attempt(job));
    } catch (error) {
      if (jobs.length === 1) throw error;
    }
    tried("ROLLBACK");
    statement("BEGIN IMMEDIATE").run();
    return jobs.map((job) => attemptAlone(job));
  };

  const attempt = (job: Job): (() => void) => {
    const result = job.step();
    return () => job.done(result);
  };

  /** One job's step; its refusal undoes that step alone. */
  const attemptAlone = (job: Job): (() => void) => {
    statement("SAVEPOINT job").run();
    try {
      const settle = attempt(job);
      statement("RELEASE job").run();
      return settle;
    } catch (error) {
      if (!tried("ROLLBACK TO job") || !tried("RELEASE job")) throw error;
      return () => job.failed(inWords(error, path));
    }
  };

  /** Some failures, a full disk among them, end the whole transaction: then there is nothing left to undo. */
  const tried = (undo: string): boolean => {
    try {
      statement(undo).run();
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
    version: () => commits + numberOf(row(statement(DATA_VERSION).get()) ?? {}, "data_version"),
    read: async (step) => {
      try {
        checkFile();
        return await whileBusy(step);
      } catch (error) {
        throw inWords(error, path);
      }
    },
    write: (step) => write(step, true),
    writeSoon: (step) => write(step, false),
    close: async () => {
      await flushing;
      if (open) driver.close();
      open = false;
    },
  };
}

/** A fault of the file that a user can mend, as a sentence; anything else as it is. */
export function inWords(error: unknown, path: string): unknown {
  if (isIpcError(error)) return error;
  const fault = fileFault(error);
  if (fault === undefined) return error;
  return new IpcError("internal", `The database ${path} ${fault}`, undefined, { cause: error });
}

const LAST_ID = "SELECT max(id) AS id FROM messages";

/** The plus keeps SQLite from going through the whole index by channel instead of through the new rows. */
const CHANGED = "SELECT channel, max(id) AS id FROM messages WHERE id > ? GROUP BY +channel";

/** Sees what other connections commit: SQLite's data_version changes with each, and asking it reads no table. */
export function createChanges({ statement, read }: Connection): () => Promise<Changes | undefined> {
  let version: number | undefined;
  let lastId = 0;

  const look = (): Changes | undefined => {
    // In this order: a commit in between is told by the next look, where the other way round it would be lost.
    const newest = numberOf(row(statement(LAST_ID).get()) ?? {}, "id");
    const now = numberOf(row(statement(DATA_VERSION).get()) ?? {}, "data_version");
    const known = version;
    if (known === undefined || known === now) {
      version = now;
      lastId = newest;
      return known === undefined ? undefined : { channels: [], others: false };
    }
    const changed = statement(CHANGED).all(lastId).filter(isRow);
    version = now;
    lastId = Math.max(lastId, ...changed.map((channel) => numberOf(channel, "id")));
    return { channels: changed.map((channel) => textOf(channel, "channel")), others: true };
  };

  return () => read(look);
}
