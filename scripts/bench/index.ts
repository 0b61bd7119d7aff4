// `npm run bench`: see `npm run bench -- --help` for what it measures and how to read it.
import type { Bench, Setting } from "./bench.ts";
import { benches } from "./benches.ts";
import { temporaryFolder } from "./folder.ts";
import { type Line, ratioOf, verdict } from "./lines.ts";
import { machine, machineText, othersShare } from "./machine.ts";
import { findNeighbours } from "./neighbours/neighbours.ts";
import { helpText, type Options, parseOptions } from "./options.ts";
import { originalAt } from "./original.ts";
import { stopAll } from "./processes.ts";
import { table } from "./table.ts";

/** So long may one row take, at most. */
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

  const lines = outcomes.flatMap((outcome) => outcome.lines);
  const failures = outcomes.flatMap(({ bench, failure }) =>
    failure === undefined ? [] : [`${bench.name}: ${failure}`],
  );
  const busiest = Math.max(...outcomes.map(({ others }) => others));
  const command = `npm run bench${process.argv.length > 2 ? ` -- ${process.argv.slice(2).join(" ")}` : ""}`;
  if (options.json) {
    const about = { command, machine: { ...here, others: busiest }, skipped, notes: [...notes], failures };
    console.log(JSON.stringify({ ...about, lines: lines.map(asJson) }));
  } else {
    const others = `others kept this machine up to ${Math.round(busiest * 100)} % busy meanwhile`;
    const remarks = [
      ...skipped.map((name) => `skipped: ${name}`),
      ...notes,
      ...failures.map((text) => `FAILED ${text}`),
    ];
    console.log([command, machineText(here), others, "", table(lines), "", summary(lines), ...remarks].join("\n"));
  }
  return failures.length === 0 ? 0 : 1;
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

function asJson(line: Line) {
  const { work, ours, beside, target } = line;
  return { work, ours, beside, ratio: ratioOf(line), target: target?.text, verdict: verdict(line) };
}

function summary(lines: readonly Line[]): string {
  const count = (wanted: string) => lines.filter((line) => verdict(line) === wanted).length;
  return `${count("pass")} targets reached, ${count("miss")} missed, ${count("not run")} not run`;
}

/** How far it is: beside the result, which alone goes to standard output. */
function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
