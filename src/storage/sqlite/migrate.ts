import { IpcError } from "../../core/errors.ts";
import { whileBusy } from "./busy.ts";
import { type Driver, isMisfit } from "./driver.ts";
import { migrations } from "./migrations.ts";
import { isRow, numberOf, row, textOf } from "./rows.ts";

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
