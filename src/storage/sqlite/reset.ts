import type { Reset } from "../../core/archive.ts";
import { makeBackup } from "./backup.ts";
import type { Connection } from "./connection.ts";
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
    const backup = await makeBackup(
      (moment) => `${path}.backup-${moment}`,
      (backup) => read(() => void statement("VACUUM INTO ?").run(backup)),
    );
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
}
