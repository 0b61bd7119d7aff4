import { answerOf } from "../answers.ts";
import type { Bench } from "../bench.ts";
import { figure } from "../figures.ts";
import { temporaryFolder } from "../folder.ts";
import { atMost, type Line } from "../lines.ts";
import { type Running, ready, start, workerCommand } from "../processes.ts";
import { on } from "../program.ts";
import type { SendTask } from "../workers/send.ts";

const WRITERS = 4;
const ROUNDS = { quick: 1, usual: 5, long: 10 } as const;
const SECONDS = { quick: 0.5, usual: 2, long: 5 } as const;

interface Written {
  /** Milliseconds that the least lucky send of all took. */
  readonly longest: number;
  readonly errors: number;
  readonly rate: number;
}

export const writers: Bench = {
  name: "writers",
  about: "four processes that send into one database as fast as they can: how long anybody waits",
  run: async ({ extent, original }) => {
    const seconds = SECONDS[extent];
    const task: SendTask = { to: "bus", seconds };
    await using stack = new AsyncDisposableStack();
    const ours = await several(workerCommand("send", task), stack);
    const theirs = original && (await several(original.drive("send", seconds), stack));
    const our: Written[] = [];
    const their: Written[] = [];
    for (let round = 0; round <= ROUNDS[extent]; round++) {
      const done = await together(ours);
      const original = theirs && (await together(theirs));
      if (round === 0) continue;
      our.push(done);
      if (original) their.push(original);
    }
    return linesOf(our, their);
  },
};

function linesOf(ours: readonly Written[], theirs: readonly Written[]): Line[] {
  const [our, their] = [ours, theirs].map((all) => ({
    longest: all.map(({ longest }) => longest),
    errors: all.map(({ errors }) => errors),
    rate: all.map(({ rate }) => rate),
  }));
  const work = `${WRITERS} writers, FULL`;
  const line = (what: keyof Written, unit: "ms" | "" | "/s", target?: Line["target"]): Line => ({
    work: `${work}: ${what === "rate" ? "sends of all" : what === "errors" ? "sends refused" : "longest wait"}`,
    ours: figure(unit, our?.[what] ?? []),
    beside: { name: "original", figure: theirs.length === 0 ? undefined : figure(unit, their?.[what] ?? []) },
    target,
  });
  return [line("longest", "ms", atMost(150)), line("errors", "", atMost(0)), line("rate", "/s")];
}

async function several(words: readonly string[], stack: AsyncDisposableStack): Promise<readonly Running[]> {
  const variables = on(stack.use(temporaryFolder()));
  const programs: Running[] = [];
  // One after the other: the first makes the database.
  for (let count = 0; count < WRITERS; count++) {
    const program = stack.use(start(words, variables));
    await ready(program);
    programs.push(program);
  }
  return programs;
}

async function together(programs: readonly Running[]): Promise<Written> {
  for (const program of programs) program.tell("go\n");
  const answers = await Promise.all(programs.map(answerOf));
  const all = (name: string) => answers.map((answer) => answer.number(name));
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  return {
    longest: Math.max(...all("longest")),
    errors: sum(all("errors")),
    rate: sum(all("count")) / Math.max(...all("seconds")),
  };
}
