import { BATCH_BYTES } from "../../core/limits.ts";
import type { Journal, Signal, SignalStore } from "../../core/store.ts";
import type { Connection } from "./connection.ts";
import type { Statement } from "./driver.ts";
import { numberOf, tableOf, textOf } from "./rows.ts";

const signals = tableOf("signals");

const SET = `${signals.insert}
  ON CONFLICT (name) DO UPDATE SET data = excluded.data, sender = excluded.sender, set_at = excluded.set_at`;

const GET = `SELECT ${signals.columns} FROM signals WHERE name = ?`;

const LATEST_FIRST = `SELECT ${signals.columns} FROM signals ORDER BY set_at DESC, name DESC`;

const CLEAR = "DELETE FROM signals WHERE name = ? RETURNING name";

export function createSignalStore({ statement, read, write }: Connection): SignalStore {
  return {
    set: (signal) => write(() => setSignal(statement, signal)),

    get: (name) =>
      read(() => {
        const found = statement(GET).get(name);
        return found && signals.read(found);
      }),

    list: () => read(() => listLatest(statement(LATEST_FIRST))),

    clear: (name) => write(() => statement(CLEAR).get(name) !== undefined),
  };
}

/** A part of a step that writes. */
export function setSignal(statement: (sql: string) => Statement, signal: Signal): void {
  statement(SET).run(...signals.values(signal));
}

/** The latest last, up to an answer's size in bytes. */
function listLatest(query: Statement): Signal[] {
  const found: Signal[] = [];
  let bytes = 0;
  for (const row of query.iterate()) {
    bytes += Buffer.byteLength(textOf(row, "data"));
    if (found.length > 0 && bytes > BATCH_BYTES) break;
    found.push(signals.read(row));
  }
  return found.reverse();
}

const entries = tableOf("journal");

const LAST = "SELECT max(seq) AS last FROM journal";

const AFTER = `SELECT ${entries.columns} FROM journal WHERE seq > ? ORDER BY seq LIMIT +?`;

/** The triggers of the tables write it. */
export function createJournal({ statement, read }: Connection): Journal {
  const last = () => numberOf(statement(LAST).get(), "last");

  return {
    last: () => read(last),
    after: (seq, limit) =>
      read(() => {
        const newest = last();
        const found = statement(AFTER).all(seq, limit).map(entries.read);
        // The numbers have no gaps but where entries were removed.
        const next = found[0]?.seq ?? newest + 1;
        return next === seq + 1 ? found : undefined;
      }),
  };
}
