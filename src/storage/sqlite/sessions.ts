import type { ExclusiveRole, SessionStore } from "../../core/store.ts";
import type { Connection } from "./connection.ts";
import { tableOf } from "./rows.ts";

const sessions = tableOf("peers");
const commands = tableOf("orders");

const FIND = `SELECT ${sessions.columns} FROM peers WHERE id = ?`;
const LIST = `SELECT ${sessions.columns} FROM peers ORDER BY connected_at, id`;
const LIST_OF_AGENT = `SELECT ${sessions.columns} FROM peers WHERE agent = ? ORDER BY connected_at, id`;
const HAS_ROLE = "SELECT id FROM peers WHERE role = ? AND last_seen > ? AND id <> ?";
const SEEN = "UPDATE peers SET last_seen = max(last_seen, ?), waiting_for = ? WHERE id = ? RETURNING id";
const WORKING = "UPDATE peers SET last_seen = max(last_seen, ?) WHERE id = ? RETURNING id";
const RENEW_LEASES = "UPDATE orders SET lease_until = ? + lease_seconds WHERE holder = ? AND status = 'leased'";
const SET_ROLE = "UPDATE peers SET role = ? WHERE id = ? RETURNING id";
const REMOVE = "DELETE FROM peers WHERE id = ? RETURNING id";

const FREE_COMMANDS = `UPDATE orders SET status = 'pending', holder = NULL, lease_until = NULL
  WHERE holder = ? AND status = 'leased' AND target IS NULL`;

/** Ends the session's own commands, which no other session may take. */
const END_COMMANDS = `UPDATE orders SET status = 'dead', lease_until = NULL, ended_at = ?
  WHERE target = ? AND status IN ('pending', 'leased') RETURNING ${commands.columns}`;

export function createSessionStore({ statement, read, write }: Connection): SessionStore {
  const isTaken = (id: string, exclusive: ExclusiveRole | undefined): boolean =>
    exclusive !== undefined && statement(HAS_ROLE).get(exclusive.role, exclusive.aliveSince, id) !== undefined;

  return {
    connect: (session, exclusive) =>
      write(() => {
        if (isTaken(session.id, exclusive)) return "taken";
        statement(sessions.insert).run(...sessions.values(session));
        return "done";
      }),

    find: (id) => read(() => sessions.find(statement(FIND), id)),

    list: () => read(() => statement(LIST).all().map(sessions.read)),

    ofAgent: (agent) => read(() => statement(LIST_OF_AGENT).all(agent).map(sessions.read)),

    seen: (id, at, waitingFor) => write(() => statement(SEEN).get(at, waitingFor, id) !== undefined),

    renew: (id, at) =>
      write(() => {
        if (statement(WORKING).get(at, id) === undefined) return false;
        statement(RENEW_LEASES).run(at, id);
        return true;
      }),

    setRole: (id, role, exclusive) =>
      write(() => {
        if (isTaken(id, exclusive)) return "taken";
        return statement(SET_ROLE).get(role, id) === undefined ? "missing" : "done";
      }),

    leave: (id, at) =>
      write(() => {
        if (statement(REMOVE).get(id) === undefined) return undefined;
        statement(FREE_COMMANDS).run(id);
        return statement(END_COMMANDS).all(at, id).map(commands.read);
      }),
  };
}
