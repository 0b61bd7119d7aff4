import type { Store, WriteArchive } from "../../core/store.ts";
import { createAgentStore } from "./agents.ts";
import { archiveNow, createReset } from "./archive.ts";
import { createCommandStore } from "./commands.ts";
import type { Connection } from "./connection.ts";
import { createJournal, createLog } from "./log.ts";
import { createChanges } from "./message-stream.ts";
import { createMessageStore } from "./messages.ts";
import { createErrands } from "./outbox.ts";
import { createBodies } from "./payloads.ts";
import { createMailboxStore, createWatermarks } from "./readers.ts";
import { createSessionStore } from "./sessions.ts";
import { createSignalStore } from "./signals.ts";
import { createStreams } from "./streams.ts";

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
    sessions: createSessionStore(sessions),
    commands: createCommandStore(sessions),
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
