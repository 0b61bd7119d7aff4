import type { NewOrder, Order, OrderStatus, OrderStore } from "../../core/session-store.ts";
import type { Connection } from "./connection.ts";
import type { Row } from "./driver.ts";
import { isRow, jsonOf, nullableNumberOf, nullableOf, numberOf, row, textOf } from "./rows.ts";
import { SET_SIGNAL } from "./signals.ts";

const ADD = `INSERT INTO orders (id, kind, sender, sender_id, target, target_role, action, params, created_at,
  lease_seconds, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;

const FIND = "SELECT * FROM orders WHERE id = ?";

const LIST = `SELECT * FROM (
    SELECT * FROM orders WHERE (? IS NULL OR target = ? OR holder = ?) AND (? IS NULL OR status = ?)
    ORDER BY seq DESC LIMIT ?
  ) ORDER BY seq`;

/** The oldest of those for the peer itself and of those for its role, each by an index of its own. */
const CANDIDATE = `SELECT * FROM (
    SELECT * FROM (SELECT * FROM orders WHERE target = ? AND status IN ('pending', 'leased')
      AND (status = 'pending' OR lease_until <= ?) ORDER BY seq LIMIT 1)
    UNION ALL
    SELECT * FROM (SELECT * FROM orders WHERE target IS NULL AND target_role = (SELECT role FROM peers WHERE id = ?)
      AND status IN ('pending', 'leased') AND (status = 'pending' OR lease_until <= ?) ORDER BY seq LIMIT 1)
  ) ORDER BY seq LIMIT 1`;

const NEXT_FREE = `SELECT min(lease_until) AS at FROM orders WHERE status = 'leased'
  AND (target = ? OR (target IS NULL AND target_role = (SELECT role FROM peers WHERE id = ?)))`;

const LEASE = `UPDATE orders SET status = 'leased', attempts = attempts + 1, holder = ?, lease_until = ? + lease_seconds
  WHERE id = ?`;

const GIVE_UP = "UPDATE orders SET status = ?, holder = NULL, lease_until = NULL, ended_at = ? WHERE id = ?";

const RELEASE = `UPDATE orders SET status = 'pending', attempts = attempts - 1, holder = NULL, lease_until = NULL
  WHERE id = ? AND holder = ? AND status = 'leased'`;

const END = "UPDATE orders SET status = ?, result = ?, ended_at = ?, lease_until = NULL WHERE id = ?";

const OFFER_AGAIN = `UPDATE orders SET status = 'pending', attempts = 0, holder = NULL, ended_at = NULL, expires_at = NULL
  WHERE id = ? AND status IN ('dead', 'failed', 'expired') RETURNING id`;

const NOTE = "INSERT INTO messages (channel, sender, content, created_at, signature) VALUES (?, ?, ?, ?, '')";

export function createOrderStore({ statement, read, write }: Connection): OrderStore {
  const find = (id: string): Order | undefined => {
    const found = row(statement(FIND).get(id));
    return found && asOrder(found);
  };

  const add = (order: NewOrder): void => {
    const { id, kind, from, fromId, target, targetRole, action, params, createdAt, leaseSeconds, expiresAt } = order;
    const json = JSON.stringify(params ?? null);
    statement(ADD).run(id, kind, from, fromId, target, targetRole, action, json, createdAt, leaseSeconds, expiresAt);
  };

  /** Why an order isn't handed out once more, if it isn't. */
  const giveUp = ({ attempts, expiresAt }: Order, now: number, mostAttempts: number): OrderStatus | undefined => {
    if (expiresAt !== null && expiresAt <= now) return "expired";
    return attempts >= mostAttempts ? "dead" : undefined;
  };

  return {
    add: (orders) => write(() => orders.forEach(add)),

    find: (id) => read(() => find(id)),

    list: ({ target, status, limit }) =>
      read(() =>
        statement(LIST)
          .all(target ?? null, target ?? null, target ?? null, status ?? null, status ?? null, limit)
          .filter(isRow)
          .map(asOrder),
      ),

    take: async (peer, now, mostAttempts) => {
      const candidate = () => row(statement(CANDIDATE).get(peer, now, peer, now));
      if ((await read(candidate)) === undefined) return undefined;
      return write(() => {
        for (let found = candidate(); found !== undefined; found = candidate()) {
          const order = asOrder(found);
          const given = giveUp(order, now, mostAttempts);
          if (given !== undefined) {
            statement(GIVE_UP).run(given, now, order.id);
            continue;
          }
          statement(LEASE).run(peer, now, order.id);
          return find(order.id);
        }
        return undefined;
      });
    },

    nextFree: (peer) =>
      read(() => {
        const found = row(statement(NEXT_FREE).get(peer, peer));
        return found === undefined || found.at === null ? undefined : numberOf(found, "at");
      }),

    release: (id, peer) => write(() => void statement(RELEASE).run(id, peer)),

    end: (id, { status, result, at }, { response, signal, activity }) =>
      write(() => {
        const order = find(id);
        if (order === undefined) return "missing";
        if (order.status === "acked" || order.status === "failed") {
          return order.status === status && canonical(order.result) === canonical(result) ? "same" : "different";
        }
        statement(END).run(status, JSON.stringify(result ?? null), at, id);
        if (response !== undefined) add(response);
        statement(SET_SIGNAL).run(signal.name, JSON.stringify(signal.data ?? null), signal.sender, signal.setAt);
        statement(NOTE).run(activity.channel, activity.sender, activity.content, at);
        return "done";
      }),

    offerAgain: (id) => write(() => statement(OFFER_AGAIN).get(id) !== undefined),
  };
}

/** JSON that is the same for values that are, in whatever order their keys came. */
function canonical(value: unknown): string {
  return JSON.stringify(value ?? null, (_, part) =>
    typeof part === "object" && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}

const STATUSES: readonly OrderStatus[] = ["pending", "leased", "acked", "failed", "dead", "expired"];

function asOrder(found: Row): Order {
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
