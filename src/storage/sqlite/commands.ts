import { canonical } from "../../core/json.ts";
import type { Command, CommandFilter, CommandStore, NewCommand } from "../../core/store.ts";
import type { Connection } from "./connection.ts";
import type { Statement, Value } from "./driver.ts";
import { maybeNumberOf, numberOf, readBatch, tableOf, textOf } from "./rows.ts";
import { setSignal } from "./signals.ts";

const table = tableOf("orders");

const ROLE_OF_SESSION = "(SELECT role FROM peers WHERE id = ?)";
const OPEN = "status IN ('pending', 'leased')";
const LIST = `SELECT ${table.columns} FROM orders ORDER BY seq DESC LIMIT +?`;
const LIST_OF_STATUS = `SELECT ${table.columns} FROM orders WHERE status = ? ORDER BY seq DESC LIMIT +?`;

/** Commands for the session, those it holds or held, and those it could take for its role. */
const listOfSession = (andStatus: string) => `SELECT ${table.columns} FROM orders WHERE seq IN (
    SELECT seq FROM orders WHERE target = ? ${andStatus}
    UNION ALL SELECT seq FROM orders WHERE holder = ? ${andStatus}
    UNION ALL SELECT seq FROM orders WHERE target IS NULL AND target_role = ${ROLE_OF_SESSION}
      AND ${OPEN} AND status = 'pending' ${andStatus}
  ) ORDER BY seq DESC LIMIT +?`;
const LIST_OF_SESSION = listOfSession("");
const LIST_OF_SESSION_AND_STATUS = listOfSession("AND status = ?");

const RESTORE = `${table.insert} ON CONFLICT (id) DO NOTHING RETURNING id`;
const HAS_SESSION = "SELECT id FROM peers WHERE id = ?";
const FIND = `SELECT ${table.columns} FROM orders WHERE id = ?`;
const FREE = `${OPEN} AND (status = 'pending' OR lease_until <= ?)`;
const TAKEABLE = `${FREE} AND (expires_at IS NULL OR expires_at > ?) AND attempts < ?`;

/** The oldest command for the session and the oldest for its role each have an index. */
const NEXT = `SELECT seq, id FROM (
    SELECT * FROM (SELECT seq, id FROM orders WHERE target = ? AND ${TAKEABLE} ORDER BY seq LIMIT 1)
    UNION ALL
    SELECT * FROM (SELECT seq, id FROM orders WHERE target IS NULL AND target_role = ${ROLE_OF_SESSION} AND ${TAKEABLE}
      ORDER BY seq LIMIT 1)
  ) ORDER BY seq LIMIT 1`;

const NEXT_FREE = `SELECT min(at) AS at FROM (
    SELECT min(lease_until) AS at FROM orders WHERE target = ? AND ${OPEN}
    UNION ALL
    SELECT min(lease_until) FROM orders WHERE target IS NULL AND target_role = ${ROLE_OF_SESSION} AND ${OPEN}
  )`;

const LEASE = `UPDATE orders SET status = 'leased', attempts = attempts + 1, holder = ?, lease_until = ? + lease_seconds
  WHERE id = ?`;

const LAPSED = `SELECT seq FROM orders WHERE expires_at <= ? AND ${FREE}
  UNION SELECT seq FROM orders WHERE attempts >= ? AND ${FREE}`;

const LAPSE = `UPDATE orders SET status = CASE WHEN expires_at <= ? THEN 'expired' ELSE 'dead' END, lease_until = NULL,
  ended_at = ? WHERE seq = ? RETURNING ${table.columns}`;

const RELEASE = `UPDATE orders SET status = 'pending', attempts = attempts - 1, holder = NULL, lease_until = NULL
  WHERE id = ? AND holder = ? AND status = 'leased' RETURNING ${table.columns}`;

const END = "UPDATE orders SET status = ?, result = ?, ended_at = ?, lease_until = NULL WHERE id = ?";

