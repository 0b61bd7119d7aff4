import type { Agent, AgentStore, NameClaim, Outcome, RequestKey } from "../../core/store.ts";
import type { Connection } from "./connection.ts";
import type { Row } from "./driver.ts";
import { isRow, nullableOf, numberOf, row, textOf } from "./rows.ts";

const FIND_NONCE = "SELECT digest, message_id FROM nonces WHERE signer = ? AND nonce = ?";

const ADD_NONCE = "INSERT INTO nonces (signer, nonce, digest, message_id, seen_at) VALUES (?, ?, ?, ?, ?)";

/** A few at a time, with each that comes. */
const REMOVE_OLD = `DELETE FROM nonces WHERE (signer, nonce) IN
  (SELECT signer, nonce FROM nonces INDEXED BY nonces_by_age WHERE seen_at < ? LIMIT 4)`;

const KEPT_SECONDS = 3_600;

export interface Nonces {
  /** What became of a request: undefined where it is new, else its message's id or, under another digest, a clash. */
  seen(once: RequestKey): { readonly id: number } | "clash" | undefined;
  add(once: RequestKey, messageId: number): void;
}

/** Both are parts of a step that writes. */
export function createNonces({ statement }: Connection): Nonces {
  return {
    seen({ signer, nonce, digest }) {
      const found = row(statement(FIND_NONCE).get(signer, nonce));
      if (found === undefined) return undefined;
      return textOf(found, "digest") === digest ? { id: numberOf(found, "message_id") } : "clash";
    },
    add({ signer, nonce, digest, at }, messageId) {
      statement(REMOVE_OLD).run(at - KEPT_SECONDS);
      statement(ADD_NONCE).run(signer, nonce, digest, messageId, at);
    },
  };
}

const COLUMNS = `name, identity, public_key, role, registered_by, created_at,
  coalesce((SELECT v2_only FROM agent_rules WHERE agent_rules.name = agents.name), 0) AS v2_only`;

const FIND = `SELECT ${COLUMNS} FROM agents WHERE name = ?`;

const LIST = `SELECT ${COLUMNS} FROM agents ORDER BY created_at, name`;

/** By rowid: a clock that was wrong makes nobody the first, whose key is what the bus is known by. */
const FIRST_OPERATOR = `SELECT ${COLUMNS} FROM agents WHERE role = 'operator' ORDER BY rowid LIMIT 1`;

const ADD = `INSERT INTO agents (name, identity, public_key, role, registered_by, created_at) VALUES (?, ?, ?, ?, ?, ?)`;

const UPDATE = "UPDATE agents SET identity = ?, public_key = ?, created_at = ? WHERE name = ?";

const RULE = `INSERT INTO agent_rules (name, v2_only) VALUES (?, ?)
  ON CONFLICT (name) DO UPDATE SET v2_only = excluded.v2_only`;

const UNRULE = "DELETE FROM agent_rules WHERE name = ?";

const REMOVE = "DELETE FROM agents WHERE name = ? AND role = 'agent'";

const REVOKED = "SELECT name, public_key, registered_by FROM revoked_agents WHERE name = ?";

const REVOKE = `INSERT INTO revoked_agents (name, public_key, registered_by, revoked_at) VALUES (?, ?, ?, ?)
  ON CONFLICT (name) DO UPDATE SET public_key = excluded.public_key, registered_by = excluded.registered_by,
    revoked_at = excluded.revoked_at`;

const BAR = `INSERT INTO revoked_agents (name, public_key, registered_by, revoked_at)
  SELECT ?, ?, ?, 0 WHERE NOT EXISTS (SELECT 1 FROM agents WHERE name = ?)
  ON CONFLICT (name) DO NOTHING RETURNING name`;

const UNREVOKE = "DELETE FROM revoked_agents WHERE name = ?";

