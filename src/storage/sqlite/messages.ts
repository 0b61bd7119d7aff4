import { BATCH_BYTES } from "../../core/limits.ts";
import { isOwnMailbox } from "../../core/names.ts";
import type { AppendResult, Envelope, MessageStore, NewMessage, StoredMessage } from "../../core/store.ts";
import { createNonces } from "./agents.ts";
import type { Connection } from "./connection.ts";
import type { Row, Statement, Value } from "./driver.ts";
import { maybeNumberOf, numberOf, readBatch, tableOf, textOf } from "./rows.ts";

const watermarks = tableOf("watermarks");

export const { columns: COLUMNS } = tableOf("messages");

/** `Connection.statement` says why there is a plus. */
export const IN_CHANNEL = "channel = +?";

/** Without RETURNING id: SQLite would fill a temporary table for it. */
const APPEND = `INSERT INTO messages (channel, sender, content, created_at, signature)
  VALUES (?, ?, ?, ?, ?)`;

const ATTEST = "INSERT INTO attested (message_id) VALUES (?)";
const WATERMARK = "SELECT last_id FROM watermarks WHERE agent = ? AND channel = ?";

const UNREAD = `SELECT ${COLUMNS} FROM messages
  WHERE ${IN_CHANNEL} AND id > ? ORDER BY id LIMIT +?`;

const BEFORE = `SELECT ${COLUMNS} FROM messages
  WHERE ${IN_CHANNEL} AND id < ? ORDER BY id DESC LIMIT +?`;

const UNREAD_OTHERS = `SELECT ${COLUMNS} FROM messages
  WHERE ${IN_CHANNEL} AND id > ? AND sender <> ? ORDER BY id LIMIT +?`;

const PENDING = "SELECT count(*) AS pending FROM messages WHERE channel = ? AND id > ?";

/** The messages of a mailbox may arrive in any order. */
const NOT_ARRIVED = "AND NOT EXISTS (SELECT 1 FROM taken WHERE message_id = messages.id AND settled = 1)";
const UNREAD_MAIL = UNREAD.replace("ORDER BY", `${NOT_ARRIVED} ORDER BY`);
const UNREAD_MAIL_OTHERS = UNREAD_OTHERS.replace("ORDER BY", `${NOT_ARRIVED} ORDER BY`);
const PENDING_MAIL = `${PENDING} ${NOT_ARRIVED}`;
const FIRST_BY_OTHERS = `SELECT id FROM messages WHERE ${IN_CHANNEL} AND id > ? AND sender <> ? ORDER BY id LIMIT 1`;
const LAST_IN_CHANNEL = `SELECT max(id) AS id FROM messages WHERE ${IN_CHANNEL}`;
const LAST_ID = "SELECT seq FROM sqlite_sequence WHERE name = 'messages'";

const ADVANCE = `${watermarks.insert}
  ON CONFLICT (agent, channel) DO UPDATE SET last_id = excluded.last_id`;

const FIND = `SELECT ${COLUMNS} FROM messages WHERE id = ?`;
const NEWEST = "SELECT max(id) AS id FROM messages";
const EVERY_AFTER = `SELECT ${COLUMNS} FROM messages WHERE id > ? ORDER BY id LIMIT +?`;
const READERS = "SELECT agent, last_id FROM watermarks WHERE channel = ? ORDER BY agent";
const CHANNELS = "SELECT channel, count, last_message FROM channel_counts ORDER BY last_message DESC, channel";

