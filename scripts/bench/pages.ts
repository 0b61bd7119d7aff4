import { number, show } from "./figures.ts";
import { machineText } from "./machine.ts";
import { aboutMachine, type Report, type Row, summary } from "./report.ts";

/** The benches under each heading of docs/performance.md. */
export const GROUPS: ReadonlyMap<string, readonly string[]> = new Map([
  ["Starting a command", ["send", "send-key", "read"]],
  ["Waking a waiter", ["wake", "pairs", "wait", "idle"]],
  ["Sending", ["sends", "crowd", "http", "http-signed", "json-lines", "writers"]],
  ["Ten thousand waiters", ["fan-out", "fan-out-sse"]],
  ["A growing bus", ["growth"]],
  ["A database beside NATS", ["engines"]],
]);

interface Headline {
  readonly says: string;
  readonly work: string;
  readonly beside: string;
  readonly besideSays: string;
}

/** The six figures of the README. */
export const HEADLINES: readonly Headline[] = [
  {
    says: "A whole `el-ipc send` in a shell, from start to exit",
    work: "send, whole process",
    beside: "original",
    besideSays: "Python original",
  },
  {
    says: "From a send in one process to the message printed in another",
    work: "send to print elsewhere, FULL, p50",
    beside: "Redis Streams, fsync always",
    besideSays: "Redis Streams",
  },
  {
    says: "Sends from one process, each on disk before the next",
    work: "sends in one process, FULL",
    beside: "original",
    besideSays: "Python original",
  },
  {
    says: "Sends over HTTP on 64 connections",
    work: "HTTP sends, 64 connections, FULL",
    beside: "original",
    besideSays: "Python original",
  },
  {
    says: "Unread count of an agent with a million messages stored",
    work: "unread count, quiet channel, 10⁶ stored",
    beside: "original",
    besideSays: "Python original",
  },
  {
    says: "Memory of a waiting `read --wait`, beyond Node's own",
    work: "an idle waiter, memory beyond Node's",
    beside: "Node's own",
    besideSays: "Node's own",
  },
];

/** A page with what stands between its two marks made anew. */
export function fill(page: string, name: string, text: string): string {
  const [start, end] = [`<!-- ${name}: made by npm run bench -->`, `<!-- end of ${name} -->`];
  const [before, rest] = halves(page, start);
  const [, after] = halves(rest, end);
  return `${before}${start}\n\n${text}\n\n${end}${after}`;
}

function halves(text: string, mark: string): [string, string] {
  const at = text.indexOf(mark);
  if (at === -1) throw new Error(`the page has no line ${mark}`);
  return [text.slice(0, at), text.slice(at + mark.length)];
}

/** Every figure of a run, a table under each heading. */
export function allFigures(report: Report): string {
  const { command, notes, failures } = report;
  const remarks = [...aboutMachine(report), summary(report), ...notes, ...failures.map((text) => `FAILED ${text}`)];
  const tables = [...GROUPS].map(([heading, benches]) => {
    const rows = report.lines.filter(({ bench }) => benches.includes(bench));
    return `### ${heading}\n\n${fullTable(rows)}`;
  });
  return [`\`${command}\` printed this:`, remarks.map((text) => `* ${text}`).join("\n"), ...tables].join("\n\n");
}

function fullTable(rows: readonly Row[]): string {
  const head = ["Work", "el-ipc", "Compared with", "Ratio", "Target", "Result"];
  return markdown(
    head,
    rows.map((row, index) => {
      const above = rows[index - 1];
      const again = above?.work === row.work;
      const { beside } = row;
      return [
        again ? "" : row.work,
        again && show(above.ours) === show(row.ours) ? "" : show(row.ours),
        beside === undefined ? "" : `${beside.name}: ${beside.figure === undefined ? "not here" : show(beside.figure)}`,
        ratioText(row),
        row.target ?? "",
        row.verdict,
      ];
    }),
  );
}

export function ratioText({ ratio, share }: Row): string {
  return ratio === undefined ? "" : share ? number(ratio) : `${number(ratio)}×`;
}

/** The README's six figures. */
export function headlineFigures(report: Report): string {
  const rows = HEADLINES.map(({ says, work, beside, besideSays }) => {
    const row = report.lines.find((line) => line.work === work && line.beside?.name === beside);
    if (row?.beside?.figure === undefined) throw new Error(`the run has no figure for ${work} beside ${beside}`);
    return [says, median(row.ours), `${besideSays}: ${median(row.beside.figure)}`];
  });
  const machine = `Measured on ${machineText(report.machine)}.`;
  return `${markdown(["Work", "el-ipc", "Compared with"], rows)}\n\n${machine}`;
}

function median(figure: Row["ours"]): string {
  return show({ ...figure, best: figure.median });
}

function markdown(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, head.map(() => "---"), ...rows];
  return lines.map((cells) => `| ${cells.join(" | ")} |`.replace(/ +\|/g, " |")).join("\n");
}
