import { BATCH_BYTES } from "../../core/limits.ts";
import type { Signal, SignalStore } from "../../core/session-store.ts";
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
