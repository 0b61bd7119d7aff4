// Sends one message after the other, for so many seconds a round. IPC_DB_PATH and IPC_DURABILITY say where.
import { THIS_PROCESS } from "../../../src/core/access.ts";
import { send } from "../../../src/core/messages.ts";
import { readEnvironment } from "../../../src/environment.ts";
import { openBus } from "../../../src/open.ts";
import { connectNats, createStream } from "../neighbours/nats.ts";
import { connectRedis } from "../neighbours/redis.ts";
import { answerLines, taskText } from "./rounds.ts";

export interface SendTask {
  readonly to: "bus" | "redis" | "nats";
  /** Of the server, where it is one. */
  readonly port?: number;
  readonly seconds: number;
}

const TEXT = "main is green";

const task: SendTask = JSON.parse(taskText());
const sendOne = await sender(task);
for (let warm = 0; warm < 20; warm++) await sendOne();

await answerLines(async () => {
  let count = 0;
  let errors = 0;
  let longest = 0;
  const started = performance.now();
  let last = started;
  while (last - started < task.seconds * 1_000) {
    try {
      await sendOne();
      count++;
    } catch {
      errors++;
    }
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
  }
  return { count, errors, longest, seconds: (last - started) / 1_000 };
});
process.exit(0);

async function sender({ to, port = 0 }: SendTask): Promise<() => Promise<unknown>> {
  if (to === "redis") {
    const redis = await connectRedis(port);
    return () => redis.command("XADD", "bench", "*", "sender", "herald", "content", TEXT);
  }
  if (to === "nats") {
    const nats = await connectNats(port);
    await createStream(nats, "bench");
    return () => nats.request("bench", TEXT);
  }
  const bus = await openBus(readEnvironment(process.env), { port: () => 0 });
  const message = { channel: "bench", sender: "herald", content: TEXT, signature: undefined };
  return () => send(bus, message, THIS_PROCESS);
}
