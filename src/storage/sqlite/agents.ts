import type { Agent, AgentStore, NameClaim, Outcome, RequestKey } from "../../core/store.ts";
import type { Connection } from "./connection.ts";
import { numberOf, tableOf, textOf } from "./rows.ts";

const nonces = tableOf("nonces");

const FIND_NONCE = "SELECT digest, message_id FROM nonces WHERE signer = ? AND nonce = ?";

/** Runs with each new nonce. */
const REMOVE_OLD_NONCES = `DELETE FROM nonces WHERE (signer, nonce) IN
  (SELECT signer, nonce FROM nonces INDEXED BY nonces_by_age WHERE seen_at < ? LIMIT 4)`;

const KEPT_SECONDS = 3_600;

/** Both methods are parts of a step that writes. */
export function createNonces({ statement }: Connection) {
  return {
    /** The message of an earlier request; `clash` where another request used the nonce; undefined for a new one. */
    seen({ signer, nonce, digest }: RequestKey): { readonly id: number } | "clash" | undefined {
      const found = statement(FIND_NONCE).get(signer, nonce);
      if (found === undefined) return undefined;
      return textOf(found, "digest") === digest ? { id: numberOf(found, "message_id") } : "clash";
    },
    add(key: RequestKey, messageId: number): void {
      statement(REMOVE_OLD_NONCES).run(key.at - KEPT_SECONDS);
      statement(nonces.insert).run(...nonces.values({ ...key, messageId }));
    },
  };
}

const agents = tableOf("agents");
const revokedAgents = tableOf("revoked");

const FIND = `SELECT ${agents.columns} FROM agents WHERE name = ?`;
const LIST = `SELECT ${agents.columns} FROM agents ORDER BY created_at, name`;

/** By rowid, since clocks may be wrong: the bus is known by its first operator's key. */
const FIRST_OPERATOR = `SELECT ${agents.columns} FROM agents WHERE role = 'operator' ORDER BY rowid LIMIT 1`;
const UPDATE = "UPDATE agents SET identity = ?, public_key = ?, created_at = ? WHERE name = ?";

const SET_RULE = `INSERT INTO agent_rules (name, v2_only) VALUES (?, ?)
  ON CONFLICT (name) DO UPDATE SET v2_only = excluded.v2_only`;

const REMOVE_RULE = "DELETE FROM agent_rules WHERE name = ?";
const REMOVE = "DELETE FROM agents WHERE name = ? AND role = 'agent'";
const FIND_REVOKED = `SELECT ${revokedAgents.columns} FROM revoked_agents WHERE name = ?`;

const REVOKE = `INSERT INTO revoked_agents (name, public_key, registered_by, revoked_at) VALUES (?, ?, ?, ?)
  ON CONFLICT (name) DO UPDATE SET public_key = excluded.public_key, registered_by = excluded.registered_by,
    revoked_at = excluded.revoked_at`;

const MARK_REVOKED = `INSERT INTO revoked_agents (name, public_key, registered_by, revoked_at)
  SELECT ?, ?, ?, 0 WHERE NOT EXISTS (SELECT 1 FROM agents WHERE name = ?)
  ON CONFLICT (name) DO NOTHING RETURNING name`;

const REMOVE_REVOKED = "DELETE FROM revoked_agents WHERE name = ?";

export function createAgentStore(connection: Connection): AgentStore {
  const { statement, read, write } = connection;
  const known = createNonces(connection);

  const find = (name: string): Agent | undefined => agents.find(statement(FIND), name);

  const findRevoked = (name: string) => revokedAgents.find(statement(FIND_REVOKED), name);

  const mayTakeName = (agent: Agent, claim: NameClaim): boolean => {
    const present = find(agent.name);
    if (present?.role === "operator") return false;
    const owner = present ?? findRevoked(agent.name);
    if (claim === "rotate") return owner !== undefined;
    if (claim === "new") return owner === undefined;
    return owner === undefined || owner.registeredBy === agent.registeredBy;
  };

  const put = (agent: Agent, claim: NameClaim): void => {
    const { name, publicKey } = agent;
    const present = find(name);
    const { identity, createdAt } = claim === "rotate" && present !== undefined ? present : agent;
    if (present === undefined) statement(agents.insert).run(...agents.values(agent));
    else statement(UPDATE).run(identity, publicKey, createdAt, name);
    if (agent.v2Only || present?.v2Only) statement(SET_RULE).run(name, agent.v2Only || claim === "rotate" ? 1 : 0);
    statement(REMOVE_REVOKED).run(name);
  };

  const runOnce = (key: RequestKey | undefined, step: () => Outcome | "taken"): Outcome | "taken" => {
    const seen = key && known.seen(key);
    if (seen === "clash") return "clash";
    if (seen !== undefined) return "repeated";
    const outcome = step();
    if (key !== undefined && outcome === "done") known.add(key, 0);
    return outcome;
  };

  let lookup: Promise<Agent | undefined> | undefined;
  let first: Agent | undefined;

  /** Each send asks for the first operator. Calls in one turn of the event loop share a lookup, which runs after them. */
  const lookUpOperator = async (): Promise<Agent | undefined> => {
    await undefined;
    lookup = undefined;
    return await read(() => {
      // The first operator stays the first: the trigger operators_stay keeps its row.
      first ??= agents.find(statement(FIRST_OPERATOR));
      return first;
    });
  };

  return {
    find: (name) => read(() => find(name)),

    list: () => read(() => statement(LIST).all().map(agents.read)),

    firstOperator: () => {
      lookup ??= lookUpOperator();
      return lookup;
    },

    revoked: (name) => read(() => (find(name) === undefined ? findRevoked(name) : undefined)),

    add: (agent, claim, key) =>
      write(() =>
        runOnce(key, () => {
          if (!mayTakeName(agent, claim)) return "taken";
          put(agent, claim);
          return "done";
        }),
      ),

    markRevoked: ({ name, publicKey, registeredBy }) =>
      write(() => statement(MARK_REVOKED).get(name, publicKey, registeredBy, name) !== undefined),

    revoke: (name, publicKey, key) =>
      write(() =>
        runOnce(key, () => {
          const agent = find(name);
          if (agent?.role !== "agent" || agent.publicKey.trim() !== publicKey.trim()) return "taken";
          statement(REVOKE).run(name, publicKey, agent.registeredBy, key.at);
          statement(REMOVE).run(name);
          statement(REMOVE_RULE).run(name);
          return "done";
        }),
      ),
  };
}
