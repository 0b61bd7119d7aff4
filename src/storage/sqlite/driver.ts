import { existsSync } from "node:fs";
import { dirname, join } from "node:path";

/** The part of a SQLite library that the engine uses, and that better-sqlite3 and node:sqlite share. */
export interface Driver {
  prepare(sql: string): Statement;
  exec(sql: string): void;
  close(): void;
}

export type Value = string | number | null;
export type Row = Readonly<Record<string, unknown>>;

export interface Statement {
  run(...values: Value[]): { readonly lastInsertRowid: number | bigint; readonly changes: number | bigint };
  get(...values: Value[]): Row | undefined;
  all(...values: Value[]): Row[];
  iterate(...values: Value[]): Iterable<Row>;
}

export const drivers = ["better-sqlite3", "node:sqlite"] as const;
export type DriverName = (typeof drivers)[number];

/**
 * Opens better-sqlite3 where it can be loaded, else node:sqlite, which every supported Node has. A process must use one of
 * them for a file: two SQLite libraries break each other's locks.
 */
export async function openDriver(path: string, name?: DriverName): Promise<Driver> {
  if (name === "better-sqlite3") return openBetterSqlite(path);
  if (name === "node:sqlite") return openNodeSqlite(path);
  try {
    return await openBetterSqlite(path);
  } catch (error) {
    if (isSqliteError(error)) throw error;
    return openNodeSqlite(path);
  }
}

// Neither library waits for a busy file: retryWhileBusy does.

async function openBetterSqlite(path: string): Promise<Driver> {
  // Below Node-API 10 the library doesn't fail to load: it ends the process.
  if (Number(process.versions.napi) < 10) throw new Error("better-sqlite3 needs Node-API 10");
  const { default: Database } = await import("better-sqlite3");
  let failure: unknown = new Error("better-sqlite3 is not installed");
  for (const nativeBinding of findAddons()) {
    try {
      return new Database(path, { timeout: 0, nativeBinding });
    } catch (error) {
      if (isSqliteError(error)) throw error;
      failure = error;
    }
  }
  throw failure;
}

/**
 * Finds better-sqlite3's native addons. Its JavaScript is part of our built files, so that a send opens one file instead
 * of fifteen. On Linux there are two, and the one for another C library fails to load.
 */
function findAddons(): string[] {
  const platforms = process.platform === "linux" ? ["linux", "linuxmusl"] : [process.platform];
  const names = platforms.map((platform) => `node_modules/better-sqlite3/prebuilds/${platform}-${process.arch}.node`);
  const found: string[] = [];
  for (let folder = import.meta.dirname; found.length === 0; folder = dirname(folder)) {
    found.push(...names.map((name) => join(folder, name)).filter((file) => existsSync(file)));
    if (dirname(folder) === folder) break;
  }
  return found;
}

function openNodeSqlite(path: string): Driver {
  const database = new (loadNodeSqlite().DatabaseSync)(path);
  return {
    prepare: (sql) => database.prepare(sql),
    exec: (sql) => database.exec(sql),
    close: () => database.close(),
  };
}

/** Suppresses Node's experimental warning: on an event source's stderr it would become part of the event. */
function loadNodeSqlite() {
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    return process.getBuiltinModule("node:sqlite");
  } finally {
    process.emitWarning = emitWarning;
  }
}

/** SQLite's names for the result codes that node:sqlite gives as numbers. */
const CODES = new Map([
  [1, "ERROR"],
  [5, "BUSY"],
  [8, "READONLY"],
  [10, "IOERR"],
  [11, "CORRUPT"],
  [13, "FULL"],
  [14, "CANTOPEN"],
  [26, "NOTADB"],
]);

/** SQLite's primary result code in either library's error, by name; undefined for an error of another kind. */
function resultCode(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  if ("errcode" in error && typeof error.errcode === "number") return CODES.get(error.errcode & 0xff) ?? "";
  return "code" in error && typeof error.code === "string" ? /^SQLITE_([^_]*)/.exec(error.code)?.[1] : undefined;
}

function isSqliteError(error: unknown): boolean {
  return resultCode(error) !== undefined;
}

/** The file is a database, but doesn't have the tables that a statement names. */
export function isSchemaMismatch(error: unknown): boolean {
  return resultCode(error) === "ERROR";
}

export function isBusy(error: unknown): boolean {
  return resultCode(error) === "BUSY";
}

/** The disk is full or failing, or the file may not be written. */
export function isUnwritable(error: unknown): boolean {
  return ["READONLY", "IOERR", "FULL", "CANTOPEN"].includes(resultCode(error) ?? "");
}

/** The fault of the file and what the user can do about it; undefined for any other error. */
export function describeFault(error: unknown): string | undefined {
  switch (resultCode(error)) {
    case "READONLY":
    case "CANTOPEN":
      return "can't be written: see whether this user may write to the file and to its folder, and whether the disk is read-only or full";
    case "IOERR":
      return "can't be read or written: its disk is full or failing. Make room on it and try again; what was acknowledged is there";
    case "CORRUPT":
      return "is damaged: stop what has it open, move it away together with its -wal and -shm, and put a backup in its place, or begin anew without one";
    case "NOTADB":
      return "is not an SQLite database: set IPC_DB_PATH to another file or, if it was one, put a backup in its place";
    case "FULL":
      return "can't grow: the disk is full. Make room on it and try again; what was acknowledged is there";
    default:
      return undefined;
  }
}
