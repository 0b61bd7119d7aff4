import type { Archive, ArrivedIds, JournalEntry, Revoked, StoredMessage } from "../../core/store.ts";
import { createAgentStore } from "./agents.ts";
import { makeBackup } from "./backup.ts";
import { asOrder } from "./commands.ts";
import type { Connection } from "./connection.ts";
import { openFile } from "./database.ts";
import type { Row, Value } from "./driver.ts";
import { createMessageStore } from "./messages.ts";
import { isRow, nullableOf, numberOf, textOf } from "./rows.ts";
import { createSessionStore } from "./sessions.ts";
import { asEntry, asSignal } from "./signals.ts";

type Table = readonly [table: string, columns: readonly string[]];

const MESSAGES: Table = ["messages", ["id", "channel", "sender", "content", "created_at", "signature"]];
const ATTESTED: Table = ["attested", ["message_id"]];
const WATERMARKS: Table = ["watermarks", ["agent", "channel", "last_id"]];
const TAKEN: Table = ["taken", ["message_id", "channel", "lease_until", "settled"]];
const NONCES: Table = ["nonces", ["signer", "nonce", "digest", "message_id", "seen_at"]];
const AGENTS: Table = ["agents", ["name", "identity", "public_key", "role", "registered_by", "created_at"]];
const RULES: Table = ["agent_rules", ["name", "v2_only"]];
const REVOKED: Table = ["revoked_agents", ["name", "public_key", "registered_by", "revoked_at"]];
const PEERS: Table = ["peers", ["id", "role", "capabilities", "agent", "connected_at", "last_seen", "waiting_for"]];
const ORDERS: Table = [
  "orders",
  [
    ...["id", "kind", "sender", "sender_id", "target", "target_role", "action", "params", "created_at"],
    ...["lease_seconds", "expires_at", "status", "attempts", "holder", "lease_until", "result", "ended_at"],
  ],
];
const SIGNALS: Table = ["signals", ["name", "data", "sender", "set_at"]];
const JOURNAL: Table = ["journal", ["seq", "at", "kind", "key", "what"]];

/** Writes all that another engine holds to a new database: a bus like any other. Answers with its path. */
export function writeArchive(pathAt: (moment: string) => string, archive: Archive): Promise<string> {
  return makeBackup(pathAt, (path) => fillDatabase(path, archive));
}

async function fillDatabase(path: string, archive: Archive): Promise<void> {
  const driver = await openFile({ path });
  const into = ([table, columns]: Table) => {
    const places = columns.map(() => "?").join(", ");
    const statement = driver.prepare(`INSERT INTO ${table} (${columns.join(", ")}) VALUES (${places})`);
    return (...values: Value[]) => void statement.run(...values);
  };
  const json = (value: unknown) => JSON.stringify(value ?? null);
  try {
    driver.exec("BEGIN IMMEDIATE");
    const [message, attest] = [into(MESSAGES), into(ATTESTED)];
    for await (const { id, channel, sender, content, timestamp, signature, attested } of archive.messages) {
      message(id, channel, sender, content, timestamp, signature);
      if (attested) attest(id);
    }
    const watermark = into(WATERMARKS);
    for await (const { agent, channel, lastId } of archive.watermarks) watermark(agent, channel, lastId);
    const settled = into(TAKEN);
    for await (const { channel, ids } of archive.arrived) for (const id of ids) settled(id, channel, 0, 1);
    const nonce = into(NONCES);
    for await (const one of archive.nonces) nonce(one.signer, one.nonce, one.digest, one.messageId, one.at);
    const [agent, rule, gone] = [into(AGENTS), into(RULES), into(REVOKED)];
    for (const { name, identity, publicKey, role, registeredBy, createdAt, v2Only } of archive.agents) {
      agent(name, identity, publicKey, role, registeredBy, createdAt);
      if (v2Only) rule(name, 1);
    }
    for (const { name, publicKey, registeredBy } of archive.revoked) gone(name, publicKey, registeredBy, 0);
    const peer = into(PEERS);
    for (const { id, role, capabilities, agent, connectedAt, lastSeen, waitingFor } of archive.peers) {
      peer(id, role, json(capabilities), agent, connectedAt, lastSeen, waitingFor);
    }
    const order = into(ORDERS);
    for await (const one of archive.orders) {
      order(
        ...[one.id, one.kind, one.from, one.fromId, one.target, one.targetRole, one.action, json(one.params)],
        ...[one.createdAt, one.leaseSeconds, one.expiresAt, one.status, one.attempts, one.holder, one.leaseUntil],
        ...[json(one.result), one.endedAt],
      );
    }
    const signal = into(SIGNALS);
    for await (const { name, data, sender, setAt } of archive.signals) signal(name, json(data), sender, setAt);
    // What the triggers have written, instead of what was.
    driver.exec("DELETE FROM journal");
    const entry = into(JOURNAL);
    for (const { seq, at, kind, key, what } of archive.journal) entry(seq, at, kind, key, what);
    driver.exec("COMMIT");
  } finally {
    driver.close();
  }
}

