import type { Journal, JournalEntry } from "../../core/session-store.ts";
import type { Connection } from "./connection.ts";
import type { Row } from "./driver.ts";
import { isRow, numberOf, row, textOf } from "./rows.ts";

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
