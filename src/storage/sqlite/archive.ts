import { closeSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import type { Archive } from "../../core/archive.ts";
import type { Value } from "./driver.ts";
import { openFile } from "./open.ts";

type Table = readonly [table: string, columns: readonly string[]];

const MESSAGES: Table = ["messages", ["id", "channel", "sender", "content", "created_at", "signature"]];
const ATTESTED: Table = ["attested", ["message_id"]];
const WATERMARKS: Table = ["watermarks", ["agent", "channel", "last_id"]];
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

/** Writes all that another engine holds to a new database, for its owner alone: a bus like any other. */
export async function writeArchive(path: string, archive: Archive): Promise<void> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  closeSync(openSync(path, "wx", 0o600));
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
