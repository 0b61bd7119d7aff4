import { answerOf } from "../answers.ts";
import type { Bench } from "../bench.ts";
import { temporaryFolder } from "../folder.ts";
import { part } from "../lines.ts";
import { quiet } from "../proc.ts";
import { ready, start, workerCommand } from "../processes.ts";
import { on, serve } from "../program.ts";
import { inTurn } from "../rounds.ts";
import type { SendTask } from "../workers/send.ts";
import type { WaitersTask } from "../workers/waiters.ts";

const ROUNDS = { quick: 2, usual: 7, long: 15 } as const;
const SECONDS = { quick: 0.3, usual: 1, long: 2 } as const;
const MANY = 1_000;

export const crowd: Bench = {
  name: "crowd",
  about: `sends in one process while ${MANY} wait on the same database, each for another channel`,
  run: async ({ extent }) => {
    await using stack = new AsyncDisposableStack();
    const sender = async (variables: Record<string, string>) => {
      const task: SendTask = { to: "bus", seconds: SECONDS[extent] };
      const program = stack.use(start(workerCommand("send", task), variables));
      await ready(program);
      return async () => {
        program.tell("go\n");
        const answer = await answerOf(program);
        return answer.number("count") / answer.number("seconds");
      };
    };
    const crowded = on(stack.use(temporaryFolder()));
    const { port, pid } = stack.use(await serve(crowded));
    const task: WaitersTask = { kind: "long-poll", port, count: MANY, text: "never sent", apart: true };
    await ready(stack.use(start(workerCommand("waiters", task))));
    await quiet(pid);
    const { ours, alone } = await inTurn(
      { ours: await sender(crowded), alone: await sender(on(stack.use(temporaryFolder()))) },
      { unit: "/s", rounds: ROUNDS[extent], dropped: 1 },
    );
    const beside = { name: "nobody waiting", figure: alone };
    return [{ work: `sends while ${MANY.toLocaleString("en")} wait elsewhere, FULL`, ours, beside, target: part(0.9) }];
  },
};
