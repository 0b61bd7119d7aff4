import { isIpcError } from "../../core/errors.ts";
import type { NewOrder, Order, OrderStore } from "../../core/session-store.ts";
import { type Bodies, type Body, NOTHING, namesIn } from "./bodies.ts";
import type { Draft } from "./draft.ts";
import { change, endOne, lapse, listed, openFor, type Placing, place, takeable } from "./order-steps.ts";
import type { Sessions } from "./sessions.ts";
import { setSignal } from "./signals.ts";
import type { OrderRecord, State } from "./state.ts";

export function createOrderStore({ log, bodies, errands }: Sessions): OrderStore {
  const full = (record: OrderRecord) => asOrder(bodies, record);

  /** What orders hold, each text once. */
  const putAway = async (orders: readonly NewOrder[]): Promise<Placing[]> => {
    const known = new Map<unknown, Promise<Body>>();
    const kept = ({ params }: NewOrder) => {
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

    offerAgain: (id) =>
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

export async function asOrder(bodies: Bodies, { seq: _, params, result, ...order }: OrderRecord): Promise<Order> {
  const [asked, answered] = await Promise.all([bodies.read(params), bodies.read(result)]);
  return { ...order, params: asked?.value ?? null, result: answered?.value ?? null };
}
