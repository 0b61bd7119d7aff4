import { answerOf } from "../answers.ts";
import type { Bench } from "../bench.ts";
import { temporaryFolder } from "../folder.ts";
import { times } from "../lines.ts";
import { startRedis } from "../neighbours/redis.ts";
import { type Running, ready, start, workerCommand } from "../processes.ts";
import { on, serveBroker } from "../program.ts";
import { inTurn } from "../rounds.ts";
import type { LineTask } from "../workers/line-load.ts";

const ROUNDS = { quick: 2, usual: 7, long: 15 } as const;
const SECONDS = { quick: 0.3, usual: 1, long: 2 } as const;
const IN_FLIGHT = 64;

export const jsonLines: Bench = {
  name: "json-lines",
  about: `sends as lines of JSON over one TCP connection, ${IN_FLIGHT} on their way at once, FULL`,
  run: async ({ extent, neighbours }) => {
    await using stack = new AsyncDisposableStack();
    const folder = () => stack.use(temporaryFolder());
    const load = async (to: LineTask["to"], port: number) => {
      const task: LineTask = { to, port, inFlight: IN_FLIGHT, seconds: SECONDS[extent] };
      const worker = stack.use(start(workerCommand("line-load", task)));
      await ready(worker);
      return worker;
    };
    const ours = await load("broker", stack.use(await serveBroker(on(folder()))).port);
    const installed = neighbours.redis && stack.use(await startRedis(neighbours.redis, folder(), "full"));
    const redis = installed ? await load("redis", installed.port) : undefined;
    const figures = await inTurn(
      { ours: () => rate(ours), redis: redis && (() => rate(redis)) },
      { unit: "/s", rounds: ROUNDS[extent], dropped: 1 },
    );
    const beside = { name: "Redis XADD, fsync always", figure: figures.redis };
    const work = `JSON lines on a socket, ${IN_FLIGHT} in flight, FULL`;
    return [{ work, ours: figures.ours, beside, target: times(1) }];
  },
};

async function rate(worker: Running): Promise<number> {
  worker.tell("go\n");
  const answer = await answerOf(worker);
  if (answer.number("errors") > 0) throw new Error(`${answer.number("errors")} sends failed`);
  return answer.number("count") / answer.number("seconds");
}
