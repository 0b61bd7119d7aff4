import type { WriteArchive } from "../../core/archive.ts";
import type { Store } from "../../core/store.ts";
import { createAgentStore } from "./agents.ts";
import { archiveNow } from "./archive.ts";
import { createBodies } from "./bodies.ts";
import { createChanges } from "./changes.ts";
import type { Connection } from "./connection.ts";
import { createErrands } from "./errands.ts";
import { createJournal } from "./journal.ts";
import { createLog } from "./log.ts";
import { createMailboxStore } from "./mailboxes.ts";
import { createMessageStore } from "./messages.ts";
import { createOrderStore } from "./orders.ts";
import { createPeerStore } from "./peers.ts";
import { createReset } from "./reset.ts";
import { createSignalStore } from "./signals.ts";
import { createStreams } from "./streams.ts";
import { createWatermarks } from "./watermarks.ts";

export interface NatsOptions {
  readonly bus: string;
  /** On how many servers each stream lies that is made. */
  readonly replicas: number;
  /** Where a reset's backup goes. */
  readonly archive: WriteArchive;
}

/** A bus on JetStream. The connection is closed with it. */
export function openNatsStore(connection: Connection, { bus, replicas, archive }: NatsOptions): Store {
  const streams = createStreams(connection, bus, replicas);
  const watermarks = createWatermarks(streams);
  const agents = createAgentStore(streams);
  const log = createLog(streams);
  const bodies = createBodies(streams);
  const errands = createErrands(streams, log, bodies);
  const sessions = { log, bodies, errands };
  const journal = createJournal(log);
  const archiving = { ...sessions, streams, agents, journal };
  return {
    messages: createMessageStore(streams, watermarks),
    mailboxes: createMailboxStore(streams, watermarks),
    agents,
    peers: createPeerStore(sessions),
    orders: createOrderStore(sessions),
    signals: createSignalStore(sessions),
    journal,
    archive: (after) => archiveNow(archiving, after),
    reset: createReset({ ...archiving, archive }),
    changes: createChanges(streams),
    async [Symbol.asyncDispose]() {
      await log.close();
      await connection.close();
    },
  };
}
