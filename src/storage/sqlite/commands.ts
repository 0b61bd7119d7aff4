import { canonical } from "../../core/json.ts";
import { BATCH_BYTES } from "../../core/limits.ts";
import type { Command, CommandFilter, CommandStatus, CommandStore, NewCommand } from "../../core/store.ts";
import type { Connection } from "./connection.ts";
import type { Row, Statement, Value } from "./driver.ts";
import { isRow, jsonOf, nullableNumberOf, nullableOf, numberOf, row, textOf } from "./rows.ts";
import { SET_SIGNAL } from "./signals.ts";

const ALL = "SELECT * FROM orders ORDER BY seq DESC LIMIT +?";

const OF_STATUS = "SELECT * FROM orders WHERE status = ? ORDER BY seq DESC LIMIT +?";

/** Its own, what it holds or held, and what whoever of its role may take. */
const OF_PEER = `SELECT * FROM orders WHERE seq IN (
    SELECT seq FROM orders WHERE target = ?
    UNION ALL SELECT seq FROM orders WHERE holder = ?
    UNION ALL SELECT seq FROM orders WHERE target IS NULL AND target_role = (SELECT role FROM peers WHERE id = ?)
      AND status IN ('pending', 'leased') AND status = 'pending'
  ) ORDER BY seq DESC LIMIT +?`;

const OF_PEER_AND_STATUS = `SELECT * FROM orders WHERE seq IN (
    SELECT seq FROM orders WHERE target = ? AND status = ?
    UNION ALL SELECT seq FROM orders WHERE holder = ? AND status = ?
    UNION ALL SELECT seq FROM orders WHERE target IS NULL AND target_role = (SELECT role FROM peers WHERE id = ?)
      AND status IN ('pending', 'leased') AND status = 'pending' AND status = ?
  ) ORDER BY seq DESC LIMIT +?`;

export function listOrders(statement: (sql: string) => Statement, { peer, status, limit }: CommandFilter): Command[] {
  if (peer === undefined) {
    return status === undefined ? newest(statement(ALL), limit) : newest(statement(OF_STATUS), status, limit);
  }
  return status === undefined
    ? newest(statement(OF_PEER), peer, peer, peer, limit)
    : newest(statement(OF_PEER_AND_STATUS), peer, status, peer, status, peer, status, limit);
}

/** The rows of a query that begins with the newest, oldest first, up to an answer's size in bytes, and one at least. */
function newest(query: Statement, ...values: Value[]): Command[] {
  const orders: Command[] = [];
  let bytes = 0;
  for (const found of query.iterate(...values)) {
    if (!isRow(found)) continue;
    bytes += Buffer.byteLength(textOf(found, "params")) + Buffer.byteLength(textOf(found, "result"));
    if (orders.length > 0 && bytes > BATCH_BYTES) break;
    orders.push(asOrder(found));
  }
  return orders.reverse();
}

const STATUSES: readonly CommandStatus[] = ["pending", "leased", "acked", "failed", "dead", "expired"];

export function asOrder(found: Row): Command {
  return {
    id: textOf(found, "id"),
    kind: found.kind === "command_response" ? "command_response" : "command",
    from: textOf(found, "sender"),
    fromId: nullableOf(found, "sender_id"),
    target: nullableOf(found, "target"),
    targetRole: textOf(found, "target_role"),
    action: textOf(found, "action"),
    params: jsonOf(found, "params"),
    createdAt: numberOf(found, "created_at"),
    leaseSeconds: numberOf(found, "lease_seconds"),
    expiresAt: nullableNumberOf(found, "expires_at"),
    status: STATUSES.find((status) => status === found.status) ?? "dead",
    attempts: numberOf(found, "attempts"),
    holder: nullableOf(found, "holder"),
    leaseUntil: nullableNumberOf(found, "lease_until"),
    result: jsonOf(found, "result"),
    endedAt: nullableNumberOf(found, "ended_at"),
  };
}

