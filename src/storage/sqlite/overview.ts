import { BATCH_BYTES } from "../../core/limits.ts";
import type { Envelope, MessageStore } from "../../core/store.ts";
import type { Connection } from "./connection.ts";
import type { Row } from "./driver.ts";
import { isRow, numberOf, row, textOf } from "./rows.ts";

/** Newest first. A message's time lies behind its content in the file, so what is looked at is counted in bytes too. */
const RECENT = `SELECT id, channel, sender, created_at, octet_length(content) AS bytes FROM messages
  ORDER BY id DESC LIMIT +?`;

const COUNT = `SELECT count(*) AS count FROM
  (SELECT 1 FROM messages WHERE channel = ? AND id > ? AND id <= ? LIMIT +?)`;

const WATERMARKS = "SELECT agent, channel, last_id FROM watermarks ORDER BY last_id DESC LIMIT +?";

/** Clocks differ: a message may be a little younger than the one that came after it. */
const CLOCK_SECONDS = 60;

/** What those ask who watch the whole bus. */
export function createOverview({ statement, read }: Connection): Pick<MessageStore, "recent" | "count" | "watermarks"> {
  return {
    recent: (since, limit) =>
      read(() => {
        const found: Envelope[] = [];
        let bytes = 0;
        for (const next of statement(RECENT).iterate(limit)) {
          if (!isRow(next)) continue;
          const envelope = asEnvelope(next);
          bytes += numberOf(next, "bytes");
          if (envelope.timestamp < since - CLOCK_SECONDS || bytes > 4 * BATCH_BYTES) break;
          if (envelope.timestamp >= since) found.push(envelope);
        }
        return found;
      }),

    count: (channel, after, upTo, most) =>
      read(() => numberOf(row(statement(COUNT).get(channel, after, upTo, most)) ?? {}, "count")),

    watermarks: (limit) =>
      read(() =>
        statement(WATERMARKS)
          .all(limit)
          .filter(isRow)
          .map((found) => ({
            channel: textOf(found, "channel"),
            agent: textOf(found, "agent"),
            lastId: numberOf(found, "last_id"),
          })),
      ),
  };
}

function asEnvelope(found: Row): Envelope {
  return {
    id: numberOf(found, "id"),
    channel: textOf(found, "channel"),
    sender: textOf(found, "sender"),
    timestamp: numberOf(found, "created_at"),
  };
}
