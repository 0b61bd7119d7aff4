import { join } from "node:path";
import type { Bus } from "./core/bus.ts";
import type { Archive } from "./core/store.ts";
import { readAddress } from "./storage/nats/address.ts";
import { connectNats } from "./storage/nats/connection.ts";
import { namesOf } from "./storage/nats/names.ts";
import { openNatsStore } from "./storage/nats/open.ts";
import { createNatsBells } from "./wakeup/nats.ts";

export interface NatsOptions {
  readonly replicas: number;
  /** Waits without limit while no server answers. */
  readonly retry?: boolean;
  readonly signal?: AbortSignal | undefined;
  /** The folder for the databases in which resets back up the bus. */
  readonly backups: string;
}

/** A bus on a NATS server. Its wake-ups use the same connection. */
export async function openNats(
  address: string,
  { replicas, retry = false, signal, backups }: NatsOptions,
): Promise<Pick<Bus, "store" | "wakeup">> {
  const parsed = readAddress(address);
  const waiting = { ...parsed, patience: Number.POSITIVE_INFINITY, waitsForServer: true };
  const connection = await connectNats(retry ? waiting : parsed, signal);
  const { bus } = parsed;
  const backUp = async (archive: Archive) => {
    const { writeArchive } = await import("./storage/sqlite/archive.ts");
    return writeArchive((moment) => join(backups, `${bus}-${moment}.db`), archive);
  };
  const store = openNatsStore(connection, { bus, replicas, archive: backUp, now: () => Date.now() / 1_000 });
  const { nats } = connection;
  return { store, wakeup: createNatsBells({ nats, subjectOf: namesOf(bus).bell, changes: store.changes }) };
}
