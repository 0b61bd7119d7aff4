import { IpcError } from "../../core/errors.ts";
import { type Durability, inWords, whileBusy } from "./connection.ts";
import { type Driver, type DriverName, isMisfit, openDriver } from "./driver.ts";
import { prepareFile } from "./file.ts";
import originalTables from "./migrations/001-original-tables.sql";
import channels from "./migrations/002-channels.sql";
import trust from "./migrations/003-trust.sql";
import readers from "./migrations/004-readers.sql";
import sessions from "./migrations/005-sessions.sql";
import mailboxes from "./migrations/006-mailboxes.sql";
import agentsPeers from "./migrations/007-agents-peers.sql";
import { isRow, numberOf, row, textOf } from "./rows.ts";

/** In order; `PRAGMA user_version` says how many of them a file has had. */
export const migrations: readonly string[] = [
  originalTables,
  channels,
  trust,
  readers,
  sessions,
  mailboxes,
  agentsPeers,
];

/** Brings a file up to date. One that is up to date already costs a look and no write. */
export async function migrate(driver: Driver, path: string): Promise<void> {
  const version = await whileBusy(() => versionOf(driver));
  if (version === migrations.length) return;
  if (version > migrations.length) {
    throw new IpcError("invalid", `The database ${path} was made by a newer el-ipc; update this one to use it`);
  }
  await whileBusy(() => driver.prepare("PRAGMA journal_mode = WAL").get());
  await whileBusy(() => driver.exec("BEGIN IMMEDIATE"));
  try {
    // Another process may have done it meanwhile.
    for (let done = versionOf(driver); done < migrations.length; done++) {
      driver.exec(migrations[done] ?? "");
      if (done === 0) addSignatures(driver);
      driver.exec(`PRAGMA user_version = ${done + 1}`);
    }
    driver.exec("COMMIT");
  } catch (error) {
    rollBack(driver);
    if (!isMisfit(error)) throw error;
    const what = `The database ${path} holds tables of another program; set IPC_DB_PATH to a file of its own`;
    throw new IpcError("invalid", what, undefined, { cause: error });
  }
}

function rollBack(driver: Driver): void {
  try {
    driver.exec("ROLLBACK");
  } catch {
    // Some failures, a full disk among them, have ended the transaction already.
  }
}

function versionOf(driver: Driver): number {
  return numberOf(row(driver.prepare("PRAGMA user_version").get()) ?? {}, "user_version");
}

/** The first versions of the original had no signatures. */
function addSignatures(driver: Driver): void {
  const columns = driver.prepare("PRAGMA table_info (messages)").all().filter(isRow);
  if (columns.some((column) => textOf(column, "name") === "signature")) return;
  driver.exec("ALTER TABLE messages ADD COLUMN signature TEXT DEFAULT ''");
}

export interface SqliteOptions {
  readonly path: string;
  readonly durability?: Durability;
  /** The library to use, where it isn't to be chosen. */
  readonly driver?: DriverName;
}

/** Opens the file, made or brought up to date where it must be. */
export async function openFile({ path, durability = "full", driver: name }: SqliteOptions): Promise<Driver> {
  prepareFile(path);
  const driver = await opened(path, name);
  try {
    await migrate(driver, path);
    await whileBusy(() => driver.exec(`PRAGMA synchronous = ${durability === "full" ? "FULL" : "NORMAL"}`));
    return driver;
  } catch (error) {
    driver.close();
    throw inWords(error, path);
  }
}

async function opened(path: string, name: DriverName | undefined): Promise<Driver> {
  try {
    return await openDriver(path, name);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new IpcError("invalid", `The database ${path} can't be opened: ${why}`, undefined, { cause: error });
  }
}
