// `npm run bench`: see `npm run bench -- --help` for what it measures and how to read it.
import { basename } from "node:path";
import type { Bench, Setting } from "./bench.ts";
import { benches } from "./benches.ts";
import { temporaryFolder } from "./folder.ts";
import { keep, renderPages } from "./kept.ts";
import type { Line } from "./lines.ts";
import { machine, machineText, othersShare } from "./machine.ts";
import { findNeighbours } from "./neighbours/neighbours.ts";
import { helpText, type Options, parseOptions } from "./options.ts";
import { originalAt } from "./original.ts";
import { stopAll } from "./processes.ts";
import { aboutMachine, type Report, rowOf, summary } from "./report.ts";
import { table } from "./table.ts";

/** The longest that one bench may take. */
const MAX_MS = 20 * 60_000;

interface Outcome {
  readonly bench: Bench;
  readonly lines: readonly Line[];
  readonly failure?: string;
  /** How busy others kept the machine before and after it. */
  readonly others: number;
}

try {
  const options = parseOptions(process.argv.slice(2), benches);
  if (options.help) console.log(helpText(benches));
  else if (options.pages) renderPages();
  else process.exitCode = await measureAll(options);
} catch (error) {
  console.error(`Error: ${messageOf(error)}`);
  process.exitCode = 1;
}
process.exit();

async function measureAll(options: Options): Promise<number> {
  const notes = new Set<string>();
  const setting: Setting = {
    extent: options.extent,
    original: options.original === undefined ? undefined : originalAt(options.original),
    neighbours: findNeighbours(),
    note: (text) => void notes.add(text),
  };
  const skipped = missingFrom(setting);
  using folder = temporaryFolder();
  const here = machine(folder);
  for (const text of [machineText(here), ...skipped.map((name) => `skipped: ${name}`)]) say(text);

  const chosen = benches.filter(({ name }) => options.only.length === 0 || options.only.includes(name));
  const outcomes: Outcome[] = [];
  for (const bench of chosen) {
    outcomes.push(await measure(bench, setting, `${outcomes.length + 1} of ${chosen.length}: ${bench.name}`));
  }

  const report: Report = {
    command: commandText(options),
    machine: { ...here, others: Math.max(...outcomes.map(({ others }) => others)) },
    skipped,
    notes: [...notes],
    failures: outcomes.flatMap(({ bench, failure }) => (failure === undefined ? [] : [`${bench.name}: ${failure}`])),
    lines: outcomes.flatMap(({ bench, lines }) => lines.map((line) => rowOf(bench.name, line))),
  };
  console.log(options.json ? JSON.stringify(report) : printed(report));
  if (options.write) keep(report);
  return report.failures.length === 0 ? 0 : 1;
}

/** The command as typed, without the path of the original, which means nothing to others. */
function commandText({ original }: Options): string {
  const words = process.argv.slice(2).map((word) => (word === original ? basename(word) : word));
  return `npm run bench${words.length > 0 ? ` -- ${words.join(" ")}` : ""}`;
}

function printed(report: Report): string {
  const { command, skipped, notes, failures, lines } = report;
  const remarks = [...skipped.map((name) => `skipped: ${name}`), ...notes, ...failures.map((text) => `FAILED ${text}`)];
  return [command, ...aboutMachine(report), "", table(lines), "", summary(report), ...remarks].join("\n");
}

async function measure(bench: Bench, setting: Setting, name: string): Promise<Outcome> {
  const others = await othersShare();
  const started = performance.now();
  const tooLong = setTimeout(stopAll, MAX_MS);
  say(`${name} …`);
  try {
    const lines = await bench.run(setting);
    say(`${name} took ${((performance.now() - started) / 1_000).toFixed(1)} s`);
    return { bench, lines, others: Math.max(others, await othersShare()) };
  } catch (error) {
    say(`${name} failed: ${error instanceof Error ? error.stack : messageOf(error)}`);
    return { bench, lines: [], failure: messageOf(error), others };
  } finally {
    clearTimeout(tooLong);
  }
}

function missingFrom({ original, neighbours }: Setting): string[] {
  return [
    ...(original === undefined ? ["the Python original (give --original PATH)"] : []),
    ...(neighbours.redis === undefined ? ["redis-server (not installed)"] : []),
    ...(neighbours.nats === undefined ? ["nats-server (not installed)"] : []),
    ...(neighbours.mosquitto === undefined ? ["mosquitto (not installed)"] : []),
  ];
}

/** Reports progress. Standard output holds the result alone. */
function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
