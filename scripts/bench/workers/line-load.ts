// Keeps so many sends on their way over one connection, for so many seconds a round: lines of JSON, or Redis's commands.
import { connect } from "node:net";
import { connectRedis } from "../neighbours/redis.ts";
import { answerLines, taskText } from "./rounds.ts";

export interface LineTask {
  readonly to: "broker" | "redis";
  readonly port: number;
  readonly inFlight: number;
  readonly seconds: number;
}

const TEXT = "main is green";

const task: LineTask = JSON.parse(taskText());
const send = task.to === "redis" ? await redisSender() : await lineSender();

await answerLines(async () => {
  let count = 0;
  let errors = 0;
  const started = performance.now();
  const end = started + task.seconds * 1_000;
  const talk = async () => {
    while (performance.now() < end) {
      if (await send()) count++;
      else errors++;
    }
  };
  await Promise.all(Array.from({ length: task.inFlight }, talk));
  return { count, errors, seconds: (performance.now() - started) / 1_000 };
});
process.exit(0);

async function redisSender(): Promise<() => Promise<boolean>> {
  const redis = await connectRedis(task.port);
  return async () =>
    typeof (await redis.command("XADD", "bench", "*", "sender", "herald", "content", TEXT)) === "string";
}

/** Requests of one turn of the event loop leave in one write, as any client would send them. */
async function lineSender(): Promise<() => Promise<boolean>> {
  const socket = connect({ port: task.port, host: "127.0.0.1", noDelay: true });
  await new Promise((resolve) => socket.once("connect", resolve));
  const waiting = new Map<number, (ok: boolean) => void>();
  let id = 0;
  let partial = "";
  let pending = "";
  socket.setEncoding("utf8").on("data", (text: string) => {
    const lines = (partial + text).split("\n");
    partial = lines.pop() ?? "";
    for (const line of lines) {
      const answer = JSON.parse(line);
      waiting.get(answer.id)?.(answer.ok);
      waiting.delete(answer.id);
    }
  });
  return () =>
    new Promise((resolve) => {
      waiting.set(++id, resolve);
      if (pending === "") {
        setImmediate(() => {
          socket.write(pending);
          pending = "";
        });
      }
      pending += `{"id":${id},"op":"post","to":"bench","from":"herald","msg":"${TEXT}"}\n`;
    });
}
