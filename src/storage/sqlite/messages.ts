import { BATCH_BYTES } from "../../core/limits.ts";
import type { ChannelSummary, MessageStore, StoredMessage } from "../../core/store.ts";
import type { Connection } from "./connection.ts";
import type { Row, Statement, Value } from "./driver.ts";
import { isRow, numberOf, row, textOf } from "./rows.ts";

/** The content as bytes: of a text that holds NUL the node:sqlite of Node 22 hands over no more than what is before it. */
const COLUMNS = "id, channel, sender, CAST(content AS BLOB) AS content, created_at, signature";

const APPEND = `INSERT INTO messages (channel, sender, content, created_at, signature)
  VALUES (?, ?, ?, ?, ?) RETURNING id`;

const WATERMARK = "SELECT last_id FROM watermarks WHERE agent = ? AND channel = ?";

const UNREAD = `SELECT ${COLUMNS} FROM messages
  WHERE channel = ? AND id > ? ORDER BY id LIMIT ?`;

const UNREAD_OTHERS = `SELECT ${COLUMNS} FROM messages
  WHERE channel = ? AND id > ? AND sender <> ? ORDER BY id LIMIT ?`;

const PENDING = "SELECT count(*) AS pending FROM messages WHERE channel = ? AND id > ?";

const FIRST_BY_OTHERS = "SELECT id FROM messages WHERE channel = ? AND id > ? AND sender <> ? ORDER BY id LIMIT 1";

const LAST_IN_CHANNEL = "SELECT max(id) AS id FROM messages WHERE channel = ?";

const LAST_ID = "SELECT seq FROM sqlite_sequence WHERE name = 'messages'";

const ADVANCE = `INSERT INTO watermarks (agent, channel, last_id) VALUES (?, ?, ?)
  ON CONFLICT (agent, channel) DO UPDATE SET last_id = excluded.last_id`;

const CHANNELS = "SELECT channel, count, last_message FROM channel_counts ORDER BY last_message DESC, channel";

export function createMessageStore({ statement, read, write }: Connection): MessageStore {
  const watermark = (channel: string, agent: string): number => {
    const found = row(statement(WATERMARK).get(agent, channel));
    return found === undefined ? 0 : numberOf(found, "last_id");
  };

  const moveTo = (channel: string, agent: string, id: number): number => {
    const from = watermark(channel, agent);
    // An id that isn't there yet would make the agent miss what comes until then.
    const newest = row(statement(LAST_ID).get());
    const to = Math.min(id, newest === undefined ? 0 : numberOf(newest, "seq"));
    if (to <= from) return from;
    statement(ADVANCE).run(agent, channel, to);
    return to;
  };

  /** How far the agent can go without passing a message of somebody else; undefined where it stands there already. */
  const ownUntil = (channel: string, agent: string): number | undefined => {
    const from = watermark(channel, agent);
    const other = row(statement(FIRST_BY_OTHERS).get(channel, from, agent));
    const last = row(statement(LAST_IN_CHANNEL).get(channel));
    const to = other === undefined ? (last === undefined ? 0 : numberOf(last, "id")) : numberOf(other, "id") - 1;
    return to > from ? to : undefined;
  };

  return {
    append: ({ channel, sender, content, timestamp, signature }) =>
      write(() => {
        const added = row(statement(APPEND).get(channel, sender, content, timestamp, signature));
        if (added === undefined) throw new Error("the insert answered without an id");
        return numberOf(added, "id");
      }),

    unread: (channel, agent, { limit, others }) =>
      read(() => {
        const from = watermark(channel, agent);
        return others
          ? batch(statement(UNREAD_OTHERS), channel, from, agent, limit)
          : batch(statement(UNREAD), channel, from, limit);
      }),

    after: (channel, id, limit) => read(() => batch(statement(UNREAD), channel, id, limit)),

    watermark: (channel, agent) => read(() => watermark(channel, agent)),

    advance: (channel, agent, id) => write(() => moveTo(channel, agent, id)),

    skipOwn: async (channel, agent) => {
      if ((await read(() => ownUntil(channel, agent))) === undefined) return;
      await write(() => {
        const to = ownUntil(channel, agent);
        if (to !== undefined) moveTo(channel, agent, to);
      });
    },

    pending: (channel, agent) =>
      read(() => {
        const counted = row(statement(PENDING).get(channel, watermark(channel, agent)));
        return counted === undefined ? 0 : numberOf(counted, "pending");
      }),

    channels: () => read(() => statement(CHANNELS).all().filter(isRow).map(asSummary)),
  };
}

/** The rows of a query up to a batch's size in bytes, and one at least. */
function batch(query: Statement, ...values: Value[]): StoredMessage[] {
  const messages: StoredMessage[] = [];
  let bytes = 0;
  for (const found of query.iterate(...values)) {
    if (!isRow(found)) continue;
    const message = asMessage(found);
    bytes += Buffer.byteLength(message.content);
    if (messages.length > 0 && bytes > BATCH_BYTES) break;
    messages.push(message);
  }
  return messages;
}

function asMessage(found: Row): StoredMessage {
  return {
    id: numberOf(found, "id"),
    channel: textOf(found, "channel"),
    sender: textOf(found, "sender"),
    content: textOf(found, "content"),
    timestamp: numberOf(found, "created_at"),
    signature: textOf(found, "signature"),
  };
}

function asSummary(found: Row): ChannelSummary {
  return {
    channel: textOf(found, "channel"),
    count: numberOf(found, "count"),
    lastMessage: numberOf(found, "last_message"),
  };
}
