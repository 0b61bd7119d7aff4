import { isSecure } from "./agents.ts";
import type { Bus } from "./bus.ts";
import { listOrders } from "./orders.ts";

const MOST_ORDERS = 200;

/** All that is on the bus, but for what messages say. */
export async function statusOf(bus: Bus) {
  const { peers, signals, messages } = bus.store;
  const now = bus.now();
  return {
    now,
    secure_mode: await isSecure(bus),
    peers: await peers.list(),
    commands: await listOrders(bus, { limit: MOST_ORDERS }),
    signals: await signals.list(),
    channels: await messages.channels(),
  };
}

export type Status = Awaited<ReturnType<typeof statusOf>>;