const OFFER_AGAIN = `UPDATE orders SET status = 'pending', attempts = 0, holder = NULL, result = 'null', ended_at = NULL,
  expires_at = NULL WHERE id = ? AND status IN ('dead', 'failed', 'expired')
  AND (target IS NULL OR EXISTS (SELECT 1 FROM peers WHERE peers.id = orders.target)) RETURNING id`;

const ENDED_BEFORE = "SELECT seq FROM orders WHERE ended_at < ? ORDER BY ended_at LIMIT +?";
const FORGET = `DELETE FROM orders WHERE seq IN (${ENDED_BEFORE}) RETURNING seq`;
const ADD_MESSAGE = "INSERT INTO messages (channel, sender, content, created_at, signature) VALUES (?, ?, ?, ?, '')";

const UNTOUCHED = { attempts: 0, holder: null, leaseUntil: null, result: null };

export function createCommandStore({ statement, read, write }: Connection): CommandStore {
  const find = (id: string): Command | undefined => table.find(statement(FIND), id);

  const add = (command: NewCommand): void => {
    const { target, createdAt } = command;
    const isDead = target !== null && statement(HAS_SESSION).get(target) === undefined;
    const [status, endedAt] = isDead ? (["dead", createdAt] as const) : (["pending", null] as const);
    statement(table.insert).run(...table.values({ ...command, ...UNTOUCHED, status, endedAt }));
  };

  return {
    add: (commands) => write(() => commands.forEach(add)),

    restore: (command) => write(() => statement(RESTORE).get(...table.values(command)) !== undefined),

    find: (id) => read(() => find(id)),

    list: (filter) => read(() => listCommands(statement, filter)),

    // The lookup costs no commit: most calls find nothing.
    take: async (session, now, mostAttempts) => {
      const next = () => statement(NEXT).get(session, now, now, mostAttempts, session, now, now, mostAttempts);
      if ((await read(next)) === undefined) return undefined;
      return write(() => {
        const found = next();
        if (found === undefined) return undefined;
        const id = textOf(found, "id");
        statement(LEASE).run(session, now, id);
        return find(id);
      });
    },

    nextFree: (session) => read(() => maybeNumberOf(statement(NEXT_FREE).get(session, session), "at")),

    release: (id, session) => write(() => table.find(statement(RELEASE), id, session)),

    lapse: async (now, mostAttempts) => {
      const findLapsed = () => statement(LAPSED).all(now, now, mostAttempts, now);
      if ((await read(findLapsed)).length === 0) return [];
      return write(() =>
        findLapsed().flatMap((found) => table.find(statement(LAPSE), now, now, numberOf(found, "seq")) ?? []),
      );
    },

    end: (id, { status, result, at }, { response, signal, activity }) =>
      write(() => {
        const command = find(id);
        if (command === undefined) return "missing";
        if (command.status === "acked" || command.status === "failed") {
          return command.status === status && canonical(command.result) === canonical(result) ? "same" : "different";
        }
        statement(END).run(status, JSON.stringify(result ?? null), at, id);
        if (response !== undefined) add(response);
        if (signal !== undefined) setSignal(statement, signal);
        if (activity !== undefined) statement(ADD_MESSAGE).run(activity.channel, activity.sender, activity.content, at);
        return "done";
      }),

    retry: (id) => write(() => statement(OFFER_AGAIN).get(id) !== undefined),

    forget: async (endedBefore, limit) => {
      if ((await read(() => statement(ENDED_BEFORE).get(endedBefore, 1))) === undefined) return 0;
      return write(() => statement(FORGET).all(endedBefore, limit).length);
    },
  };
}

function listCommands(statement: (sql: string) => Statement, { peer, status, limit }: CommandFilter): Command[] {
  const list = (sql: string, ...values: Value[]): Command[] =>
    readBatch(statement(sql).iterate(...values, limit), table.read, ["params", "result"]).reverse();
  if (peer === undefined) return status === undefined ? list(LIST) : list(LIST_OF_STATUS, status);
  if (status === undefined) return list(LIST_OF_SESSION, peer, peer, peer);
  return list(LIST_OF_SESSION_AND_STATUS, peer, status, peer, status, peer, status);
}
