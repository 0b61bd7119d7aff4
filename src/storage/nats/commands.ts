import { isIpcError } from "../../core/errors.ts";
import { BATCH_BYTES } from "../../core/limits.ts";
import type { Command, CommandEnd, CommandFilter, CommandStore, NewCommand } from "../../core/store.ts";
import type { Draft } from "./log.ts";
import type { Sessions } from "./outbox.ts";
import { type Bodies, type Body, holds, NOTHING, namesIn } from "./payloads.ts";
import { setSignal } from "./signals.ts";
import type { OrderRecord, State } from "./state.ts";

/** An order as it is sent, with what it holds put away already. */
export interface Placing {
  readonly order: NewCommand;
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
  { status, result: value, at }: CommandEnd,
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
export function listed(state: State, { peer, status, limit }: CommandFilter): OrderRecord[] {
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

export function createCommandStore({ log, bodies, errands }: Sessions): CommandStore {
  const full = (record: OrderRecord) => asOrder(bodies, record);

  /** What orders hold, each text once. */
  const putAway = async (orders: readonly NewCommand[]): Promise<Placing[]> => {
    const known = new Map<unknown, Promise<Body>>();
    const kept = ({ params }: NewCommand) => {
      const body = known.get(params) ?? bodies.keep(params);
      known.set(params, body);
      return body;
    };
    return Promise.all(orders.map(async (order) => ({ order, params: await kept(order) })));
  };

  /**
   * Where the step is refused, what was put away for it goes again. After any other failure it may still have been stored:
   * what lies there then harms nobody if nothing names it.
   */
  const orDrop = async <T>(kept: readonly Body[], step: (draft: Draft) => T): Promise<T> => {
    let refused = false;
    const tried = (draft: Draft): T => {
      refused = true;
      const answer = step(draft);
      refused = false;
      return answer;
    };
    try {
      return await log.step(tried);
    } catch (error) {
      if (refused || isTooLarge(error)) log.meanwhile(bodies.drop(namesIn(...kept)));
      throw error;
    }
  };

  return {
    async add(orders) {
      const placing = await putAway(orders);
      const kept = placing.map(({ params }) => params);
      await orDrop(kept, (draft) => {
        for (const one of placing) place(draft, one);
      });
    },

    async restore({ params, result, ...order }) {
      const kept = await Promise.all([bodies.keep(params), bodies.keep(result)]);
      const restored = await orDrop(kept, (draft) => {
        if (draft.state.orders.has(order.id)) return false;
        change(draft, { ...order, seq: draft.state.placed + 1, params: kept[0], result: kept[1] });
        return true;
      });
      if (!restored) log.meanwhile(bodies.drop(namesIn(...kept)));
      return restored;
    },

    async find(id) {
      const record = await log.step(({ state }) => state.orders.get(id));
      return record && full(record);
    },

    list: async (list) => Promise.all((await log.step(({ state }) => listed(state, list))).map(full)),

    async take(peer, now, mostAttempts) {
      const taken = await log.step((draft) => {
        const order = takeable(draft.state, peer, now, mostAttempts);
        if (order === undefined) return undefined;
        const leaseUntil = now + order.leaseSeconds;
        return change(draft, { ...order, status: "leased", attempts: order.attempts + 1, holder: peer, leaseUntil });
      });
      return taken && full(taken);
    },

    nextFree: (peer) =>
      log.step(({ state }) => {
        const ends = openFor(state, peer).flatMap(({ leaseUntil }) => leaseUntil ?? []);
        return ends.length === 0 ? undefined : Math.min(...ends);
      }),

    async release(id, peer) {
      const released = await log.step((draft) => {
        const order = draft.state.orders.get(id);
        if (order?.status !== "leased" || order.holder !== peer) return undefined;
        const attempts = order.attempts - 1;
        return change(draft, { ...order, status: "pending", attempts, holder: null, leaseUntil: null });
      });
      return released && full(released);
    },

    lapse: async (now, mostAttempts) =>
      Promise.all((await log.step((draft) => lapse(draft, now, mostAttempts))).map(full)),

    async end(id, ending, { response, signal, activity }) {
      const [result, data, placing, message] = await Promise.all([
        bodies.keep(ending.result),
        signal && bodies.keep(signal.data),
        putAway(response === undefined ? [] : [response]),
        activity && errands.prepare({ ...activity, timestamp: ending.at }),
      ]);
      const kept = [result, ...(data ? [data] : []), ...placing.map(({ params }) => params)];
      const { outcome, replaced, errand } = await orDrop(kept, (draft) => {
        const outcome = endOne(draft, id, ending, result);
        if (outcome !== "done") return { outcome, replaced: kept, errand: undefined };
        const errand = message && errands.note(draft, { message });
        for (const one of placing) place(draft, one);
        const before = signal && data && setSignal(draft, signal, data);
        return { outcome, replaced: before ? [before] : [], errand };
      });
      log.meanwhile(bodies.drop(namesIn(...replaced)));
      // It is noted: what can't be done now is done by whoever comes next.
      if (errand !== undefined) await errands.run(errand).catch(() => 0);
      return outcome;
    },

    retry: (id) =>
      log.step((draft) => {
        const order = draft.state.orders.get(id);
        if (order === undefined || !["dead", "failed", "expired"].includes(order.status)) return false;
        if (order.target !== null && !draft.state.peers.has(order.target)) return false;
        const again = { status: "pending", attempts: 0, holder: null, endedAt: null, expiresAt: null } as const;
        change(draft, { ...order, ...again, result: NOTHING });
        return true;
      }),

    async forget(endedBefore, limit) {
      const forgotten = await log.step((draft) => {
        const ended = [...draft.state.orders.values()]
          .filter(({ endedAt }) => endedAt !== null && endedAt < endedBefore)
          .sort((a, b) => (a.endedAt ?? 0) - (b.endedAt ?? 0))
          .slice(0, limit);
        for (const { id } of ended) draft.put({ of: "order", key: id, to: null });
        return { count: ended.length, unused: unusedOf(ended, draft.state) };
      });
      log.meanwhile(bodies.drop(forgotten.unused));
      return forgotten.count;
    },
  };
}

/** Found before anything is sent to the server. */
function isTooLarge(error: unknown): boolean {
  return isIpcError(error) && error.reason === "too_large";
}

/** What these orders held and none that is left does: orders that were sent together share it. */
export function unusedOf(gone: readonly OrderRecord[], { orders }: State): readonly string[] {
  const names = new Set(gone.flatMap(({ params, result }) => namesIn(params, result)));
  if (names.size === 0) return [];
  for (const { params, result } of orders.values()) for (const name of namesIn(params, result)) names.delete(name);
  return [...names];
}

export async function asOrder(bodies: Bodies, { seq: _, params, result, ...order }: OrderRecord): Promise<Command> {
  const [asked, answered] = await Promise.all([bodies.read(params), bodies.read(result)]);
  return { ...order, params: asked?.value ?? null, result: answered?.value ?? null };
}
