import { answerOf } from "../answers.ts";
import type { Bench, Setting } from "../bench.ts";
import { type Figure, figure, percentile } from "../figures.ts";
import { type Fixture, makeFixture } from "../fixture.ts";
import { type Folder, temporaryFolder } from "../folder.ts";
import { atMost, flat, type Line } from "../lines.ts";
import { type Running, ready, runCommand, start, workerCommand } from "../processes.ts";
import { command, on } from "../program.ts";
import type { GrowTask } from "../workers/grow.ts";

const SIZES = { quick: [10_000, 100_000], usual: [1e4, 1e5, 1e6], long: [1e4, 1e5, 1e6, 1e7] } as const;
const ROUNDS = { quick: 2, usual: 5, long: 5 } as const;
const SECONDS = { quick: 0.05, usual: 0.2, long: 0.3 } as const;
const WHOLE_COMMANDS = 3;

/** The steps of a worker, and the original's step for each. */
const STEPS = [
  { step: "pending", work: "unread count, quiet channel", original: "pending" },
  { step: "health", work: "health of an agent", original: "pending" },
  { step: "read", work: "read of ten unread", original: "read" },
  { step: "channels", work: "channels", original: "channels", most: 2 },
  { step: "send", work: "send", original: undefined },
  { step: "open", work: "opening the file", original: undefined },
] as const;

interface Size {
  readonly count: number;
  readonly fixture: Fixture;
  readonly ours: Running;
  readonly original: Running | undefined;
}

/** Milliseconds, by what was measured and of how many messages. */
type Samples = Map<string, number[]>;

export const growth: Bench = {
  name: "growth",
  about: "what is asked most, with 10⁴ to 10⁶ messages stored (10⁷ with --long): it should not cost more",
  run: async (setting) => {
    using folder = temporaryFolder();
    await using stack = new AsyncDisposableStack();
    const sizes: Size[] = [];
    for (const count of SIZES[setting.extent]) sizes.push(await openSize(setting, folder, count, stack));
    const samples: Samples = new Map();
    for (let round = 0; round <= ROUNDS[setting.extent]; round++) {
      for (const size of round % 2 === 0 ? sizes : sizes.toReversed()) {
        await look(size, folder, round === 0 ? new Map() : samples);
      }
    }
    return [...STEPS.flatMap((step) => linesOf(step, sizes, samples)), ...wholeLines(sizes, samples)];
  },
};

async function openSize(
  { extent, original }: Setting,
  folder: Folder,
  count: number,
  stack: AsyncDisposableStack,
): Promise<Size> {
  const fixture = makeFixture(folder, count, original !== undefined);
  const task: GrowTask = { seconds: SECONDS[extent] };
  const ours = stack.use(start(workerCommand("grow", task), on(folder, fixture.database)));
  const theirs = original && stack.use(start(original.drive("grow", SECONDS[extent]), on(folder, fixture.untouched)));
  await ready(ours);
  if (theirs) await ready(theirs);
  return { count, fixture, ours, original: theirs };
}

/** One round: each step at one size, ours and the original's by turns. */
async function look({ count, fixture, ours, original }: Size, folder: Folder, samples: Samples): Promise<void> {
  const add = (name: string, sample: number) => samples.set(name, [...(samples.get(name) ?? []), sample]);
  for (const { step, original: their } of STEPS) {
    add(`${step} ${count}`, await ask(ours, step));
    if (original && their) add(`original ${step} ${count}`, await ask(original, their));
  }
  for (let again = 0; again < WHOLE_COMMANDS; again++) {
    const { milliseconds } = runCommand(command("health", "quiet", "reader"), on(folder, fixture.database));
    add(`whole ${count}`, milliseconds);
  }
}

async function ask(worker: Running, step: string): Promise<number> {
  worker.tell(`${step}\n`);
  return percentile((await answerOf(worker)).numbers("times"), 50);
}

function linesOf(step: (typeof STEPS)[number], sizes: readonly Size[], samples: Samples): Line[] {
  return sizes.map(({ count, original }) => {
    const ours = figureOf(samples, `${step.step} ${count}`);
    const beside = step.original && {
      name: "original",
      figure: original && figureOf(samples, `original ${step.step} ${count}`),
    };
    const target = targetOf(sizes, count, figureOf(samples, `${step.step} ${sizes[0]?.count}`));
    const most = "most" in step && target !== undefined ? atMost(step.most) : target;
    return { work: `${step.work}, ${power(count)} stored`, ours, beside, target: most };
  });
}

function wholeLines(sizes: readonly Size[], samples: Samples): Line[] {
  return sizes.map(({ count }) => {
    const target = targetOf(sizes, count, figureOf(samples, `whole ${sizes[0]?.count}`));
    return { work: `health, whole process, ${power(count)} stored`, ours: figureOf(samples, `whole ${count}`), target };
  });
}

/** The most messages are to cost no more than the least. */
function targetOf(sizes: readonly Size[], count: number, least: Figure) {
  return count === sizes.at(-1)?.count ? flat(least) : undefined;
}

function figureOf(samples: Samples, name: string): Figure {
  return figure("ms", samples.get(name) ?? []);
}

function power(count: number): string {
  return `10${["⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸"][Math.round(Math.log10(count))]}`;
}