const PAGE = 500;
const EVERYBODY = Number.MAX_SAFE_INTEGER;

/** Without the names that somebody has taken again since. */
const ALL_REVOKED = `SELECT name, public_key, registered_by FROM revoked_agents
  WHERE NOT EXISTS (SELECT 1 FROM agents WHERE agents.name = revoked_agents.name) ORDER BY name`;

const SETTLED =
  "SELECT rowid AS at, channel, message_id FROM taken WHERE settled = 1 AND rowid > ? ORDER BY rowid LIMIT ?";
const ALL_NONCES = "SELECT * FROM nonces WHERE (signer, nonce) > (?, ?) ORDER BY signer, nonce LIMIT ?";
const ALL_ORDERS = "SELECT seq AS at, * FROM orders WHERE seq > ? ORDER BY seq LIMIT ?";
const ALL_SIGNALS = "SELECT rowid AS at, * FROM signals WHERE rowid > ? ORDER BY rowid LIMIT ?";
const ALL_ENTRIES = "SELECT seq, at, kind, key, what FROM journal ORDER BY seq";

/** All that a database holds, a page at a time. */
export async function readArchive(connection: Connection, after: number): Promise<Archive> {
  const { statement, read } = connection;
  const messages = createMessageStore(connection);
  const all = <T>(sql: string, as: (found: Row) => T): Promise<T[]> =>
    read(() => statement(sql).all().filter(isRow).map(as));

  async function* paged<T>(
    sql: string,
    as: (found: Row) => T,
    first: readonly Value[] = [-1],
    placeOf = (found: Row): readonly Value[] => [numberOf(found, "at")],
  ): AsyncGenerator<T> {
    for (let from = first; ; ) {
      const page = await read(() =>
        statement(sql)
          .all(...from, PAGE)
          .filter(isRow),
      );
      yield* page.map(as);
      const last = page.at(-1);
      if (last === undefined) return;
      from = placeOf(last);
    }
  }

  async function* messagesUpTo(upTo: number): AsyncGenerator<StoredMessage> {
    for (let from = after; ; ) {
      const page = await messages.allAfter(from, PAGE);
      for (const message of page) {
        if (message.id > upTo) return;
        yield message;
        from = message.id;
      }
      if (page.length === 0) return;
    }
  }

  async function* watermarks() {
    yield* await messages.watermarks(EVERYBODY);
  }

  return {
    agents: await createAgentStore(connection).list(),
    revoked: await all(ALL_REVOKED, asRevoked),
    nonces: paged(ALL_NONCES, asNonce, ["", ""], (found) => [textOf(found, "signer"), textOf(found, "nonce")]),
    messages: messagesUpTo(await messages.lastId()),
    watermarks: watermarks(),
    arrived: paged(SETTLED, asArrived),
    peers: await createSessionStore(connection).list(),
    orders: paged(ALL_ORDERS, asOrder),
    signals: paged(ALL_SIGNALS, asSignal),
    journal: await all<JournalEntry>(ALL_ENTRIES, asEntry),
  };
}

function asRevoked(found: Row): Revoked {
  const [name, publicKey] = [textOf(found, "name"), textOf(found, "public_key")];
  return { name, publicKey, registeredBy: nullableOf(found, "registered_by") };
}

function asNonce(found: Row) {
  const [signer, nonce, digest] = [textOf(found, "signer"), textOf(found, "nonce"), textOf(found, "digest")];
  return { signer, nonce, digest, at: numberOf(found, "seen_at"), messageId: numberOf(found, "message_id") };
}

function asArrived(found: Row): ArrivedIds {
  return { channel: textOf(found, "channel"), ids: [numberOf(found, "message_id")] };
}
