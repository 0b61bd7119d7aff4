import { IpcError, isIpcError } from "../../core/errors.ts";
import { whileBusy } from "./busy.ts";
import { type Driver, fileFault, type Statement } from "./driver.ts";
import { createFileCheck } from "./file.ts";
import { numberOf, row } from "./rows.ts";

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
const MOST_JOBS = 250;

const VERSION = "PRAGMA data_version";

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
      const jobs = waiting.splice(0, MOST_JOBS);
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
    version: () => commits + numberOf(row(statement(VERSION).get()) ?? {}, "data_version"),
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
