import { BATCH_BYTES } from "../../core/limits.ts";
import type { Order, OrderList, OrderStatus } from "../../core/session-store.ts";
import type { Row, Statement, Value } from "./driver.ts";
import { isRow, jsonOf, nullableNumberOf, nullableOf, numberOf, textOf } from "./rows.ts";

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

export function listOrders(statement: (sql: string) => Statement, { peer, status, limit }: OrderList): Order[] {
  if (peer === undefined) {
    return status === undefined ? newest(statement(ALL), limit) : newest(statement(OF_STATUS), status, limit);
  }
  return status === undefined
    ? newest(statement(OF_PEER), peer, peer, peer, limit)
    : newest(statement(OF_PEER_AND_STATUS), peer, status, peer, status, peer, status, limit);
}

/** The rows of a query that begins with the newest, oldest first, up to an answer's size in bytes, and one at least. */
function newest(query: Statement, ...values: Value[]): Order[] {
  const orders: Order[] = [];
  let bytes = 0;
  for (const found of query.iterate(...values)) {
    if (!isRow(found)) continue;
    bytes += Buffer.byteLength(textOf(found, "params")) + Buffer.byteLength(textOf(found, "result"));
    if (orders.length > 0 && bytes > BATCH_BYTES) break;
    orders.push(asOrder(found));
  }
  return orders.reverse();
}

const STATUSES: readonly OrderStatus[] = ["pending", "leased", "acked", "failed", "dead", "expired"];

export function asOrder(found: Row): Order {
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
