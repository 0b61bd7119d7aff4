import type { Changes } from "../../core/store.ts";
import type { Connection } from "./connection.ts";
import { isRow, numberOf, row, textOf } from "./rows.ts";

const VERSION = "PRAGMA data_version";

const LAST_ID = "SELECT max(id) AS id FROM messages";

/** The plus keeps SQLite from going through the whole index by channel instead of through the new rows. */
const CHANGED = "SELECT channel, max(id) AS id FROM messages WHERE id > ? GROUP BY +channel";

/** Sees what other connections commit: SQLite's data_version changes with each, and asking it reads no table. */
export function createChanges({ statement, read }: Connection): () => Promise<Changes | undefined> {
  let version: number | undefined;
  let lastId = 0;

  const look = (): Changes | undefined => {
    // In this order: a commit in between is told by the next look, where the other way round it would be lost.
    const newest = numberOf(row(statement(LAST_ID).get()) ?? {}, "id");
    const now = numberOf(row(statement(VERSION).get()) ?? {}, "data_version");
    const known = version;
    if (known === undefined || known === now) {
      version = now;
      lastId = newest;
      return known === undefined ? undefined : { channels: [], others: false };
    }
    const changed = statement(CHANGED).all(lastId).filter(isRow);
    version = now;
    lastId = Math.max(lastId, ...changed.map((channel) => numberOf(channel, "id")));
    return { channels: changed.map((channel) => textOf(channel, "channel")), others: true };
  };

  return () => read(look);
}
