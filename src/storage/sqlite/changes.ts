import type { Connection } from "./connection.ts";
import { isRow, numberOf, row, textOf } from "./rows.ts";

const VERSION = "PRAGMA data_version";

const CHANGED = "SELECT DISTINCT channel FROM messages WHERE id > ?";

const LAST_ID = "SELECT max(id) AS id FROM messages";

/** Sees what other connections commit: SQLite's data_version changes with each, and asking it reads no table. */
export function createChanges({ statement, read }: Connection): () => Promise<readonly string[] | undefined> {
  let version: number | undefined;
  let lastId = 0;

  return () =>
    read(() => {
      const now = numberOf(row(statement(VERSION).get()) ?? {}, "data_version");
      if (now === version) return [];
      const channels = statement(CHANGED)
        .all(lastId)
        .filter(isRow)
        .map((found) => textOf(found, "channel"));
      const known = version !== undefined;
      version = now;
      lastId = numberOf(row(statement(LAST_ID).get()) ?? {}, "id");
      return known ? channels : undefined;
    });
}
