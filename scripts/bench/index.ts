// `npm run bench`: see `npm run bench -- --help` for what it measures and how to read it.
import type { Bench, Setting } from "./bench.ts";
import { benches } from "./benches.ts";
import { temporaryFolder } from "./folder.ts";
import { type Line, ratioOf, verdict } from "./lines.ts";
import { load, machine, machineText } from "./machine.ts";
import { findNeighbours } from "./neighbours/neighbours.ts";
import { helpText, type Options, parseOptions } from "./options.ts";
import { originalAt } from "./original.ts";
import { table } from "./table.ts";

interface Outcome {
  readonly bench: Bench;
  readonly lines: readonly Line[];
  readonly failure?: string;
}

try {
  const options = parseOptions(process.argv.slice(2), benches);
  if (options.help) console.log(helpText(benches));
  else process.exitCode = await measureAll(options);
} catch (error) {
  console.error(`Error: ${error instanceof Error ? error.message : String(error)}`);
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
  const missing = missingFrom(setting);
  using folder = temporaryFolder();
  const here = machine(folder);
  const busy = load();
  say(`${machineText(here)}, load ${busy ?? "unknown"}`);
  for (const text of missing) say(`skipped: ${text}`);

  const chosen = benches.filter(({ name }) => options.only.length === 0 || options.only.includes(name));
  const outcomes: Outcome[] = [];
  for (const bench of chosen)
    outcomes.push(await measure(bench, setting, `${outcomes.length + 1} of ${chosen.length}`));

  const lines = outcomes.flatMap((outcome) => outcome.lines);
  const failures = outcomes.flatMap(({ bench, failure }) =>
    failure === undefined ? [] : [`${bench.name}: ${failure}`],
  );
  const command = `npm run bench${process.argv.length > 2 ? ` -- ${process.argv.slice(2).join(" ")}` : ""}`;
  if (options.json) {
    const all = { command, machine: { ...here, load: busy }, skipped: missing, notes: [...notes], failures };
    console.log(JSON.stringify({ ...all, lines: lines.map(asJson) }));
  } else {
    const about = [
      command,
      `${machineText(here)}, load ${busy ?? "unknown"} at the start and ${load() ?? "unknown"} at the end`,
    ];
    const remarks = [
      ...missing.map((text) => `skipped: ${text}`),
      ...notes,
      ...failures.map((text) => `FAILED ${text}`),
    ];
    console.log([...about, "", table(lines), "", summary(lines), ...remarks].join("\n"));
  }
  return failures.length === 0 ? 0 : 1;
}

async function measure(bench: Bench, setting: Setting, place: string): Promise<Outcome> {
  const started = performance.now();
  say(`${place}: ${bench.name} …`);
  try {
    const lines = await bench.run(setting);
    say(`${place}: ${bench.name} took ${((performance.now() - started) / 1_000).toFixed(1)} s`);
    return { bench, lines };
  } catch (error) {
    const failure = error instanceof Error ? error.message : String(error);
    say(`${place}: ${bench.name} failed: ${error instanceof Error ? error.stack : failure}`);
    return { bench, lines: [], failure };
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
