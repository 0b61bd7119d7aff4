// Prints what is delivered, a line each, as `follow` does: the other end of a message that a neighbour's server brings.
import { writeSync } from "node:fs";
import { connectMqtt } from "../neighbours/mosquitto.ts";
import { connectNats, pushTo } from "../neighbours/nats.ts";
import { connectRedis, type Reply } from "../neighbours/redis.ts";
import { say, taskText } from "./rounds.ts";

export interface ReceiveTask {
  readonly from: "redis" | "nats" | "mosquitto";
  readonly port: number;
}

const task: ReceiveTask = JSON.parse(taskText());
const print = (text: string) => void writeSync(1, `${text}\n`);

if (task.from === "redis") await fromRedis(task.port);
else if (task.from === "nats") await fromNats(task.port);
else await fromMosquitto(task.port);

async function fromRedis(port: number): Promise<void> {
  const redis = await connectRedis(port);
  say({ ready: 1 });
  for (let last = "0"; ; ) {
    const streams = await redis.command("XREAD", "BLOCK", "0", "STREAMS", "bench", last);
    const entries = items(items(items(streams)[0])[1]);
    for (const entry of entries) {
      const [id, fields] = items(entry);
      last = String(id);
      print(String(items(fields)[1]));
    }
  }
}

async function fromNats(port: number): Promise<void> {
  const nats = await connectNats(port);
  nats.subscribe("reader", ({ text, reply }) => {
    print(text);
    if (reply !== undefined) nats.publish(reply, "+ACK");
  });
  await pushTo(nats, "bench", "reader");
  await nats.flush();
  say({ ready: 1 });
}

async function fromMosquitto(port: number): Promise<void> {
  const mqtt = await connectMqtt(port, "reader");
  await mqtt.subscribe("bench", print);
  say({ ready: 1 });
}

function items(reply: Reply | undefined): readonly Reply[] {
  return Array.isArray(reply) ? reply : [];
}
