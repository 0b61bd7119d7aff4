import { answerOf } from "../answers.ts";
import type { Bench, Setting } from "../bench.ts";
import { temporaryFolder } from "../folder.ts";
import { type Line, times } from "../lines.ts";
import { startNats } from "../neighbours/nats.ts";
import { startRedis } from "../neighbours/redis.ts";
import { type Running, ready, start, workerCommand } from "../processes.ts";
import { on } from "../program.ts";
import { inTurn } from "../rounds.ts";
import type { SendTask } from "../workers/send.ts";

const ROUNDS = { quick: 2, usual: 7, long: 15 } as const;
const SECONDS = { quick: 0.3, usual: 1, long: 2 } as const;

const WORK = "sends in one process, FULL";

export const sends: Bench = {
  name: "sends",
  about: "one process that sends one message after the other, each on the disk before the next",
  run: async (setting) => {
    await using stack = new AsyncDisposableStack();
    const seconds = SECONDS[setting.extent];
    const worker = async (task: SendTask) => {
      const program = stack.use(start(workerCommand("send", task), on(stack.use(temporaryFolder()))));
      await ready(program);
      return program;
    };
    const ours = await worker({ to: "bus", seconds });
    const { redis, nats } = await neighbours(setting, stack, (to, port) => worker({ to, port, seconds }));
    const original =
      setting.original && stack.use(start(setting.original.drive("send", seconds), on(stack.use(temporaryFolder()))));
    if (original) await ready(original);

    const figures = await inTurn(
      {
        ours: () => rate(ours),
        original: original && (() => rate(original)),
        redis: redis && (() => rate(redis)),
        nats: nats && (() => rate(nats)),
      },
      { unit: "/s", rounds: ROUNDS[setting.extent], dropped: 1 },
    );
    const lines: Line[] = [
      { work: WORK, ours: figures.ours, beside: { name: "original", figure: figures.original }, target: times(8) },
      {
        work: WORK,
        ours: figures.ours,
        beside: { name: "Redis XADD, fsync always", figure: figures.redis },
        target: times(1.5),
      },
      { work: WORK, ours: figures.ours, beside: { name: "JetStream", figure: figures.nats } },
    ];
    return lines;
  },
};

async function neighbours(
  { neighbours: installed }: Setting,
  stack: AsyncDisposableStack,
  worker: (to: "redis" | "nats", port: number) => Promise<Running>,
) {
  const folder = () => stack.use(temporaryFolder());
  const redis = installed.redis && stack.use(await startRedis(installed.redis, folder(), "full"));
  const nats = installed.nats && stack.use(await startNats(installed.nats, folder(), "full"));
  return {
    redis: redis ? await worker("redis", redis.port) : undefined,
    nats: nats ? await worker("nats", nats.port) : undefined,
  };
}

async function rate(worker: Running): Promise<number> {
  worker.tell("go\n");
  const answer = await answerOf(worker);
  if (answer.number("errors") > 0) throw new Error(`${answer.number("errors")} sends failed`);
  return answer.number("count") / answer.number("seconds");
}
