import { IpcError } from "../../core/errors.ts";
import { whileBusy } from "./busy.ts";
import { type Durability, inWords } from "./connection.ts";
import { type Driver, type DriverName, openDriver } from "./driver.ts";
import { prepareFile } from "./file.ts";
import { migrate } from "./migrate.ts";

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
