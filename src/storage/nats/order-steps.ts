import { BATCH_BYTES } from "../../core/limits.ts";
import type { Ending, NewOrder, OrderList } from "../../core/session-store.ts";
import { type Body, holds, NOTHING } from "./bodies.ts";
import type { Draft } from "./draft.ts";
import type { OrderRecord, State } from "./state.ts";

/** An order as it is sent, with what it holds put away already. */
export interface Placing {
  readonly order: NewOrder;
  readonly params: Body;
}

/** Throws, and so changes nothing, where the id is taken. One for a peer that isn't there is dead. */
export function place(draft: Draft, { order, params }: Placing): void {
  const { state } = draft;
  if (state.orders.has(order.id)) throw new Error(`there is an order ${order.id} already`);
  const dead = order.target !== null && !state.peers.has(order.target);
  change(draft, {
    ...order,
    params,
    seq: state.placed + 1,
    status: dead ? "dead" : "pending",
    attempts: 0,
    holder: null,
    leaseUntil: null,
    result: NOTHING,
    endedAt: dead ? order.createdAt : null,
  });
}

/** Stores the order as it is now; the journal tells of it where its status or its attempts are others. */
export function change(draft: Draft, to: OrderRecord): OrderRecord {
  const before = draft.state.orders.get(to.id);
  const told = before?.status !== to.status || before.attempts !== to.attempts;
  draft.put({ of: "order", key: to.id, to, ...(told && { what: to.status }) });
  return to;
}

/** The open orders that a peer could take: its own, and those for its role. */
export function openFor({ open, peers }: State, peer: string): OrderRecord[] {
  const role = peers.get(peer)?.role;
  return [...open.values()].filter(({ target, targetRole }) =>
    target === null ? targetRole === role : target === peer,
  );
}

/** The oldest that a peer may take now. */
export function takeable(state: State, peer: string, now: number, mostAttempts: number): OrderRecord | undefined {
  return openFor(state, peer)
    .filter((order) => isFree(order, now) && (order.expiresAt === null || order.expiresAt > now))
    .filter(({ attempts }) => attempts < mostAttempts)
    .reduce<OrderRecord | undefined>((first, order) => (first && first.seq < order.seq ? first : order), undefined);
}

function isFree({ status, leaseUntil }: OrderRecord, now: number): boolean {
  return status === "pending" || (leaseUntil ?? 0) <= now;
}

export function lapse(draft: Draft, now: number, mostAttempts: number): OrderRecord[] {
  const isOver = ({ expiresAt, attempts }: OrderRecord) =>
    (expiresAt !== null && expiresAt <= now) || attempts >= mostAttempts;
  return [...draft.state.open.values()]
    .filter((order) => isFree(order, now) && isOver(order))
    .map((order) => {
      const status = order.expiresAt !== null && order.expiresAt <= now ? "expired" : "dead";
      return change(draft, { ...order, status, leaseUntil: null, endedAt: now });
    });
}

/** The first ending counts. */
export function endOne(
  draft: Draft,
  id: string,
  { status, result: value, at }: Ending,
  result: Body,
): "done" | "same" | "different" | "missing" {
  const order = draft.state.orders.get(id);
  if (order === undefined) return "missing";
  if (order.status === "acked" || order.status === "failed") {
    return order.status === status && holds(order.result, value) ? "same" : "different";
  }
  change(draft, { ...order, status, result, endedAt: at, leaseUntil: null });
  return "done";
}

/** The newest so many, oldest first, up to an answer's size in bytes, and one at least. */
export function listed(state: State, { peer, status, limit }: OrderList): OrderRecord[] {
  const role = peer === undefined ? undefined : state.peers.get(peer)?.role;
  const isOf = (order: OrderRecord): boolean =>
    peer === undefined ||
    order.target === peer ||
    order.holder === peer ||
    (order.target === null && order.targetRole === role && order.status === "pending");
  const newest = [...state.orders.values()]
    .filter((order) => (status === undefined || order.status === status) && isOf(order))
    .sort((a, b) => b.seq - a.seq)
    .slice(0, limit);
  let bytes = 0;
  const fitting = newest.findIndex(({ params, result }, index) => {
    bytes += params.bytes + result.bytes;
    return index > 0 && bytes > BATCH_BYTES;
  });
  return newest.slice(0, fitting === -1 ? newest.length : fitting).reverse();
}
