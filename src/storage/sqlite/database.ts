import { IpcError } from "../../core/errors.ts";
import { type Durability, explainFault, retryWhileBusy } from "./connection.ts";
import { type Driver, type DriverName, isSchemaMismatch, openDriver } from "./driver.ts";
import { prepareFile } from "./file.ts";
import { numberOf, textOf } from "./rows.ts";
import tables from "./tables.sql";

export interface SqliteOptions {
  readonly path: string;
  readonly durability?: Durability;
  /** The library to use; by default the first that can be loaded. */
  readonly driver?: DriverName;
}

/** Opens a database file, and makes it or brings it up to date where needed. */
export async function openDatabase({ path, durability = "full", driver: name }: SqliteOptions): Promise<Driver> {
  prepareFile(path);
  const driver = await openLibrary(path, name);
  try {
    await migrate(driver, path);
    await retryWhileBusy(() => driver.exec(`PRAGMA synchronous = ${durability === "full" ? "FULL" : "NORMAL"}`));
    return driver;
  } catch (error) {
    driver.close();
    throw explainFault(error, path);
  }
}

async function openLibrary(path: string, name: DriverName | undefined): Promise<Driver> {
  try {
    return await openDriver(path, name);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new IpcError("invalid", `The database ${path} can't be opened: ${why}`, undefined, { cause: error });
  }
}

/** The statements that lead from each version of the tables to the next. */
export const migrations: readonly string[] = tables.split(/^-- Version \d+: .*$/m).slice(1);

/** A file that is up to date is not written to. */
async function migrate(driver: Driver, path: string): Promise<void> {
  const version = await retryWhileBusy(() => versionOf(driver));
  if (version === migrations.length) return;
  if (version > migrations.length) {
    throw new IpcError("invalid", `The database ${path} was made by a newer el-ipc; update this one to use it`);
  }
  await retryWhileBusy(() => driver.prepare("PRAGMA journal_mode = WAL").get());
  await retryWhileBusy(() => driver.exec("BEGIN IMMEDIATE"));
  try {
    // The version again: another process may have migrated the file meanwhile.
    for (let done = versionOf(driver); done < migrations.length; done++) {
      driver.exec(migrations[done] ?? "");
      if (done === 0) addSignatures(driver);
      driver.exec(`PRAGMA user_version = ${done + 1}`);
    }
    driver.exec("COMMIT");
  } catch (error) {
    rollBack(driver);
    if (!isSchemaMismatch(error)) throw error;
    const what = `The database ${path} holds tables of another program; set IPC_DB_PATH to a file of its own`;
    throw new IpcError("invalid", what, undefined, { cause: error });
  }
}

function rollBack(driver: Driver): void {
  try {
    driver.exec("ROLLBACK");
  } catch {
    // Some failures, such as a full disk, have ended the transaction already.
  }
}

function versionOf(driver: Driver): number {
  return numberOf(driver.prepare("PRAGMA user_version").get(), "user_version");
}

/** The first versions of the Python original had no signatures. */
function addSignatures(driver: Driver): void {
  const columns = driver.prepare("PRAGMA table_info (messages)").all();
  if (columns.some((column) => textOf(column, "name") === "signature")) return;
  driver.exec("ALTER TABLE messages ADD COLUMN signature TEXT DEFAULT ''");
}
