import { BATCH_BYTES } from "../../core/limits.ts";
import type { Journal, JournalEntry, Signal, SignalStore } from "../../core/store.ts";
import type { Connection } from "./connection.ts";
import type { Row, Statement } from "./driver.ts";
import { isRow, jsonOf, numberOf, row, textOf } from "./rows.ts";

export const SET_SIGNAL = `INSERT INTO signals (name, data, sender, set_at) VALUES (?, ?, ?, ?)
  ON CONFLICT (name) DO UPDATE SET data = excluded.data, sender = excluded.sender, set_at = excluded.set_at`;

const GET = "SELECT * FROM signals WHERE name = ?";

const LATEST = "SELECT * FROM signals ORDER BY set_at DESC, name DESC";

const CLEAR = "DELETE FROM signals WHERE name = ? RETURNING name";

export function createSignalStore({ statement, read, write }: Connection): SignalStore {
  return {
    set: ({ name, data, sender, setAt }) =>
      write(() => void statement(SET_SIGNAL).run(name, JSON.stringify(data ?? null), sender, setAt)),

    get: (name) =>
      read(() => {
        const found = row(statement(GET).get(name));
        return found && asSignal(found);
      }),

    list: () => read(() => latest(statement(LATEST))),

    clear: (name) => write(() => statement(CLEAR).get(name) !== undefined),
  };
}

/** The latest last, up to an answer's size in bytes. */
function latest(query: Statement): Signal[] {
  const signals: Signal[] = [];
  let bytes = 0;
  for (const found of query.iterate()) {
    if (!isRow(found)) continue;
    bytes += Buffer.byteLength(textOf(found, "data"));
    if (signals.length > 0 && bytes > BATCH_BYTES) break;
    signals.push(asSignal(found));
  }
  return signals.reverse();
}

export function asSignal(found: Row): Signal {
  return {
    name: textOf(found, "name"),
    data: jsonOf(found, "data"),
    sender: textOf(found, "sender"),
    setAt: numberOf(found, "set_at"),
  };
}

const LAST = "SELECT max(seq) AS last FROM journal";

const AFTER = "SELECT seq, at, kind, key, what FROM journal WHERE seq > ? ORDER BY seq LIMIT +?";

/** The triggers of migration 005 write it. */
export function createJournal({ statement, read }: Connection): Journal {
  const last = () => numberOf(row(statement(LAST).get()) ?? {}, "last");

  return {
    last: () => read(last),
    after: (seq, limit) =>
      read(() => {
        const newest = last();
        const entries = statement(AFTER).all(seq, limit).filter(isRow).map(asEntry);
        // There is no gap in the numbers but where entries were removed.
        const next = entries[0]?.seq ?? newest + 1;
        return next === seq + 1 ? entries : undefined;
      }),
  };
}

const KINDS: readonly JournalEntry["kind"][] = ["peer", "order", "signal"];

export function asEntry(found: Row): JournalEntry {
  return {
    seq: numberOf(found, "seq"),
    at: numberOf(found, "at"),
    kind: KINDS.find((kind) => kind === found.kind) ?? "signal",
    key: textOf(found, "key"),
    what: textOf(found, "what"),
  };
}
