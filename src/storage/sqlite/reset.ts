import { closeSync, openSync, unlinkSync } from "node:fs";
import type { Reset } from "../../core/archive.ts";
import { IpcError } from "../../core/errors.ts";
import type { Connection } from "./connection.ts";
import { isUnwritable } from "./driver.ts";
import { numberOf, row } from "./rows.ts";

const NOW = `SELECT (SELECT max(id) FROM messages) AS message, (SELECT max(seq) FROM orders) AS placed,
  (SELECT max(seq) FROM journal) AS entry`;

// Only what the backup holds: what came meanwhile stays.
const REMOVE_MESSAGES = "DELETE FROM messages WHERE channel <> ? AND id <= ?";
const REMOVE_ORDERS = "DELETE FROM orders WHERE seq <= ?";
const SINCE = "SELECT key FROM journal WHERE seq > ?";
const REMOVE_PEERS = `DELETE FROM peers WHERE id NOT IN (${SINCE} AND kind = 'peer' AND what = 'connected')`;
const REMOVE_SIGNALS = `DELETE FROM signals WHERE name NOT IN (${SINCE} AND kind = 'signal')`;

/** Leaves a gap in the journal, so that whoever follows it begins anew with what is left. */
const FORGET = `INSERT INTO journal (at, kind, key, what) SELECT unixepoch('subsec'), 'signal', '', 'reset' FROM
  (VALUES (1), (2))`;
const FORGET_THE_REST = "DELETE FROM journal WHERE seq < (SELECT max(seq) FROM journal)";

const CHANGES = "SELECT changes() AS removed";

export function createReset(
  { statement, read, write }: Connection,
  path: string,
): (keptChannel: string) => Promise<Reset> {
  return async (keptChannel) => {
    const before = await read(() => row(statement(NOW).get()) ?? {});
    const backup = `${path}.backup-${new Date().toISOString().replace(/[:.]/g, "-")}`;
    await read(() => copy(backup));
    const removed = await write(() => {
      statement(REMOVE_MESSAGES).run(keptChannel, numberOf(before, "message"));
      const removed = numberOf(row(statement(CHANGES).get()) ?? {}, "removed");
      statement(REMOVE_ORDERS).run(numberOf(before, "placed"));
      for (const sql of [REMOVE_PEERS, REMOVE_SIGNALS]) statement(sql).run(numberOf(before, "entry"));
      for (const sql of [FORGET, FORGET_THE_REST]) statement(sql).run();
      return removed;
    });
    return { backup, removed };
  };

  function copy(backup: string): void {
    let made = false;
    try {
      // As private as the database itself; SQLite takes an empty file for a new one.
      closeSync(openSync(backup, "wx", 0o600));
      made = true;
      statement("VACUUM INTO ?").run(backup);
    } catch (error) {
      if (made) unlinkSync(backup);
      throw made && !isUnwritable(error) ? error : backupFault(backup, error);
    }
  }
}

function backupFault(backup: string, cause: unknown): IpcError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new IpcError(
    "internal",
    `The backup ${backup} can't be made, so nothing was removed: ${why}. ` +
      "Make room on its disk, and see whether this user may write to its folder; prune needs no backup",
    undefined,
    { cause },
  );
}
