import { readAddress } from "../../src/storage/nats/address.ts";
import { connectNats } from "../../src/storage/nats/connection.ts";
import { createLog } from "../../src/storage/nats/log.ts";
import { createStreams } from "../../src/storage/nats/streams.ts";

/** As if so many seconds had gone by for the sessions of a bus: one step in their log. */
export async function secondsPassOnNats(address: string, seconds: number): Promise<void> {
  const where = readAddress(address);
  const connection = await connectNats(where);
  const log = createLog(createStreams(connection, where.bus, 1));
  const earlier = (at: number | null) => (at === null ? null : at - seconds);
  await log.step((draft) => {
    for (const peer of [...draft.state.peers.values()]) {
      const to = { ...peer, lastSeen: peer.lastSeen - seconds, connectedAt: peer.connectedAt - seconds };
      draft.put({ of: "peer", key: peer.id, to });
    }
    for (const order of [...draft.state.orders.values()]) {
      const [leaseUntil, expiresAt, endedAt] = [order.leaseUntil, order.expiresAt, order.endedAt].map(earlier);
      const to = { ...order, createdAt: order.createdAt - seconds };
      const times = { leaseUntil: leaseUntil ?? null, expiresAt: expiresAt ?? null, endedAt: endedAt ?? null };
      draft.put({ of: "order", key: order.id, to: { ...to, ...times } });
    }
  });
  await log.close();
  await connection.close();
}
