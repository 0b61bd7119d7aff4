import type { ExclusiveRole, Session, SessionStore } from "../../core/store.ts";
import { asOrder } from "./commands.ts";
import type { Connection } from "./connection.ts";
import type { Row } from "./driver.ts";
import { isRow, jsonOf, nullableOf, numberOf, row, textOf } from "./rows.ts";

const ADD = `INSERT INTO peers (id, role, capabilities, agent, connected_at, last_seen, waiting_for)
  VALUES (?, ?, ?, ?, ?, ?, ?)`;

const FIND = "SELECT * FROM peers WHERE id = ?";

const LIST = "SELECT * FROM peers ORDER BY connected_at, id";

const OF_AGENT = "SELECT * FROM peers WHERE agent = ? ORDER BY connected_at, id";

const HAS_ROLE = "SELECT id FROM peers WHERE role = ? AND last_seen > ? AND id <> ?";

const SEEN = "UPDATE peers SET last_seen = max(last_seen, ?), waiting_for = ? WHERE id = ? RETURNING id";

const AT_WORK = "UPDATE peers SET last_seen = max(last_seen, ?) WHERE id = ? RETURNING id";

const RENEW = "UPDATE orders SET lease_until = ? + lease_seconds WHERE holder = ? AND status = 'leased'";

const SET_ROLE = "UPDATE peers SET role = ? WHERE id = ? RETURNING id";

const LEAVE = "DELETE FROM peers WHERE id = ? RETURNING id";

const FREE = `UPDATE orders SET status = 'pending', holder = NULL, lease_until = NULL
  WHERE holder = ? AND status = 'leased' AND target IS NULL`;

/** Nobody else can take them. */
const BURY = `UPDATE orders SET status = 'dead', lease_until = NULL, ended_at = ?
  WHERE target = ? AND status IN ('pending', 'leased') RETURNING *`;

export function createSessionStore({ statement, read, write }: Connection): SessionStore {
  const isTaken = (id: string, sole: ExclusiveRole | undefined): boolean =>
    sole !== undefined && statement(HAS_ROLE).get(sole.role, sole.aliveSince, id) !== undefined;

  return {
    connect: (peer, sole) =>
      write(() => {
        if (isTaken(peer.id, sole)) return "taken";
        const { id, role, capabilities, agent, connectedAt, lastSeen, waitingFor } = peer;
        statement(ADD).run(id, role, JSON.stringify(capabilities), agent, connectedAt, lastSeen, waitingFor);
        return "done";
      }),

    find: (id) =>
      read(() => {
        const found = row(statement(FIND).get(id));
        return found && asPeer(found);
      }),

    list: () => read(() => statement(LIST).all().filter(isRow).map(asPeer)),

    ofAgent: (agent) => read(() => statement(OF_AGENT).all(agent).filter(isRow).map(asPeer)),

    seen: (id, at, waitingFor) => write(() => statement(SEEN).get(at, waitingFor, id) !== undefined),

    renew: (id, at) =>
      write(() => {
        if (statement(AT_WORK).get(at, id) === undefined) return false;
        statement(RENEW).run(at, id);
        return true;
      }),

    setRole: (id, role, sole) =>
      write(() => {
        if (isTaken(id, sole)) return "taken";
        return statement(SET_ROLE).get(role, id) === undefined ? "missing" : "done";
      }),

    leave: (id, at) =>
      write(() => {
        if (statement(LEAVE).get(id) === undefined) return undefined;
        statement(FREE).run(id);
        return statement(BURY).all(at, id).filter(isRow).map(asOrder);
      }),
  };
}

function asPeer(found: Row): Session {
  const capabilities = jsonOf(found, "capabilities");
  return {
    id: textOf(found, "id"),
    role: textOf(found, "role"),
    capabilities: Array.isArray(capabilities) ? capabilities.map(String) : [],
    agent: nullableOf(found, "agent"),
    connectedAt: numberOf(found, "connected_at"),
    lastSeen: numberOf(found, "last_seen"),
    waitingFor: nullableOf(found, "waiting_for"),
  };
}
