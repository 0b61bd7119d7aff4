import { closeSync, openSync } from "node:fs";
import type { Reset } from "../../core/store.ts";
import { whileBusy } from "./busy.ts";
import type { Connection } from "./connection.ts";
import { numberOf, row } from "./rows.ts";

const LAST_ID = "SELECT max(id) AS id FROM messages";

/** Only what the backup holds: a message that came meanwhile stays. */
const REMOVE = "DELETE FROM messages WHERE channel <> ? AND id <= ?";

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
    const last = await read(() => numberOf(row(statement(LAST_ID).get()) ?? {}, "id"));
    const backup = `${path}.backup-${new Date().toISOString().replace(/[:.]/g, "-")}`;
    // As private as the database itself; SQLite takes an empty file for a new one.
    closeSync(openSync(backup, "wx", 0o600));
    await whileBusy(() => statement("VACUUM INTO ?").run(backup));
    const removed = await write(() => {
      statement(REMOVE).run(keptChannel, last);
      const removed = numberOf(row(statement(CHANGES).get()) ?? {}, "removed");
      for (const table of ["orders", "peers", "signals"]) statement(`DELETE FROM ${table}`).run();
      for (const step of [FORGET, FORGET_THE_REST]) statement(step).run();
      return removed;
    });
    return { backup, removed };
  };
}
