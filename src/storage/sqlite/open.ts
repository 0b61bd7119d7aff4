import { IpcError } from "../../core/errors.ts";
import type { Store } from "../../core/store.ts";
import { createAgentStore } from "./agents.ts";
import { whileBusy } from "./busy.ts";
import { createChanges } from "./changes.ts";
import { connect, type Durability, inWords } from "./connection.ts";
import { type Driver, type DriverName, openDriver } from "./driver.ts";
import { prepareFile } from "./file.ts";
import { createJournal } from "./journal.ts";
import { createMailboxStore } from "./mailboxes.ts";
import { createMessageStore } from "./messages.ts";
import { migrate } from "./migrate.ts";
import { createOrderStore } from "./orders.ts";
import { createPeerStore } from "./peers.ts";
import { createReset } from "./reset.ts";
import { createSignalStore } from "./signals.ts";

export interface SqliteOptions {
  readonly path: string;
  readonly durability?: Durability;
  /** The library to use, where it isn't to be chosen. */
  readonly driver?: DriverName;
}

export async function openSqlite(options: SqliteOptions): Promise<Store> {
  const connection = connect(await openFile(options), options.path, options.durability);
  return {
    messages: createMessageStore(connection),
    agents: createAgentStore(connection),
    mailboxes: createMailboxStore(connection),
    peers: createPeerStore(connection),
    orders: createOrderStore(connection),
    signals: createSignalStore(connection),
    journal: createJournal(connection),
    archive: async (after) => (await import("./archive.ts")).readArchive(connection, after),
    reset: createReset(connection, options.path),
    changes: createChanges(connection),
    [Symbol.asyncDispose]: connection.close,
  };
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
