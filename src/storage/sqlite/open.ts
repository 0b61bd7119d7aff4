import type { Store } from "../../core/store.ts";
import { createAgentStore } from "./agents.ts";
import { createReset } from "./backup.ts";
import { createCommandStore } from "./commands.ts";
import { connect, createChanges } from "./connection.ts";
import { openDatabase, type SqliteOptions } from "./database.ts";
import { createMailboxStore } from "./mailboxes.ts";
import { createMessageStore } from "./messages.ts";
import { createSessionStore } from "./sessions.ts";
import { createJournal, createSignalStore } from "./signals.ts";

export async function openSqlite(options: SqliteOptions): Promise<Store> {
  const connection = connect(await openDatabase(options), options.path, options.durability);
  return {
    messages: createMessageStore(connection),
    agents: createAgentStore(connection),
    mailboxes: createMailboxStore(connection),
    sessions: createSessionStore(connection),
    commands: createCommandStore(connection),
    signals: createSignalStore(connection),
    journal: createJournal(connection),
    archive: async (after) => (await import("./archive.ts")).readArchive(connection, after),
    reset: createReset(connection, options.path),
    changes: createChanges(connection),
    [Symbol.asyncDispose]: connection.close,
  };
}
