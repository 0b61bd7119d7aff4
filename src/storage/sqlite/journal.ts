import type { Journal, JournalEntry } from "../../core/session-store.ts";
import type { Connection } from "./connection.ts";
import type { Row } from "./driver.ts";
import { isRow, numberOf, row, textOf } from "./rows.ts";

const BOUNDS = "SELECT coalesce(min(seq), 0) AS first, coalesce(max(seq), 0) AS last FROM journal";

const AFTER = "SELECT seq, at, kind, key, what FROM journal WHERE seq > ? ORDER BY seq LIMIT ?";

/** The triggers of migration 005 write it. */
export function createJournal({ statement, read }: Connection): Journal {
  const bounds = () => row(statement(BOUNDS).get()) ?? {};

  return {
    last: () => read(() => numberOf(bounds(), "last")),
    after: (seq, limit) =>
      read(() => {
        const { first, last } = { first: numberOf(bounds(), "first"), last: numberOf(bounds(), "last") };
        if (seq > last || seq < first - 1) return seq === last ? [] : undefined;
        return statement(AFTER).all(seq, limit).filter(isRow).map(asEntry);
      }),
  };
}

const KINDS: readonly JournalEntry["kind"][] = ["peer", "order", "signal"];

function asEntry(found: Row): JournalEntry {
  return {
    seq: numberOf(found, "seq"),
    at: numberOf(found, "at"),
    kind: KINDS.find((kind) => kind === found.kind) ?? "signal",
    key: textOf(found, "key"),
    what: textOf(found, "what"),
  };
}