const ADD = `INSERT INTO orders (id, kind, sender, sender_id, target, target_role, action, params, created_at,
  lease_seconds, expires_at, status, ended_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;

const RESTORE = `INSERT INTO orders (id, kind, sender, sender_id, target, target_role, action, params, created_at,
  lease_seconds, expires_at, status, ended_at, attempts, holder, lease_until, result)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING RETURNING id`;

const IS_THERE = "SELECT id FROM peers WHERE id = ?";

const FIND = "SELECT * FROM orders WHERE id = ?";

const ROLE = "(SELECT role FROM peers WHERE id = ?)";

const OPEN = "status IN ('pending', 'leased')";

const FREE = `${OPEN} AND (status = 'pending' OR lease_until <= ?)`;

const TAKEABLE = `${FREE} AND (expires_at IS NULL OR expires_at > ?) AND attempts < ?`;

/** The oldest of those for the peer itself and of those for its role, each by an index of its own. */
const CANDIDATE = `SELECT seq, id FROM (
    SELECT * FROM (SELECT seq, id FROM orders WHERE target = ? AND ${TAKEABLE} ORDER BY seq LIMIT 1)
    UNION ALL
    SELECT * FROM (SELECT seq, id FROM orders WHERE target IS NULL AND target_role = ${ROLE} AND ${TAKEABLE}
      ORDER BY seq LIMIT 1)
  ) ORDER BY seq LIMIT 1`;

const NEXT_FREE = `SELECT min(at) AS at FROM (
    SELECT min(lease_until) AS at FROM orders WHERE target = ? AND ${OPEN}
    UNION ALL
    SELECT min(lease_until) FROM orders WHERE target IS NULL AND target_role = ${ROLE} AND ${OPEN}
  )`;

const LEASE = `UPDATE orders SET status = 'leased', attempts = attempts + 1, holder = ?, lease_until = ? + lease_seconds
  WHERE id = ?`;

const LAPSED = `SELECT seq FROM orders WHERE expires_at <= ? AND ${FREE}
  UNION SELECT seq FROM orders WHERE attempts >= ? AND ${FREE}`;

const LAPSE = `UPDATE orders SET status = CASE WHEN expires_at <= ? THEN 'expired' ELSE 'dead' END, lease_until = NULL,
  ended_at = ? WHERE seq = ? RETURNING *`;

const RELEASE = `UPDATE orders SET status = 'pending', attempts = attempts - 1, holder = NULL, lease_until = NULL
  WHERE id = ? AND holder = ? AND status = 'leased' RETURNING *`;

const END = "UPDATE orders SET status = ?, result = ?, ended_at = ?, lease_until = NULL WHERE id = ?";

const OFFER_AGAIN = `UPDATE orders SET status = 'pending', attempts = 0, holder = NULL, result = 'null', ended_at = NULL,
  expires_at = NULL WHERE id = ? AND status IN ('dead', 'failed', 'expired')
  AND (target IS NULL OR EXISTS (SELECT 1 FROM peers WHERE peers.id = orders.target)) RETURNING id`;

const ENDED_LONG_AGO = "SELECT seq FROM orders WHERE ended_at < ? ORDER BY ended_at LIMIT +?";

const FORGET = `DELETE FROM orders WHERE seq IN (${ENDED_LONG_AGO}) RETURNING seq`;

const NOTE = "INSERT INTO messages (channel, sender, content, created_at, signature) VALUES (?, ?, ?, ?, '')";

export function createCommandStore(connection: Connection): CommandStore {
  const { statement, read, write } = connection;

  const find = (id: string): Command | undefined => {
    const found = row(statement(FIND).get(id));
    return found && asOrder(found);
  };

  const add = (order: NewCommand): void => {
    const { target, createdAt } = order;
    const dead = target !== null && statement(IS_THERE).get(target) === undefined;
    statement(ADD).run(...saidIn(order), ...(dead ? (["dead", createdAt] as const) : (["pending", null] as const)));
  };

  return {
    add: (orders) => write(() => orders.forEach(add)),

    restore: (order) =>
      write(() => {
        const { status, endedAt, attempts, holder, leaseUntil, result } = order;
        const state = [status, endedAt, attempts, holder, leaseUntil, JSON.stringify(result ?? null)] as const;
        return statement(RESTORE).get(...saidIn(order), ...state) !== undefined;
      }),

    find: (id) => read(() => find(id)),

    list: (list) => read(() => listOrders(statement, list)),

    take: async (peer, now, mostAttempts) => {
      const candidate = () => row(statement(CANDIDATE).get(peer, now, now, mostAttempts, peer, now, now, mostAttempts));
      if ((await read(candidate)) === undefined) return undefined;
      return write(() => {
        const found = candidate();
        if (found === undefined) return undefined;
        const id = String(found.id);
        statement(LEASE).run(peer, now, id);
        return find(id);
      });
    },

    nextFree: (peer) =>
      read(() => {
        const found = row(statement(NEXT_FREE).get(peer, peer));
        return found === undefined || found.at === null ? undefined : numberOf(found, "at");
      }),

    release: (id, peer) =>
      write(() => {
        const released = row(statement(RELEASE).get(id, peer));
        return released && asOrder(released);
      }),

    lapse: async (now, mostAttempts) => {
      const lapsed = () => statement(LAPSED).all(now, now, mostAttempts, now).filter(isRow);
      if ((await read(lapsed)).length === 0) return [];
      return write(() =>
        lapsed().flatMap((found) => {
          const ended = row(statement(LAPSE).get(now, now, numberOf(found, "seq")));
          return ended === undefined ? [] : [asOrder(ended)];
        }),
      );
    },

    end: (id, { status, result, at }, { response, signal, activity }) =>
      write(() => {
        const order = find(id);
        if (order === undefined) return "missing";
        if (order.status === "acked" || order.status === "failed") {
          return order.status === status && canonical(order.result) === canonical(result) ? "same" : "different";
        }
        statement(END).run(status, JSON.stringify(result ?? null), at, id);
        if (response !== undefined) add(response);
        if (signal !== undefined) {
          statement(SET_SIGNAL).run(signal.name, JSON.stringify(signal.data ?? null), signal.sender, signal.setAt);
        }
        if (activity !== undefined) statement(NOTE).run(activity.channel, activity.sender, activity.content, at);
        return "done";
      }),

    retry: (id) => write(() => statement(OFFER_AGAIN).get(id) !== undefined),

    forget: async (endedBefore, limit) => {
      if ((await read(() => statement(ENDED_LONG_AGO).get(endedBefore, 1))) === undefined) return 0;
      return write(() => statement(FORGET).all(endedBefore, limit).length);
    },
  };
}

/** What its sender said of an order, as the columns have it. */
function saidIn(order: NewCommand): Value[] {
  const { id, kind, from, fromId, target, targetRole, action, params, createdAt, leaseSeconds, expiresAt } = order;
  const json = JSON.stringify(params ?? null);
  return [id, kind, from, fromId, target, targetRole, action, json, createdAt, leaseSeconds, expiresAt];
}
