import { join } from "node:path";
import type { Archive, Store } from "./core/store.ts";
import type { Wakeup } from "./core/waiting.ts";
import { readAddress } from "./storage/nats/address.ts";
import { connectNats } from "./storage/nats/connection.ts";
import { namesOf } from "./storage/nats/names.ts";
import { openNatsStore } from "./storage/nats/open.ts";
import { createNatsBells } from "./wakeup/nats.ts";

export interface NatsOptions {
  readonly replicas: number;
  /** While no server answers one is waited for, however long that takes. */
  readonly retry?: boolean;
  readonly signal?: AbortSignal | undefined;
  /** The folder where a reset copies the bus to before, as a database. */
  readonly backups: string;
}

export interface NatsEngine {
  readonly store: Store;
  readonly wakeup: Wakeup;
}

/** A bus on a NATS server, and its bells on the same connection. */
export async function openNats(
  address: string,
  { replicas, retry = false, signal, backups }: NatsOptions,
): Promise<NatsEngine> {
  const named = readAddress(address);
  const where = retry ? { ...named, patience: Number.POSITIVE_INFINITY, patient: true } : named;
  const { bus } = where;
  const connection = await connectNats(where, signal);
  const backUp = async (archive: Archive) => {
    const { writeArchive } = await import("./storage/sqlite/archive.ts");
    return writeArchive((moment) => join(backups, `${bus}-${moment}.db`), archive);
  };
  const store = openNatsStore(connection, { bus, replicas, archive: backUp });
  const { nats } = connection;
  return { store, wakeup: createNatsBells({ nats, subjectOf: namesOf(bus).bell, changes: store.changes }) };
}