export function createMessageStore(connection: Connection): MessageStore {
  const { statement, version, read, write, writeSoon } = connection;
  const nonces = createNonces(connection);
  const { watermark, moveTo } = createWatermarks(connection);

  const add = ({ channel, sender, content, timestamp, signature, attested }: NewMessage): number => {
    const id = Number(statement(APPEND).run(channel, sender, content, timestamp, signature).lastInsertRowid);
    if (attested) statement(ATTEST).run(id);
    return id;
  };

  /** The last message before the first unread one by another sender; undefined where the watermark is there already. */
  const findOwnEnd = (channel: string, agent: string): number | undefined => {
    const from = watermark(channel, agent);
    const other = statement(FIRST_BY_OTHERS).get(channel, from, agent);
    const to =
      other === undefined ? numberOf(statement(LAST_IN_CHANNEL).get(channel), "id") : numberOf(other, "id") - 1;
    return to > from ? to : undefined;
  };

  let cached: { readonly key: string; readonly messages: readonly StoredMessage[] } | undefined;

  /** Many readers wait for the same message. Readers with one watermark share an answer until the next commit. */
  const readUnread = (channel: string, from: number, limit: number): readonly StoredMessage[] => {
    const key = `${version()} ${from} ${limit} ${channel}`;
    if (cached?.key !== key) cached = { key, messages: readMessages(statement(UNREAD), channel, from, limit) };
    return cached.messages;
  };

  return {
    append: (message, key) =>
      write((): AppendResult => {
        if (key === undefined) return { outcome: "done", id: add(message) };
        const seen = nonces.seen(key);
        if (seen === "clash") return { outcome: "clash", id: 0 };
        if (seen !== undefined) return { outcome: "repeated", id: seen.id };
        const id = add(message);
        nonces.add(key, id);
        return { outcome: "done", id };
      }),

    unread: (channel, agent, { limit, others }) =>
      read(() => {
        const from = watermark(channel, agent);
        const isMail = isOwnMailbox(channel, agent);
        if (others) {
          return readMessages(statement(isMail ? UNREAD_MAIL_OTHERS : UNREAD_OTHERS), channel, from, agent, limit);
        }
        return isMail ? readMessages(statement(UNREAD_MAIL), channel, from, limit) : readUnread(channel, from, limit);
      }),

    after: (channel, id, limit) => read(() => readMessages(statement(UNREAD), channel, id, limit)),

    before: (channel, id, limit) => read(() => readMessages(statement(BEFORE), channel, id, limit).reverse()),

    watermark: (channel, agent) => read(() => watermark(channel, agent)),

    // A watermark that a power cut undoes makes messages arrive again, as they may at any time.
    advance: (channel, agent, id) => writeSoon(() => moveTo(channel, agent, id)),

    skipOwn: async (channel, agent) => {
      if ((await read(() => findOwnEnd(channel, agent))) === undefined) return;
      await writeSoon(() => {
        const to = findOwnEnd(channel, agent);
        if (to !== undefined) moveTo(channel, agent, to);
      });
    },

    pending: (channel, agent) =>
      read(() => {
        const query = statement(isOwnMailbox(channel, agent) ? PENDING_MAIL : PENDING);
        return numberOf(query.get(channel, watermark(channel, agent)), "pending");
      }),

    find: (id) => read(() => readMessages(statement(FIND), id)[0]),

    lastId: () => read(() => numberOf(statement(NEWEST).get(), "id")),

    allAfter: (id, limit) => read(() => readMessages(statement(EVERY_AFTER), id, limit)),

    readers: (channel) =>
      read(() =>
        statement(READERS)
          .all(channel)
          .map((found) => ({ agent: textOf(found, "agent"), lastId: numberOf(found, "last_id") })),
      ),

    ...createOverview(connection),

    ...createPruning(connection),

    channels: () =>
      read(() =>
        statement(CHANNELS)
          .all()
          .map((row) => ({
            channel: textOf(row, "channel"),
            count: numberOf(row, "count"),
            lastMessage: numberOf(row, "last_message"),
          })),
      ),
  };
}

/** The methods are parts of a step. */
export function createWatermarks({ statement }: Connection) {
  const watermark = (channel: string, agent: string): number =>
    numberOf(statement(WATERMARK).get(agent, channel), "last_id");

  const moveTo = (channel: string, agent: string, id: number): number => {
    const from = watermark(channel, agent);
    // A watermark past the newest message would make the agent miss the messages up to it.
    const to = Math.min(id, numberOf(statement(LAST_ID).get(), "seq"));
    if (to <= from) return from;
    statement(ADVANCE).run(channel, agent, to);
    return to;
  };

  return { watermark, moveTo };
}

export function readMessages(query: Statement, ...values: Value[]): StoredMessage[] {
  return readBatch(query.iterate(...values), readMessage, ["content"]);
}

