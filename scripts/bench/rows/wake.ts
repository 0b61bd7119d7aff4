import { THIS_PROCESS } from "../../../src/core/access.ts";
import type { Bus } from "../../../src/core/bus.ts";
import { send } from "../../../src/core/messages.ts";
import { readEnvironment } from "../../../src/environment.ts";
import { openBus } from "../../../src/open.ts";
import type { Bench, Setting } from "../bench.ts";
import { figureAt } from "../figures.ts";
import { type Folder, temporaryFolder } from "../folder.ts";
import { ahead, atMost, type Line } from "../lines.ts";
import { connectMqtt, startMosquitto } from "../neighbours/mosquitto.ts";
import { connectNats, createStream, natsSyncs, startNats } from "../neighbours/nats.ts";
import { connectRedis, startRedis } from "../neighbours/redis.ts";
import { pause, type Running, ready, start, workerCommand } from "../processes.ts";
import { command, type Durability, on } from "../program.ts";
import type { ReceiveTask } from "../workers/receive.ts";

const MESSAGES = { quick: 50, usual: 1_000, long: 3_000 } as const;
const DROPPED = 20;

/** One way of bringing a message from this process to another one, which prints it. */
interface Courier {
  readonly name: string;
  readonly printer: Running;
  /** It keeps what it brings, so that we are to be ahead of it. */
  readonly durable: boolean;
  send(text: string): Promise<unknown>;
  /** When the message last sent was stored, where that can be told. */
  committed?(): number;
}

interface Samples {
  readonly fromCall: number[];
  readonly fromCommit: number[];
}

export const wake: Bench = {
  name: "wake",
  about: "a message from one running process to another that waits, until that one has printed it",
  run: async (setting) => [...(await measure(setting, "full")), ...(await measure(setting, "normal"))],
};

async function measure(setting: Setting, durability: Durability): Promise<Line[]> {
  using folder = temporaryFolder();
  await using stack = new AsyncDisposableStack();
  const ours = await ourCourier(folder, durability, stack);
  const others = await neighbours(setting, durability, stack);
  const couriers = [ours, ...others];
  const samples = new Map(couriers.map((courier): [Courier, Samples] => [courier, { fromCall: [], fromCommit: [] }]));

  for (let round = 0; round < MESSAGES[setting.extent] + DROPPED; round++) {
    for (const courier of round % 2 === 0 ? couriers : couriers.toReversed()) {
      const { called, committed, printed } = await deliver(courier, `message ${round}`);
      if (round < DROPPED) continue;
      samples.get(courier)?.fromCall.push(printed - called);
      samples.get(courier)?.fromCommit.push(printed - committed);
    }
  }
  return linesOf(durability, ours, others, samples);
}

/** Sends one message to a printer that is idle, and waits until its line is here. */
async function deliver(courier: Courier, text: string) {
  // Both ends are to be asleep, at no time that fits anybody's clock.
  await pause(2 + Math.random() * 2);
  const called = performance.now();
  const stored = courier.send(text);
  const line = await courier.printer.line();
  const printed = performance.now();
  if (!line.includes(text)) throw new Error(`${courier.name} printed ${line} instead of ${text}`);
  await stored;
  const committed = courier.committed?.() ?? called;
  if (committed < called) throw new Error(`${courier.name} didn't say when it stored ${text}`);
  return { called, printed, committed };
}

function linesOf(
  durability: Durability,
  ours: Courier,
  others: readonly Courier[],
  all: Map<Courier, Samples>,
): Line[] {
  const mode = durability.toUpperCase();
  const at = (courier: Courier, from: keyof Samples, percent: number) =>
    figureAt("ms", all.get(courier)?.[from] ?? [], percent);
  const against = (work: string, percent: number): Line[] => {
    const figure = at(ours, "fromCall", percent);
    const lines = others.map((other) => {
      const beside = { name: other.name, figure: at(other, "fromCall", percent) };
      return { work, ours: figure, beside, target: other.durable ? ahead : undefined };
    });
    return lines.length === 0 ? [{ work, ours: figure }] : lines;
  };
  return [
    { work: `commit to print elsewhere, ${mode}, p50`, ours: at(ours, "fromCommit", 50), target: atMost(0.6) },
    { work: `commit to print elsewhere, ${mode}, p99`, ours: at(ours, "fromCommit", 99), target: atMost(2) },
    ...against(`send to print elsewhere, ${mode}, p50`, 50),
    ...against(`send to print elsewhere, ${mode}, p99`, 99),
  ];
}

/** The waiter is the command line's, the sender a process that has the bus open, as a server or a library user has. */
async function ourCourier(folder: Folder, durability: Durability, stack: AsyncDisposableStack): Promise<Courier> {
  const variables = on(folder, "bus.db", durability);
  const bus = stack.use(await openBus(readEnvironment(variables), { port: () => 0 }));
  let committed = 0;
  const noting: Bus = {
    ...bus,
    notify(changed) {
      committed = performance.now();
      bus.notify(changed);
    },
  };
  const message = { channel: "bench", sender: "herald", signature: undefined };
  const printer = stack.use(start(command("follow", "bench", "reader"), variables));
  await send(bus, { ...message, content: "first" }, THIS_PROCESS);
  await ready(printer);
  return {
    name: "ours",
    durable: true,
    printer,
    send: (content) => send(noting, { ...message, content }, THIS_PROCESS),
    committed: () => committed,
  };
}

async function neighbours(
  { neighbours, note }: Setting,
  durability: Durability,
  stack: AsyncDisposableStack,
): Promise<Courier[]> {
  const full = durability === "full";
  const couriers: Courier[] = [];
  const printerFor = async (task: ReceiveTask) => {
    const printer = stack.use(start(workerCommand("receive", task)));
    await ready(printer);
    return printer;
  };
  if (neighbours.redis) {
    const { port } = stack.use(await startRedis(neighbours.redis, stack.use(temporaryFolder()), durability));
    const redis = stack.use(await connectRedis(port));
    couriers.push({
      name: `Redis Streams, fsync ${full ? "always" : "each second"}`,
      durable: true,
      printer: await printerFor({ from: "redis", port }),
      send: (text) => redis.command("XADD", "bench", "*", "content", text),
    });
  }
  if (neighbours.nats) {
    const synced = full && natsSyncs(neighbours.nats);
    if (full && !synced)
      note("this nats-server is older than 2.10 and writes to the disk without waiting for it, FULL or not");
    const { port } = stack.use(await startNats(neighbours.nats, stack.use(temporaryFolder()), durability));
    const nats = stack.use(await connectNats(port));
    await createStream(nats, "bench");
    couriers.push({
      name: `JetStream, ${synced ? "sync always" : "no fsync"}`,
      durable: true,
      printer: await printerFor({ from: "nats", port }),
      send: (text) => nats.request("bench", text),
    });
  }
  if (neighbours.mosquitto) {
    const { port } = stack.use(await startMosquitto(neighbours.mosquitto, stack.use(temporaryFolder())));
    const mqtt = stack.use(await connectMqtt(port, "sender"));
    couriers.push({
      name: "mosquitto, QoS 1, no fsync",
      durable: false,
      printer: await printerFor({ from: "mosquitto", port }),
      send: (text) => mqtt.publish("bench", text),
    });
  }
  return couriers;
}
