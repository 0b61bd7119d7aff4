import type { Reset } from "./archive.ts";
import type { Bus } from "./bus.ts";
import { SECURITY_CHANNEL } from "./security.ts";
import { EVERYTHING, endOf, ordersFor } from "./wakeup.ts";

const MOST_ORDERS = 1_000;

/** Clears the bus, and wakes whoever waits for what is gone with that. */
export async function reset(bus: Bus): Promise<Reset> {
  const { peers, orders } = bus.store;
  const [everybody, pending, leased] = await Promise.all([
    peers.list(),
    orders.list({ status: "pending", limit: MOST_ORDERS }),
    orders.list({ status: "leased", limit: MOST_ORDERS }),
  ]);
  const done = await bus.store.reset(SECURITY_CHANNEL);
  for (const { id } of everybody) bus.wakeup.ring(ordersFor(id));
  for (const { id } of [...pending, ...leased]) bus.wakeup.ring(endOf(id));
  bus.wakeup.ring(EVERYTHING);
  return done;
}
