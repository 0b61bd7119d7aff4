import { readAddress } from "../../src/storage/nats/address.ts";
import { connectNats } from "../../src/storage/nats/connection.ts";
import { createLog } from "../../src/storage/nats/log.ts";
import { putRecord } from "../../src/storage/nats/records.ts";
import { scan } from "../../src/storage/nats/scan.ts";
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

/** As if the time had gone by for which what the mailboxes of a bus handed out is nobody else's. */
export async function mailLeasesEndOnNats(address: string): Promise<void> {
  const where = readAddress(address);
  const connection = await connectNats(where);
  const streams = createStreams(connection, where.bus, 1);
  const mailboxes = { subject: `${where.bus}.mailbox.*`, from: 1, lastOnly: true };
  for await (const { seq, subject, data } of scan(streams, "readers", mailboxes)) {
    const value = JSON.parse(Buffer.from(data).toString());
    const leases = value.leases.map(([id, until]: [number, number]) => [id, until - 10]);
    await putRecord(streams, "readers", subject, { ...value, leases }, { seq });
  }
  await connection.close();
}
