import type { WriteArchive } from "./core/archive.ts";
import type { Store } from "./core/store.ts";
import type { Wakeup } from "./core/wakeup.ts";
import { readAddress } from "./storage/nats/address.ts";
import { connectNats } from "./storage/nats/connection.ts";
import { namesOf } from "./storage/nats/names.ts";
import { openNatsStore } from "./storage/nats/open.ts";
import { createNatsBells } from "./wakeup/nats.ts";

export interface NatsEngine {
  readonly store: Store;
  readonly wakeup: Wakeup;
}

/** A bus on a NATS server, and its bells on the same connection. */
export async function openNats(
  address: string,
  { replicas, archive }: { readonly replicas: number; readonly archive: WriteArchive },
): Promise<NatsEngine> {
  const where = readAddress(address);
  const { bus } = where;
  const connection = await connectNats(where);
  const store = openNatsStore(connection, { bus, replicas, archive });
  const { nats } = connection;
  return { store, wakeup: createNatsBells({ nats, subjectOf: namesOf(bus).bell, changes: store.changes }) };
}
