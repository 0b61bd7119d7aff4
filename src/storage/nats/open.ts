import type { Store, WriteArchive } from "../../core/store.ts";
import { createAgentStore } from "./agents.ts";
import { archiveBus, createReset } from "./archive.ts";
import { createCommandStore } from "./commands.ts";
import type { Connection } from "./connection.ts";
import { createJournal, createLog } from "./log.ts";
import { createChanges, createMessageStore } from "./messages.ts";
import { createOutbox } from "./outbox.ts";
import { createPayloads } from "./payloads.ts";
import { createMailboxStore, createWatermarks } from "./readers.ts";
import { createSessionStore } from "./sessions.ts";
import { createSignalStore } from "./signals.ts";
import { createStreams } from "./streams.ts";

export interface NatsOptions {
  readonly bus: string;
  /** The number of servers that a new stream is stored on. */
  readonly replicas: number;
  /** Writes a reset's backup. */
  readonly archive: WriteArchive;
  /** The time in seconds. */
  readonly now: () => number;
}

/** A bus on JetStream. Closing it closes the connection. */
export function openNatsStore(connection: Connection, { bus, replicas, archive, now }: NatsOptions): Store {
  const streams = createStreams(connection, bus, replicas);
  const watermarks = createWatermarks(streams);
  const agents = createAgentStore(streams);
  const log = createLog(streams, now);
  const payloads = createPayloads(streams);
  const context = { log, payloads, outbox: createOutbox(streams, log, payloads) };
  const journal = createJournal(log);
  const archiveContext = { ...context, streams, agents, journal };
  return {
    messages: createMessageStore(streams, watermarks),
    mailboxes: createMailboxStore(streams, watermarks),
    agents,
    sessions: createSessionStore(context),
    commands: createCommandStore(context),
    signals: createSignalStore(context),
    journal,
    archive: (after) => archiveBus(archiveContext, after),
    reset: createReset(archiveContext, archive),
    changes: createChanges(streams),
    async [Symbol.asyncDispose]() {
      await log.close();
      await connection.close();
    },
  };
}
