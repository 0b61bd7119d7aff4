import type { Agent, AgentStore } from "../../core/store.ts";
import type { Connection } from "./connection.ts";
import type { Row } from "./driver.ts";
import { isRow, numberOf, row, textOf } from "./rows.ts";

const COLUMNS = "name, identity, public_key, role, registered_by, created_at";

const FIND = `SELECT ${COLUMNS} FROM agents WHERE name = ?`;

const LIST = `SELECT ${COLUMNS} FROM agents ORDER BY created_at, name`;

/** By rowid: a clock that was wrong makes nobody the first, whose key is what the bus is known by. */
const FIRST_OPERATOR = `SELECT ${COLUMNS} FROM agents WHERE role = 'operator' ORDER BY rowid LIMIT 1`;

const ADD = `INSERT INTO agents (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)`;

const REPLACE = `UPDATE agents SET identity = ?, public_key = ?, created_at = ?
  WHERE name = ? AND role = 'agent' AND registered_by = ? RETURNING name`;

export function createAgentStore({ statement, read, write }: Connection): AgentStore {
  const find = (name: string): Agent | undefined => {
    const found = row(statement(FIND).get(name));
    return found && asAgent(found);
  };

  return {
    find: (name) => read(() => find(name)),

    list: () => read(() => statement(LIST).all().filter(isRow).map(asAgent)),

    firstOperator: () =>
      read(() => {
        const found = row(statement(FIRST_OPERATOR).get());
        return found && asAgent(found);
      }),

    add: ({ name, identity, publicKey, role, registeredBy, createdAt }) =>
      write(() => {
        if (find(name) !== undefined) return false;
        statement(ADD).run(name, identity, publicKey, role, registeredBy, createdAt);
        return true;
      }),

    replace: ({ name, identity, publicKey, registeredBy, createdAt }) =>
      write(() => statement(REPLACE).get(identity, publicKey, createdAt, name, registeredBy) !== undefined),
  };
}

function asAgent(found: Row): Agent {
  return {
    name: textOf(found, "name"),
    identity: textOf(found, "identity"),
    publicKey: textOf(found, "public_key"),
    role: found.role === "operator" ? "operator" : "agent",
    registeredBy: found.registered_by === null ? null : textOf(found, "registered_by"),
    createdAt: numberOf(found, "created_at"),
  };
}
