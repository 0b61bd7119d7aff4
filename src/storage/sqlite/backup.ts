import { closeSync, existsSync, mkdirSync, openSync, unlinkSync } from "node:fs";
import { dirname } from "node:path";
import { hasCode, IpcError, isIpcError } from "../../core/errors.ts";
import type { ResetResult } from "../../core/store.ts";
import type { Connection } from "./connection.ts";
import { isUnwritable } from "./driver.ts";
import { numberOf } from "./rows.ts";

/** Makes a new file named after the moment, for its owner alone, and fills it. A backup that fails leaves no file. */
export async function makeBackup(
  pathAt: (moment: string) => string,
  fill: (path: string) => Promise<void>,
): Promise<string> {
  const path = makeFile(pathAt);
  try {
    await fill(path);
  } catch (error) {
    unlinkSync(path);
    // Opening the file may have explained the fault already.
    const cause = isIpcError(error) ? error.cause : error;
    throw isUnwritable(cause) ? backupFault(path, cause) : error;
  }
  return path;
}

/** Makes an empty file, which SQLite takes for a new database. Where the name is taken, it takes the next millisecond. */
function makeFile(pathAt: (moment: string) => string): string {
  for (let at = Date.now(); ; at++) {
    const path = pathAt(new Date(at).toISOString().replace(/[:.]/g, "-"));
    try {
      if (!existsSync(dirname(path))) mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      closeSync(openSync(path, "wx", 0o600));
      return path;
    } catch (error) {
      if (!hasCode(error, "EEXIST") || !existsSync(path)) throw backupFault(path, error);
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

const NEWEST = `SELECT (SELECT max(id) FROM messages) AS message, (SELECT max(seq) FROM orders) AS placed,
  (SELECT max(seq) FROM journal) AS entry`;

// Only what the backup holds is removed: what arrived meanwhile stays.
const REMOVE_MESSAGES = "DELETE FROM messages WHERE channel <> ? AND id <= ?";
const REMOVE_ORDERS = "DELETE FROM orders WHERE seq <= ?";
const SINCE = "SELECT key FROM journal WHERE seq > ?";
const REMOVE_PEERS = `DELETE FROM peers WHERE id NOT IN (${SINCE} AND kind = 'peer' AND what = 'connected')`;
const REMOVE_SIGNALS = `DELETE FROM signals WHERE name NOT IN (${SINCE} AND kind = 'signal')`;

/** Leaves a gap in the journal, so that its followers start over. */
const LEAVE_GAP = `INSERT INTO journal (at, kind, key, what) SELECT unixepoch('subsec'), 'signal', '', 'reset' FROM
  (VALUES (1), (2))`;
const REMOVE_ENTRIES = "DELETE FROM journal WHERE seq < (SELECT max(seq) FROM journal)";

export function createReset(
  { statement, read, write }: Connection,
  path: string,
): (keptChannel: string) => Promise<ResetResult> {
  return async (keptChannel) => {
    const before = await read(() => statement(NEWEST).get());
    const backup = await makeBackup(
      (moment) => `${path}.backup-${moment}`,
      (backup) => read(() => void statement("VACUUM INTO ?").run(backup)),
    );
    const removed = await write(() => {
      const { changes } = statement(REMOVE_MESSAGES).run(keptChannel, numberOf(before, "message"));
      statement(REMOVE_ORDERS).run(numberOf(before, "placed"));
      for (const sql of [REMOVE_PEERS, REMOVE_SIGNALS]) statement(sql).run(numberOf(before, "entry"));
      for (const sql of [LEAVE_GAP, REMOVE_ENTRIES]) statement(sql).run();
      return Number(changes);
    });
    return { backup, removed };
  };
}