export function createAgentStore(connection: Connection): AgentStore {
  const { statement, read, write } = connection;
  const nonces = createNonces(connection);

  const find = (name: string): Agent | undefined => {
    const found = row(statement(FIND).get(name));
    return found && asAgent(found);
  };

  const revoked = (name: string) => {
    const found = row(statement(REVOKED).get(name));
    if (found === undefined) return undefined;
    return { name, publicKey: textOf(found, "public_key"), registeredBy: nullableOf(found, "registered_by") };
  };

  const mayEnter = (agent: Agent, entry: NameClaim): boolean => {
    const present = find(agent.name);
    if (present?.role === "operator") return false;
    if (entry === "rotate") return present !== undefined || revoked(agent.name) !== undefined;
    if (entry === "new") return present === undefined && revoked(agent.name) === undefined;
    const owner = present ?? revoked(agent.name);
    return owner === undefined || owner.registeredBy === agent.registeredBy;
  };

  const put = (agent: Agent, entry: NameClaim): void => {
    const { name, publicKey, role, registeredBy } = agent;
    const present = find(name);
    const { identity, createdAt } = entry === "rotate" && present !== undefined ? present : agent;
    if (present === undefined) statement(ADD).run(name, identity, publicKey, role, registeredBy, createdAt);
    else statement(UPDATE).run(identity, publicKey, createdAt, name);
    if (agent.v2Only || present?.v2Only) statement(RULE).run(name, agent.v2Only || entry === "rotate" ? 1 : 0);
    statement(UNREVOKE).run(name);
  };

  /** A step under a nonce, if it has one: done once, and answered alike when it comes again. */
  const once = (request: RequestKey | undefined, step: () => Outcome | "taken"): Outcome | "taken" => {
    const seen = request && nonces.seen(request);
    if (seen === "clash") return "clash";
    if (seen !== undefined) return "repeated";
    const outcome = step();
    if (request !== undefined && outcome === "done") nonces.add(request, 0);
    return outcome;
  };

  let looking: Promise<Agent | undefined> | undefined;
  let first: Agent | undefined;

  /** Each send asks for it. Those that come together are answered by one look, after the last of them has asked. */
  const lookForOperator = async (): Promise<Agent | undefined> => {
    await undefined;
    looking = undefined;
    return await read(() => {
      // Once there, it stays the first: see the trigger operators_stay.
      const found = first === undefined ? row(statement(FIRST_OPERATOR).get()) : undefined;
      if (found !== undefined) first = asAgent(found);
      return first;
    });
  };

  return {
    find: (name) => read(() => find(name)),

    list: () => read(() => statement(LIST).all().filter(isRow).map(asAgent)),

    firstOperator: () => {
      looking ??= lookForOperator();
      return looking;
    },

    revoked: (name) => read(() => (find(name) === undefined ? revoked(name) : undefined)),

    add: (agent, entry, request) =>
      write(() =>
        once(request, () => {
          if (!mayEnter(agent, entry)) return "taken";
          put(agent, entry);
          return "done";
        }),
      ),

    markRevoked: ({ name, publicKey, registeredBy }) =>
      write(() => statement(BAR).get(name, publicKey, registeredBy, name) !== undefined),

    revoke: (name, publicKey, request) =>
      write(() =>
        once(request, () => {
          const agent = find(name);
          if (agent?.role !== "agent" || agent.publicKey.trim() !== publicKey.trim()) return "taken";
          statement(REVOKE).run(name, publicKey, agent.registeredBy, request.at);
          statement(REMOVE).run(name);
          statement(UNRULE).run(name);
          return "done";
        }),
      ),
  };
}

function asAgent(found: Row): Agent {
  return {
    name: textOf(found, "name"),
    identity: textOf(found, "identity"),
    publicKey: textOf(found, "public_key"),
    role: found.role === "operator" ? "operator" : "agent",
    registeredBy: nullableOf(found, "registered_by"),
    createdAt: numberOf(found, "created_at"),
    v2Only: numberOf(found, "v2_only") === 1,
  };
}
