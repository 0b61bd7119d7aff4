import type { MessageStore } from "../../../src/core/store.ts";
import { putRecord } from "../../../src/storage/nats/records.ts";
import { createStreams } from "../../../src/storage/nats/streams.ts";
import { retryWhileBusy } from "../../../src/storage/sqlite/connection.ts";
import { openDatabase } from "../../../src/storage/sqlite/database.ts";
import type { Row } from "../../../src/storage/sqlite/driver.ts";
import { openNatsBus } from "../../support/nats-bus.ts";
import { mailLeasesEndOnNats } from "../../support/nats-time.ts";
import type { Environment } from "../../support/program.ts";
import type { Left } from "../events.ts";

type Place = readonly [channel: string, agent: string];

/** Where the bus of a run is kept, and what is looked at there from beside. */
export interface Kept {
  /** The database's path, or the address of a bus on a NATS server. */
  readonly where: string;
  readonly environment: Environment;
  /** Lets each agent consume once: `prune --consumed` waits for no other agents. */
  introduce(readers: readonly Place[]): Promise<void>;
  /** As if the ten seconds had gone by for which what a mailbox handed out is nobody else's. */
  leasesEnd(): Promise<void>;
  left(): Promise<Left>;
}

const CHANNELS = ["c0", "c1", "@mail"];

export function inDatabase(path: string): Kept {
  return {
    where: path,
    environment: { IPC_DB_PATH: path },
    async introduce(readers) {
      const driver = await openDatabase({ path });
      for (const [channel, agent] of readers)
        driver.prepare("INSERT INTO watermarks (agent, channel, last_id) VALUES (?, ?, 0)").run(agent, channel);
      driver.close();
    },
    async leasesEnd() {
      const driver = await openDatabase({ path });
      await retryWhileBusy(() => driver.exec("UPDATE taken SET lease_until = 0"));
      driver.close();
    },
    left: () => leftIn(path),
  };
}

export function onNats(address: string): Kept {
  return {
    where: address,
    environment: { IPC_STORE: address },
    async introduce(readers) {
      await using own = await openNatsBus(address);
      const streams = createStreams(own.connection, own.bus, 1);
      for (const [channel, agent] of readers) {
        const subject = streams.names.record("watermarks", channel, agent);
        await putRecord(streams, "readers", subject, { agent, channel, lastId: 0 }, { seq: 0 });
      }
    },
    leasesEnd: () => mailLeasesEndOnNats(address),
    async left() {
      await using own = await openNatsBus(address);
      const { messages, agents, commands: orders } = own.store;
      const all = await everything(messages);
      const counted = (await messages.channels()).map(({ channel, count }) => `${channel} ${count}`).sort();
      const there = Object.entries(Object.groupBy(all, ({ channel }) => channel))
        .map(([channel, found]) => `${channel} ${found?.length}`)
        .sort();
      return {
        messages: all
          .filter(({ channel }) => CHANNELS.includes(channel))
          .map(({ id, channel, content }) => ({ id, channel, key: content })),
        watermarks: (await messages.watermarks(1_000)).map(({ lastId, ...of }) => ({ ...of, id: lastId })),
        agents: (await agents.list()).map(({ name, publicKey }) => ({ name, publicKey })),
        orders: (await orders.list({ limit: 100_000 }))
          .filter(({ action }) => action === "work")
          .map(({ id, status, attempts, result }) => ({ order: id, status, attempts, result: String(result) })),
        faults: counted.join() === there.join() ? [] : [`the counts are wrong: ${counted} instead of ${there}`],
      };
    },
  };
}

async function everything(messages: MessageStore) {
  const all = [...(await messages.allAfter(0, 1_000))];
  for (let last = all.at(-1); last !== undefined; ) {
    const page = await messages.allAfter(last.id, 1_000);
    all.push(...page);
    last = page.at(-1);
  }
  return all;
}

async function leftIn(path: string): Promise<Left> {
  const driver = await openDatabase({ path });
  const rows = (sql: string): Row[] => driver.prepare(sql).all();
  const [{ integrity_check: integrity } = { integrity_check: "" }] = rows("PRAGMA integrity_check");
  const counted = JSON.stringify(rows("SELECT channel, count FROM channel_counts WHERE count > 0 ORDER BY channel"));
  const there = JSON.stringify(
    rows("SELECT channel, count(*) AS count FROM messages GROUP BY channel ORDER BY channel"),
  );
  const left: Left = {
    messages: rows("SELECT id, channel, content FROM messages WHERE channel IN ('c0', 'c1', '@mail')").map((row) => ({
      id: Number(row.id),
      channel: String(row.channel),
      key: String(row.content),
    })),
    watermarks: rows("SELECT agent, channel, last_id FROM watermarks").map((row) => ({
      agent: String(row.agent),
      channel: String(row.channel),
      id: Number(row.last_id),
    })),
    agents: rows("SELECT name, public_key FROM agents").map((row) => ({
      name: String(row.name),
      publicKey: String(row.public_key),
    })),
    orders: rows("SELECT id, status, attempts, result FROM orders WHERE action = 'work'").map((row) => ({
      order: String(row.id),
      status: String(row.status),
      attempts: Number(row.attempts),
      result: String(JSON.parse(String(row.result))),
    })),
    faults: [
      ...(integrity === "ok" ? [] : [`the file is damaged: ${integrity}`]),
      ...(counted === there ? [] : [`the counts are wrong: ${counted} instead of ${there}`]),
    ],
  };
  driver.close();
  return left;
}
