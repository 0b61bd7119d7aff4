import { copyFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { migrations } from "../../src/storage/sqlite/database.ts";
import type { Folder } from "./folder.ts";
import { runCommand } from "./processes.ts";
import { command, on } from "./program.ts";

const [originalTables = ""] = migrations;

const BUSY_CHANNELS = 100;

const MAX_UPGRADE_MS = 600_000;

/** Messages that are old and many; in `quiet` ten of them, the others in a hundred busy channels. */
const FILL = `INSERT INTO messages (channel, sender, content, created_at, signature)
  WITH RECURSIVE counted (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < ?1)
  SELECT CASE WHEN n % (?1 / 10) = 5 THEN 'quiet' ELSE 'busy-' || (n % ${BUSY_CHANNELS}) END,
    'herald', 'message ' || n || ': main is green, all tests passed in four minutes', 1.7e9 + n, ''
  FROM counted`;

/** Puts the watermark ten messages before the end of the busy channel; the quiet one stays unread. */
const READ = `INSERT INTO watermarks (agent, channel, last_id)
  SELECT 'reader', 'busy-1', id FROM messages WHERE channel = 'busy-1' ORDER BY id DESC LIMIT 1 OFFSET 10`;

export interface Fixture {
  /** Ours: opened once, and so with all that we add to the original's tables. */
  readonly database: string;
  /** As the original keeps it. */
  readonly untouched: string;
}

/** A database file with so many messages, as the original would have it and as we have it. */
export function makeFixture(folder: Folder, count: number, withOriginal: boolean): Fixture {
  const database = `${count}.db`;
  const untouched = `${count}-original.db`;
  const file = new DatabaseSync(folder.file(database));
  file.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF");
  file.exec(originalTables);
  file.exec("BEGIN");
  file.prepare(FILL).run(count);
  file.exec(READ);
  file.exec("COMMIT");
  file.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  file.close();
  if (withOriginal) copyFileSync(folder.file(database), folder.file(untouched));
  // Opening it adds what we add; with ten million messages that takes a while, once.
  runCommand(command("health"), on(folder, database), MAX_UPGRADE_MS);
  return { database, untouched };
}
