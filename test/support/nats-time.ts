import { readAddress } from "../../src/storage/nats/address.ts";
import { connectNats } from "../../src/storage/nats/connection.ts";
import { createLog } from "../../src/storage/nats/log.ts";
import { putRecord } from "../../src/storage/nats/records.ts";
import { scanLast } from "../../src/storage/nats/scan.ts";
import { createStreams } from "../../src/storage/nats/streams.ts";
import { systemNow } from "./nats-bus.ts";

/** Moves the times of a bus's sessions and commands back, as if so many seconds had passed: one step in its log. */
export async function secondsPassOnNats(address: string, seconds: number): Promise<void> {
  const where = readAddress(address);
  const connection = await connectNats(where);
  const log = createLog(createStreams(connection, where.bus, 1), systemNow);
  const earlier = (at: number | null) => (at === null ? null : at - seconds);
  await log.step(({ state, put }) => {
    for (const session of [...state.sessions.values()]) {
      const [lastSeen, connectedAt] = [session.lastSeen - seconds, session.connectedAt - seconds];
      put({ of: "peer", key: session.id, to: { ...session, lastSeen, connectedAt } });
    }
    for (const command of [...state.commands.values()]) {
      const { createdAt, leaseUntil, expiresAt, endedAt } = command;
      const times = { leaseUntil: earlier(leaseUntil), expiresAt: earlier(expiresAt), endedAt: earlier(endedAt) };
      put({ of: "order", key: command.id, to: { ...command, createdAt: createdAt - seconds, ...times } });
    }
  });
  await log.close();
  await connection.close();
}

/** Ends the leases of a bus's mailboxes, as if ten seconds had passed. */
export async function mailLeasesEndOnNats(address: string): Promise<void> {
  const where = readAddress(address);
  const connection = await connectNats(where);
  const streams = createStreams(connection, where.bus, 1);
  for await (const { seq, subject, data } of scanLast(streams, "readers", streams.names.everyRecord("arrived"))) {
    const value = JSON.parse(Buffer.from(data).toString());
    const leases = value.leases.map(([id, until]: [number, number]) => [id, until - 10]);
    await putRecord(streams, "readers", subject, { ...value, leases }, { seq });
  }
  await connection.close();
}
