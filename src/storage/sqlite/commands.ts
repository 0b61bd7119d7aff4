import { canonical } from "../../core/json.ts";
import { BATCH_BYTES } from "../../core/limits.ts";
import type { Command, CommandFilter, CommandStore, NewCommand } from "../../core/store.ts";
import type { Connection } from "./connection.ts";
import type { Statement, Value } from "./driver.ts";
import { numberOf, tableOf, textOf } from "./rows.ts";
import { setSignal } from "./signals.ts";

const table = tableOf("orders");

const ROLE_OF_SESSION = "(SELECT role FROM peers WHERE id = ?)";

const OPEN = "status IN ('pending', 'leased')";

const LIST = `SELECT ${table.columns} FROM orders ORDER BY seq DESC LIMIT +?`;

const LIST_OF_STATUS = `SELECT ${table.columns} FROM orders WHERE status = ? ORDER BY seq DESC LIMIT +?`;

/** Commands for the session, those it holds or held, and those it could take for its role. */
const LIST_OF_SESSION = `SELECT ${table.columns} FROM orders WHERE seq IN (
    SELECT seq FROM orders WHERE target = ?
    UNION ALL SELECT seq FROM orders WHERE holder = ?
    UNION ALL SELECT seq FROM orders WHERE target IS NULL AND target_role = ${ROLE_OF_SESSION}
      AND ${OPEN} AND status = 'pending'
  ) ORDER BY seq DESC LIMIT +?`;

const LIST_OF_SESSION_AND_STATUS = `SELECT ${table.columns} FROM orders WHERE seq IN (
    SELECT seq FROM orders WHERE target = ? AND status = ?
    UNION ALL SELECT seq FROM orders WHERE holder = ? AND status = ?
    UNION ALL SELECT seq FROM orders WHERE target IS NULL AND target_role = ${ROLE_OF_SESSION}
      AND ${OPEN} AND status = 'pending' AND status = ?
  ) ORDER BY seq DESC LIMIT +?`;

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

/** The part of a command that its sender doesn't give. */
const UNTOUCHED = { attempts: 0, holder: null, leaseUntil: null, result: null };

export function createCommandStore({ statement, read, write }: Connection): CommandStore {
  const find = (id: string): Command | undefined => {
    const found = statement(FIND).get(id);
    return found && table.read(found);
  };

  const add = (command: NewCommand): void => {
    const { target, createdAt } = command;
    const isDead = target !== null && statement(HAS_SESSION).get(target) === undefined;
    const state = isDead
      ? ({ status: "dead", endedAt: createdAt } as const)
      : ({ status: "pending", endedAt: null } as const);
    statement(table.insert).run(...table.values({ ...command, ...UNTOUCHED, ...state }));
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

    nextFree: (session) =>
      read(() => {
        const found = statement(NEXT_FREE).get(session, session);
        return found === undefined || found.at === null ? undefined : numberOf(found, "at");
      }),

    release: (id, session) =>
      write(() => {
        const released = statement(RELEASE).get(id, session);
        return released && table.read(released);
      }),

    lapse: async (now, mostAttempts) => {
      const findLapsed = () => statement(LAPSED).all(now, now, mostAttempts, now);
      if ((await read(findLapsed)).length === 0) return [];
      return write(() =>
        findLapsed().flatMap((found) => {
          const ended = statement(LAPSE).get(now, now, numberOf(found, "seq"));
          return ended === undefined ? [] : [table.read(ended)];
        }),
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
  if (peer === undefined) {
    return status === undefined
      ? listNewest(statement(LIST), limit)
      : listNewest(statement(LIST_OF_STATUS), status, limit);
  }
  return status === undefined
    ? listNewest(statement(LIST_OF_SESSION), peer, peer, peer, limit)
    : listNewest(statement(LIST_OF_SESSION_AND_STATUS), peer, status, peer, status, peer, status, limit);
}

/** Reverses the rows of a query that begins with the newest: as many as fit into an answer, and at least one. */
function listNewest(query: Statement, ...values: Value[]): Command[] {
  const commands: Command[] = [];
  let bytes = 0;
  for (const row of query.iterate(...values)) {
    bytes += Buffer.byteLength(textOf(row, "params")) + Buffer.byteLength(textOf(row, "result"));
    if (commands.length > 0 && bytes > BATCH_BYTES) break;
    commands.push(table.read(row));
  }
  return commands.reverse();
}
