import { BATCH_BYTES } from "../../core/limits.ts";
import { isOwnMailbox } from "../../core/names.ts";
import type {
  AppendResult,
  ChannelSummary,
  Envelope,
  MessageStore,
  NewMessage,
  PrunableRange,
  PruneCriteria,
  StoredMessage,
} from "../../core/store.ts";
import { createNonces } from "./agents.ts";
import type { Connection } from "./connection.ts";
import type { Row, Statement, Value } from "./driver.ts";
import { isRow, numberOf, row, textOf } from "./rows.ts";

/** Newest first. A message's time lies behind its content in the file, so what is looked at is counted in bytes too. */
const RECENT = `SELECT id, channel, sender, created_at, octet_length(content) AS bytes FROM messages
  ORDER BY id DESC LIMIT +?`;

const COUNT_UP_TO_LIMIT = `SELECT count(*) AS count FROM
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
      read(() => numberOf(row(statement(COUNT_UP_TO_LIMIT).get(channel, after, upTo, most)) ?? {}, "count")),

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

const NEWEST_OF_CHANNEL = "SELECT max(id) AS id FROM messages WHERE channel = ?";

/** The oldest message that is young enough to stay; what is before it in the channel goes. */
const FIRST_YOUNG = "SELECT id - 1 AS id FROM messages WHERE channel = ? AND created_at >= ? ORDER BY id LIMIT 1";

const BEHIND_NEWEST = "SELECT id FROM messages WHERE channel = ? ORDER BY id DESC LIMIT 1 OFFSET ?";

const SLOWEST = "SELECT min(last_id) AS id FROM watermarks WHERE channel = ?";

const COUNT_BETWEEN = "SELECT count(*) AS count FROM messages WHERE channel = ? AND id > ? AND id <= ?";

const REMOVE = `DELETE FROM messages WHERE id IN
  (SELECT id FROM messages WHERE channel = ? AND id <= ? ORDER BY id LIMIT +?)`;

const CHANGES = "SELECT changes() AS removed";

type PruningSteps = Pick<MessageStore, "prunable" | "remove">;

export function createPruning({ statement, read, write }: Connection): PruningSteps {
  const id = (sql: string, ...values: Value[]): number | undefined => {
    const found = row(statement(sql).get(...values));
    return found === undefined || found.id === null ? undefined : numberOf(found, "id");
  };

  const count = (channel: string, after: number, upTo: number): number =>
    numberOf(row(statement(COUNT_BETWEEN).get(channel, after, upTo)) ?? {}, "count");

  const look = (channel: string, { before, keep, consumed }: PruneCriteria): PrunableRange => {
    const newest = id(NEWEST_OF_CHANNEL, channel) ?? 0;
    const slowest = id(SLOWEST, channel) ?? 0;
    const upTo = Math.min(
      newest,
      before === undefined ? newest : (id(FIRST_YOUNG, channel, before) ?? newest),
      keep === undefined ? newest : (id(BEHIND_NEWEST, channel, keep) ?? 0),
      consumed ? slowest : newest,
    );
    return { upTo, count: count(channel, 0, upTo), unconsumed: count(channel, slowest, upTo) };
  };

  return {
    prunable: (channel, pruning) => read(() => look(channel, pruning)),
    remove: (channel, upTo, limit) =>
      write(() => {
        statement(REMOVE).run(channel, upTo, limit);
        return numberOf(row(statement(CHANGES).get()) ?? {}, "removed");
      }),
  };
}

/** The content as bytes: of a text that holds NUL the node:sqlite of Node 22 hands over no more than what is before it. */
export const COLUMNS = `id, channel, sender, CAST(content AS BLOB) AS content, created_at, signature,
  EXISTS (SELECT 1 FROM attested WHERE message_id = messages.id) AS attested`;

/** With a plus: see Connection. */
export const IN_CHANNEL = "channel = +?";

/** Without RETURNING id, for which SQLite fills a table of its own. */
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

/** In a mailbox messages may arrive in another order than they came in. */
const NOT_ARRIVED = "AND NOT EXISTS (SELECT 1 FROM taken WHERE message_id = messages.id AND settled = 1)";
const UNREAD_MAIL = UNREAD.replace("ORDER BY", `${NOT_ARRIVED} ORDER BY`);
const UNREAD_MAIL_OTHERS = UNREAD_OTHERS.replace("ORDER BY", `${NOT_ARRIVED} ORDER BY`);
const PENDING_MAIL = `${PENDING} ${NOT_ARRIVED}`;

const FIRST_BY_OTHERS = `SELECT id FROM messages WHERE ${IN_CHANNEL} AND id > ? AND sender <> ? ORDER BY id LIMIT 1`;

const LAST_IN_CHANNEL = `SELECT max(id) AS id FROM messages WHERE ${IN_CHANNEL}`;

const LAST_ID = "SELECT seq FROM sqlite_sequence WHERE name = 'messages'";

const ADVANCE = `INSERT INTO watermarks (agent, channel, last_id) VALUES (?, ?, ?)
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

  /** How far the agent can go without passing a message of somebody else; undefined where it stands there already. */
  const ownUntil = (channel: string, agent: string): number | undefined => {
    const from = watermark(channel, agent);
    const other = row(statement(FIRST_BY_OTHERS).get(channel, from, agent));
    const last = row(statement(LAST_IN_CHANNEL).get(channel));
    const to = other === undefined ? (last === undefined ? 0 : numberOf(last, "id")) : numberOf(other, "id") - 1;
    return to > from ? to : undefined;
  };

  let last: { readonly of: string; readonly messages: readonly StoredMessage[] } | undefined;

  /** Many wait for the same message: who stands where the one before stood has its answer, until anybody commits anything. */
  const unread = (channel: string, from: number, limit: number): readonly StoredMessage[] => {
    const of = `${version()} ${from} ${limit} ${channel}`;
    if (last?.of !== of) last = { of, messages: batch(statement(UNREAD), channel, from, limit) };
    return last.messages;
  };

  return {
    append: (message, once) =>
      write((): AppendResult => {
        if (once === undefined) return { outcome: "done", id: add(message) };
        const seen = nonces.seen(once);
        if (seen === "clash") return { outcome: "clash", id: 0 };
        if (seen !== undefined) return { outcome: "repeated", id: seen.id };
        const id = add(message);
        nonces.add(once, id);
        return { outcome: "done", id };
      }),

    unread: (channel, agent, { limit, others }) =>
      read(() => {
        const from = watermark(channel, agent);
        const mail = isOwnMailbox(channel, agent);
        if (others) return batch(statement(mail ? UNREAD_MAIL_OTHERS : UNREAD_OTHERS), channel, from, agent, limit);
        return mail ? batch(statement(UNREAD_MAIL), channel, from, limit) : unread(channel, from, limit);
      }),

    after: (channel, id, limit) => read(() => batch(statement(UNREAD), channel, id, limit)),

    before: (channel, id, limit) => read(() => batch(statement(BEFORE), channel, id, limit).reverse()),

    watermark: (channel, agent) => read(() => watermark(channel, agent)),

    // What a power cut takes of a watermark makes messages come again, as they may at any time.
    advance: (channel, agent, id) => writeSoon(() => moveTo(channel, agent, id)),

    skipOwn: async (channel, agent) => {
      if ((await read(() => ownUntil(channel, agent))) === undefined) return;
      await writeSoon(() => {
        const to = ownUntil(channel, agent);
        if (to !== undefined) moveTo(channel, agent, to);
      });
    },

    pending: (channel, agent) =>
      read(() => {
        const query = statement(isOwnMailbox(channel, agent) ? PENDING_MAIL : PENDING);
        const counted = row(query.get(channel, watermark(channel, agent)));
        return counted === undefined ? 0 : numberOf(counted, "pending");
      }),

    find: (id) =>
      read(() => {
        const found = row(statement(FIND).get(id));
        return found && asMessage(found);
      }),

    lastId: () => read(() => numberOf(row(statement(NEWEST).get()) ?? {}, "id")),

    allAfter: (id, limit) => read(() => batch(statement(EVERY_AFTER), id, limit)),

    readers: (channel) =>
      read(() =>
        statement(READERS)
          .all(channel)
          .filter(isRow)
          .map((found) => ({ agent: textOf(found, "agent"), lastId: numberOf(found, "last_id") })),
      ),

    ...createOverview(connection),

    ...createPruning(connection),

    channels: () => read(() => statement(CHANNELS).all().filter(isRow).map(asSummary)),
  };
}

/** Where agents stand; parts of a step. */
export function createWatermarks({ statement }: Connection) {
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

  return { watermark, moveTo };
}

/** The rows of a query up to a batch's size in bytes, and one at least. */
export function batch(query: Statement, ...values: Value[]): StoredMessage[] {
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
    attested: numberOf(found, "attested") === 1,
  };
}

function asSummary(found: Row): ChannelSummary {
  return {
    channel: textOf(found, "channel"),
    count: numberOf(found, "count"),
    lastMessage: numberOf(found, "last_message"),
  };
}
