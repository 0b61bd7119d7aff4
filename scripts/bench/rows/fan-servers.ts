import type { Setting } from "../bench.ts";
import { temporaryFolder } from "../folder.ts";
import { connectMqtt, startMosquitto } from "../neighbours/mosquitto.ts";
import { connectNats, createStream, startNats } from "../neighbours/nats.ts";
import { connectRedis, startRedis } from "../neighbours/redis.ts";
import { workerCommand } from "../processes.ts";
import { on, serve, serveOther } from "../program.ts";
import { requestsTo } from "../requests.ts";
import type { WaitersTask } from "../workers/waiters.ts";

/** A server that brings one message to whoever waits for it. */
export interface FanServer extends AsyncDisposable {
  readonly port: number;
  readonly pid: number;
  send(text: string): Promise<unknown>;
  /** Asks how it is, where one can. */
  health?(): Promise<unknown>;
}

export interface FanContender {
  readonly name: string;
  readonly kind: WaitersTask["kind"];
  begin(): Promise<FanServer>;
}

export function ourFanServer(kind: "long-poll" | "sse"): FanContender {
  return {
    name: "ours",
    kind,
    begin: () =>
      built(async (stack) => {
        const { port, pid } = stack.use(await serve(on(stack.use(temporaryFolder()))));
        const sender = stack.use(requestsTo(port));
        const asker = stack.use(requestsTo(port));
        const message = { channel: "fan", sender: "herald" };
        return {
          port,
          pid,
          send: (content) => sender.post("/send", { ...message, content }),
          health: () => asker.get("/health"),
        };
      }),
  };
}

/** What node:http alone can do with the same long-polls. */
export const bareFanServer: FanContender = {
  name: "bare node:http",
  kind: "long-poll",
  begin: () =>
    built(async (stack) => {
      const { port, pid } = stack.use(await serveOther(workerCommand("bare-server", {})));
      const sender = stack.use(requestsTo(port));
      return { port, pid, send: (content) => sender.post("/send", { channel: "fan", sender: "herald", content }) };
    }),
};

/** The other installed programs that can do this. The original can't: one long-poll blocks its server. */
export function otherFanServers({ neighbours: { redis, nats, mosquitto } }: Setting): FanContender[] {
  return [
    redis && {
      name: "Redis, XREAD BLOCK",
      kind: "redis" as const,
      begin: () =>
        built(async (stack) => {
          const { port, pid } = stack.use(await startRedis(redis, stack.use(temporaryFolder()), "full"));
          const client = stack.use(await connectRedis(port));
          return { port, pid, send: (text) => client.command("XADD", "fan", "*", "content", text) };
        }),
    },
    nats && {
      name: "NATS, kept by JetStream",
      kind: "nats" as const,
      begin: () =>
        built(async (stack) => {
          const { port, pid } = stack.use(await startNats(nats, stack.use(temporaryFolder()), "full"));
          const client = stack.use(await connectNats(port));
          await createStream(client, "fan");
          return { port, pid, send: (text) => client.request("fan", text) };
        }),
    },
    mosquitto && {
      name: "mosquitto, QoS 1",
      kind: "mosquitto" as const,
      begin: () =>
        built(async (stack) => {
          const { port, pid } = stack.use(await startMosquitto(mosquitto, stack.use(temporaryFolder())));
          const client = stack.use(await connectMqtt(port, "sender"));
          return { port, pid, send: (text) => client.publish("fan", text) };
        }),
    },
  ].filter((contender) => typeof contender === "object");
}

/** A server of several parts, which end together. */
async function built(build: (stack: AsyncDisposableStack) => Promise<Omit<FanServer, keyof AsyncDisposable>>) {
  await using parts = new AsyncDisposableStack();
  const server = await build(parts);
  const kept = parts.move();
  return { ...server, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}
