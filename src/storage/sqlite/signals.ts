import type { Journal, Signal, SignalStore } from "../../core/store.ts";
import type { Connection } from "./connection.ts";
import type { Statement } from "./driver.ts";
import { numberOf, readBatch, tableOf } from "./rows.ts";

const signals = tableOf("signals");

const SET = `${signals.insert}
  ON CONFLICT (name) DO UPDATE SET data = excluded.data, sender = excluded.sender, set_at = excluded.set_at`;

const GET = `SELECT ${signals.columns} FROM signals WHERE name = ?`;
const LATEST_FIRST = `SELECT ${signals.columns} FROM signals ORDER BY set_at DESC, name DESC`;
const CLEAR = "DELETE FROM signals WHERE name = ? RETURNING name";

export function createSignalStore({ statement, read, write }: Connection): SignalStore {
  return {
    set: (signal) => write(() => setSignal(statement, signal)),

    get: (name) => read(() => signals.find(statement(GET), name)),

    list: () => read(() => readBatch(statement(LATEST_FIRST).iterate(), signals.read, ["data"]).reverse()),

    clear: (name) => write(() => statement(CLEAR).get(name) !== undefined),
  };
}

/** A part of a step that writes. */
export function setSignal(statement: (sql: string) => Statement, signal: Signal): void {
  statement(SET).run(...signals.values(signal));
}

const entries = tableOf("journal");

const LAST = "SELECT max(seq) AS last FROM journal";
const AFTER = `SELECT ${entries.columns} FROM journal WHERE seq > ? ORDER BY seq LIMIT +?`;

/** The journal's entries are written by triggers. */
export function createJournal({ statement, read }: Connection): Journal {
  const last = () => numberOf(statement(LAST).get(), "last");

  return {
    last: () => read(last),
    after: (seq, limit) =>
      read(() => {
        const newest = last();
        const found = statement(AFTER).all(seq, limit).map(entries.read);
        // The numbers have gaps only where entries were removed.
        const next = found[0]?.seq ?? newest + 1;
        return next === seq + 1 ? found : undefined;
      }),
  };
}
