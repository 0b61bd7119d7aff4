import type { MailboxStore, StoredMessage } from "../../core/store.ts";
import type { Connection } from "./connection.ts";
import { COLUMNS, createWatermarks, IN_CHANNEL, readMessages } from "./messages.ts";
import { maybeNumberOf, numberOf } from "./rows.ts";

/** Unread messages that have neither arrived nor a running lease. */
const FREE = `SELECT ${COLUMNS} FROM messages WHERE ${IN_CHANNEL} AND id > ?
  AND NOT EXISTS (SELECT 1 FROM taken WHERE message_id = messages.id AND (settled = 1 OR lease_until > ?))
  ORDER BY id LIMIT +?`;

const LEASE = `INSERT INTO taken (message_id, channel, lease_until) VALUES (?, ?, ?)
  ON CONFLICT (message_id) DO UPDATE SET lease_until = excluded.lease_until`;

const SETTLE = `INSERT INTO taken (message_id, channel, lease_until, settled)
  SELECT id, channel, 0, 1 FROM messages WHERE id = ? AND channel = ? AND id > ?
  ON CONFLICT (message_id) DO UPDATE SET settled = 1`;

const RELEASE = "DELETE FROM taken WHERE message_id = ? AND channel = ? AND settled = 0";

const FIRST_UNSETTLED = `SELECT id FROM messages WHERE ${IN_CHANNEL} AND id > ?
  AND NOT EXISTS (SELECT 1 FROM taken WHERE message_id = messages.id AND settled = 1) ORDER BY id LIMIT 1`;

const LAST = `SELECT max(id) AS id FROM messages WHERE ${IN_CHANNEL}`;
const REMOVE = "DELETE FROM taken WHERE channel = ? AND message_id <= ?";
const NEXT_FREE = `SELECT min(lease_until) AS at FROM taken WHERE ${IN_CHANNEL} AND message_id > ? AND settled = 0`;

export function createMailboxStore(connection: Connection): MailboxStore {
  const { statement, read, write } = connection;
  const { watermark, moveTo } = createWatermarks(connection);

  const findFree = (channel: string, agent: string, now: number, limit: number): StoredMessage[] =>
    readMessages(statement(FREE), channel, watermark(channel, agent), now, limit);

  return {
    // The lookup costs no commit: most calls find nothing.
    take: async (channel, agent, { limit, now, lease }) => {
      if ((await read(() => findFree(channel, agent, now, 1))).length === 0) return [];
      return write(() => {
        const messages = findFree(channel, agent, now, limit);
        for (const { id } of messages) statement(LEASE).run(id, channel, now + lease);
        return messages;
      });
    },

    settle: (channel, agent, ids) =>
      write(() => {
        const from = watermark(channel, agent);
        for (const id of ids) statement(SETTLE).run(id, channel, from);
        const unsettled = statement(FIRST_UNSETTLED).get(channel, from);
        const upTo =
          unsettled === undefined ? numberOf(statement(LAST).get(channel), "id") : numberOf(unsettled, "id") - 1;
        statement(REMOVE).run(channel, moveTo(channel, agent, upTo));
      }),

    release: (channel, ids) =>
      write(() => {
        for (const id of ids) statement(RELEASE).run(id, channel);
      }),

    nextFree: (channel, agent) =>
      read(() => maybeNumberOf(statement(NEXT_FREE).get(channel, watermark(channel, agent)), "at")),
  };
}