/** Written out for speed: the reader of `tableOf` makes a read of messages a twentieth slower. */
function readMessage(row: Row): Required<StoredMessage> {
  return {
    id: numberOf(row, "id"),
    channel: textOf(row, "channel"),
    sender: textOf(row, "sender"),
    content: textOf(row, "content"),
    timestamp: numberOf(row, "timestamp"),
    signature: textOf(row, "signature"),
    attested: numberOf(row, "attested") === 1,
  };
}

/** Selects the contents' bytes, which bound a long look: a message's time lies behind its content in the file. */
const RECENT = `SELECT id, channel, sender, created_at, octet_length(content) AS bytes FROM messages
  ORDER BY id DESC LIMIT +?`;

const COUNT_UP_TO_LIMIT = `SELECT count(*) AS count FROM
  (SELECT 1 FROM messages WHERE channel = ? AND id > ? AND id <= ? LIMIT +?)`;

const WATERMARKS = `SELECT ${watermarks.columns} FROM watermarks ORDER BY last_id DESC LIMIT +?`;

/** Clocks differ: a message may be this much younger than the one after it. */
const CLOCK_SECONDS = 60;

function createOverview({ statement, read }: Connection): Pick<MessageStore, "recent" | "count" | "watermarks"> {
  return {
    recent: (since, limit) =>
      read(() => {
        const found: Envelope[] = [];
        let bytes = 0;
        for (const row of statement(RECENT).iterate(limit)) {
          const timestamp = numberOf(row, "created_at");
          bytes += numberOf(row, "bytes");
          if (timestamp < since - CLOCK_SECONDS || bytes > 4 * BATCH_BYTES) break;
          if (timestamp < since) continue;
          found.push({
            id: numberOf(row, "id"),
            channel: textOf(row, "channel"),
            sender: textOf(row, "sender"),
            timestamp,
          });
        }
        return found;
      }),

    count: (channel, after, upTo, most) =>
      read(() => numberOf(statement(COUNT_UP_TO_LIMIT).get(channel, after, upTo, most), "count")),

    watermarks: (limit) => read(() => statement(WATERMARKS).all(limit).map(watermarks.read)),
  };
}

const NEWEST_OF_CHANNEL = "SELECT max(id) AS id FROM messages WHERE channel = ?";

/** The last message before the first that is young enough to stay. */
const LAST_OLD = "SELECT id - 1 AS id FROM messages WHERE channel = ? AND created_at >= ? ORDER BY id LIMIT 1";
const BEHIND_NEWEST = "SELECT id FROM messages WHERE channel = ? ORDER BY id DESC LIMIT 1 OFFSET ?";
const SLOWEST = "SELECT min(last_id) AS id FROM watermarks WHERE channel = ?";
const COUNT_BETWEEN = "SELECT count(*) AS count FROM messages WHERE channel = ? AND id > ? AND id <= ?";

const REMOVE = `DELETE FROM messages WHERE id IN
  (SELECT id FROM messages WHERE channel = ? AND id <= ? ORDER BY id LIMIT +?)`;

function createPruning({ statement, read, write }: Connection): Pick<MessageStore, "prunable" | "remove"> {
  const id = (sql: string, ...values: Value[]) => maybeNumberOf(statement(sql).get(...values), "id");

  const count = (channel: string, after: number, upTo: number): number =>
    numberOf(statement(COUNT_BETWEEN).get(channel, after, upTo), "count");

  return {
    prunable: (channel, { before, keep, consumed }) =>
      read(() => {
        const newest = id(NEWEST_OF_CHANNEL, channel) ?? 0;
        const slowest = id(SLOWEST, channel) ?? 0;
        const upTo = Math.min(
          newest,
          before === undefined ? newest : (id(LAST_OLD, channel, before) ?? newest),
          keep === undefined ? newest : (id(BEHIND_NEWEST, channel, keep) ?? 0),
          consumed ? slowest : newest,
        );
        return { upTo, count: count(channel, 0, upTo), unconsumed: count(channel, slowest, upTo) };
      }),
    remove: (channel, upTo, limit) => write(() => Number(statement(REMOVE).run(channel, upTo, limit).changes)),
  };
}
