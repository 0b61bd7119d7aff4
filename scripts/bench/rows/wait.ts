import type { Bench } from "../bench.ts";
import { type Folder, temporaryFolder } from "../folder.ts";
import { times } from "../lines.ts";
import { pause, start, type Variables } from "../processes.ts";
import { command, on } from "../program.ts";
import { inTurn } from "../rounds.ts";

const ROUNDS = { quick: 3, usual: 15, long: 30 } as const;

type Words = (...words: readonly string[]) => readonly string[];

export const wait: Bench = {
  name: "wait",
  about: "a whole `send` process, from its start until another process that waits in `read --wait` has printed",
  run: async ({ extent, original }) => {
    using our = temporaryFolder();
    using their = temporaryFolder();
    const theirs = original?.command;
    const figures = await inTurn(
      {
        ours: () => sendToWaiter(command, our),
        original: theirs && (() => sendToWaiter(theirs, their)),
      },
      { unit: "ms", rounds: ROUNDS[extent], dropped: 1 },
    );
    const beside = { name: "original", figure: figures.original };
    return [{ work: "send started to waiter printed", ours: figures.ours, beside, target: times(10) }];
  },
};

/** How long after its start to take it that a waiter waits: well after, and at no point of its clock in particular. */
const ARMED_MS = 600;
const CLOCK_MS = 500;

async function sendToWaiter(words: Words, folder: Folder): Promise<number> {
  const variables: Variables = on(folder);
  await using waiter = start(words("read", "builds", "reader", "--wait"), variables);
  await pause(ARMED_MS + Math.random() * CLOCK_MS);
  const started = performance.now();
  await using sender = start(words("send", "builds", "herald", "main is green"), variables);
  await waiter.line();
  const printed = performance.now();
  await Promise.all([waiter.ended, sender.ended]);
  return printed - started;
}
