import { IpcError, isIpcError } from "../../core/errors.ts";
import { whileBusy } from "./busy.ts";
import { type Driver, fileFault, type Statement } from "./driver.ts";
import { createFileCheck } from "./file.ts";

/** One open database file. Steps are synchronous functions, so that nothing else comes between their statements. */
export interface Connection {
  /** The prepared statement for this text; prepared once. */
  statement(sql: string): Statement;
  /** A step that changes nothing. */
  read<T>(step: () => T): Promise<T>;
  /** A step that changes something: all of it is durable when this answers, or none of it happened. */
  write<T>(step: () => T): Promise<T>;
  close(): Promise<void>;
}

interface Job {
  readonly step: () => unknown;
  readonly done: (result: unknown) => void;
  readonly failed: (error: unknown) => void;
}

const MOST_JOBS = 1_000;

export function connect(driver: Driver, path: string): Connection {
  const checkFile = createFileCheck(path);
  const statements = new Map<string, Statement>();
  const waiting: Job[] = [];
  let flushing: Promise<void> | undefined;
  let open = true;

  const statement = (sql: string): Statement => {
    const known = statements.get(sql);
    if (known !== undefined) return known;
    const prepared = driver.prepare(sql);
    statements.set(sql, prepared);
    return prepared;
  };

  /** Writes that arrive together share one commit, and so one wait for the disk. */
  const flush = async (): Promise<void> => {
    await new Promise(setImmediate);
    while (waiting.length > 0) {
      const jobs = waiting.splice(0, MOST_JOBS);
      try {
        checkFile();
        // In one go: between two turns of the event loop no transaction is open that another step could stumble over.
        await whileBusy(() => {
          statement("BEGIN IMMEDIATE").run();
          commit(jobs);
        });
      } catch (error) {
        for (const job of jobs) job.failed(inWords(error, path));
      }
    }
    flushing = undefined;
  };

  const commit = (jobs: readonly Job[]): void => {
    try {
      const results = jobs.map((job) => attempt(job, jobs.length > 1));
      statement("COMMIT").run();
      for (const settle of results) settle();
    } catch (error) {
      tried("ROLLBACK");
      throw error;
    }
  };

  /** One job's step; its refusal undoes that step alone. */
  const attempt = (job: Job, shared: boolean): (() => void) => {
    if (!shared) {
      const result = job.step();
      return () => job.done(result);
    }
    statement("SAVEPOINT job").run();
    try {
      const result = job.step();
      statement("RELEASE job").run();
      return () => job.done(result);
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

  return {
    statement,
    read: async (step) => {
      try {
        checkFile();
        return await whileBusy(step);
      } catch (error) {
        throw inWords(error, path);
      }
    },
    write: <T>(step: () => T) =>
      new Promise<T>((resolve, reject) => {
        waiting.push({ step, done: (result) => resolve(result as T), failed: reject });
        flushing ??= flush();
      }),
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
