import { answerOf } from "../answers.ts";
import type { Bench } from "../bench.ts";
import { type Folder, temporaryFolder } from "../folder.ts";
import type { Line } from "../lines.ts";
import { startNats } from "../neighbours/nats.ts";
import { pause, ready, runCommand, start, type Variables, workerCommand } from "../processes.ts";
import { command, on } from "../program.ts";
import { inTurn } from "../rounds.ts";

const ROUNDS = { quick: 2, usual: 10, long: 30 } as const;
const SECONDS = { quick: 0.3, usual: 1, long: 2 } as const;

/** After it was started a waiter waits by then, on either engine. */
const ARMED_MS = 900;

type Work = (variables: Variables) => number | Promise<number>;

/** The same bus on a database and on a NATS server, one beside the other. Neither is a target of the other's. */
export const engines: Bench = {
  name: "engines",
  about: "the same on both engines: a database, and a NATS server of this machine",
  run: async ({ extent, neighbours, note }) => {
    await using stack = new AsyncDisposableStack();
    const folder = () => stack.use(temporaryFolder());
    const { nats } = neighbours;
    const server = nats === undefined ? undefined : stack.use(await startNats(nats, folder(), "full"));
    if (server === undefined) note("engines: without a nats-server there is one engine alone");
    const lines: Line[] = [];
    const beside = async (
      work: string,
      unit: "ms" | "/s",
      measure: (at: Place) => Promise<() => number | Promise<number>>,
    ) => {
      const ours = await measure({ variables: on(folder()), stack });
      const other =
        server === undefined
          ? undefined
          : await measure({ variables: natsOn(folder(), server.port, lines.length), stack });
      const figures = await inTurn({ ours, other }, { unit, rounds: ROUNDS[extent], dropped: 1 });
      const line = { work: `${work}, on a database`, ours: figures.ours };
      lines.push({ ...line, beside: { name: "on NATS", figure: figures.other } });
    };
    const whole = (...words: string[]): ((at: Place) => Promise<() => number>) => {
      const typed = command(...words);
      return async ({ variables }) =>
        () =>
          runCommand(typed, variables).milliseconds;
    };
    await beside("send, whole process", "ms", whole("send", "builds", "herald", "main is green"));
    await beside("read, nothing there", "ms", whole("read", "builds", "herald"));
    await beside(
      "send started to waiter printed",
      "ms",
      async ({ variables }) =>
        () =>
          sendToWaiter(variables),
    );
    await beside("sends in one process", "/s", async ({ variables, stack }) => {
      const worker = stack.use(start(workerCommand("send", { to: "bus", seconds: SECONDS[extent] }), variables));
      await ready(worker);
      return async () => {
        worker.tell("go\n");
        const answer = await answerOf(worker);
        return answer.number("count") / answer.number("seconds");
      };
    });
    return lines;
  },
};

interface Place {
  readonly variables: Variables;
  readonly stack: AsyncDisposableStack;
}

function natsOn(folder: Folder, port: number, bus: number): Variables {
  return { ...on(folder), IPC_STORE: `nats://127.0.0.1:${port}/bench-${bus}` };
}

const sendToWaiter: Work = async (variables) => {
  await using waiter = start(command("read", "builds", "reader", "--wait"), variables);
  await pause(ARMED_MS);
  const started = performance.now();
  await using sender = start(command("send", "builds", "herald", "main is green"), variables);
  await waiter.line();
  const printed = performance.now();
  await Promise.all([waiter.ended, sender.ended]);
  return printed - started;
};
