import type { Figure, Unit } from "./figures.ts";
import { type Line, ratioOf, type Verdict, verdict } from "./lines.ts";
import { type Machine, machineText } from "./machine.ts";

/** A whole run of the benchmark, as `--json` prints it and docs/performance.json keeps it. */
export interface Report {
  readonly command: string;
  readonly machine: Machine & { readonly others: number };
  readonly skipped: readonly string[];
  readonly notes: readonly string[];
  readonly failures: readonly string[];
  readonly lines: readonly Row[];
}

/** A line of the table as data: its target has become a text and a verdict. */
export interface Row {
  readonly bench: string;
  readonly work: string;
  readonly ours: Shown;
  readonly beside?: { readonly name: string; readonly figure?: Shown | undefined } | undefined;
  readonly ratio?: number | undefined;
  /** The ratio is the part that ours takes of the other's time, or reaches of its rate. */
  readonly share?: true | undefined;
  readonly target?: string | undefined;
  readonly verdict: Verdict;
}

export type Shown = Omit<Figure, "samples">;

export function rowOf(bench: string, line: Line): Row {
  const { work, ours, beside, target } = line;
  return {
    bench,
    work,
    ours,
    beside,
    ratio: ratioOf(line),
    share: target?.share,
    target: target?.text,
    verdict: verdict(line),
  };
}

export function readReport(text: string): Report {
  const value: unknown = JSON.parse(text);
  if (isReport(value)) return value;
  throw new Error("this is no run of the benchmark");
}

/** Where the figures were measured, in two lines. */
export function aboutMachine({ machine }: Report): string[] {
  return [machineText(machine), `other programs kept up to ${Math.round(machine.others * 100)} % of it busy meanwhile`];
}

export function summary({ lines }: Report): string {
  const count = (wanted: Verdict) => lines.filter((line) => line.verdict === wanted).length;
  return `${count("pass")} targets reached, ${count("miss")} missed, ${count("not run")} not run`;
}

const UNITS: readonly Unit[] = ["ms", "µs", "/s", "%", "MB", "KiB", ""];
const VERDICTS: readonly Verdict[] = ["pass", "miss", "not run", ""];

function isReport(value: unknown): value is Report {
  return (
    isRecord(value) &&
    typeof value.command === "string" &&
    isMachine(value.machine) &&
    [value.skipped, value.notes, value.failures].every((list) => Array.isArray(list) && list.every(isText)) &&
    Array.isArray(value.lines) &&
    value.lines.every(isRow)
  );
}

function isMachine(value: unknown): boolean {
  return (
    isRecord(value) &&
    [value.cpu, value.node, value.kernel].every(isText) &&
    [value.cores, value.memoryGb, value.fsyncMs, value.others].every(isNumber) &&
    typeof value.inMemory === "boolean"
  );
}

function isRow(value: unknown): boolean {
  return (
    isRecord(value) &&
    [value.bench, value.work].every(isText) &&
    isShown(value.ours) &&
    (value.beside === undefined || isBeside(value.beside)) &&
    (value.ratio === undefined || isNumber(value.ratio)) &&
    (value.target === undefined || isText(value.target)) &&
    VERDICTS.some((verdict) => verdict === value.verdict)
  );
}

function isBeside(value: unknown): boolean {
  return isRecord(value) && isText(value.name) && (value.figure === undefined || isShown(value.figure));
}

function isShown(value: unknown): boolean {
  return isRecord(value) && UNITS.some((unit) => unit === value.unit) && isNumber(value.median) && isNumber(value.best);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

function isNumber(value: unknown): value is number {
  return typeof value === "number";
}
