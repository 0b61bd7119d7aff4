import { useMemo, useState } from "preact/hooks";
import { useBoard } from "../bus/board.ts";
import type { State } from "../bus/state.ts";
import type { Flow } from "../bus/traffic.ts";
import { Segments } from "../parts/fields.tsx";
import { shown } from "../parts/name.tsx";
import { Nothing } from "../parts/panel.tsx";

const WHOM = [
  { value: "readers", label: "to readers" },
  { value: "channels", label: "to channels" },
  { value: "commands", label: "by command" },
] as const;

type Whom = (typeof WHOM)[number]["value"];

/** From whom to whom, and how often. */
type Counts = ReadonlyMap<string, ReadonlyMap<string, number>>;

/** A larger one is no picture any more. The rest is added up. */
const MOST = 24;

/** Who talks to whom: a table whose cells are the darker the more was said. */
export function Talk() {
  const { state, traffic } = useBoard("traffic", "readings", "commands");
  const [whom, setWhom] = useState<Whom>("readers");
  const counts = countsOf(whom, state, [...traffic.flows.values()]);
  const { rows, columns, most } = useMemo(() => matrixOf(counts), [textOf(counts)]);
  return (
    <figure class="picture">
      <figcaption class="muted">
        <Segments legend="Whom" options={WHOM} value={whom} onChange={setWhom} />
        {whom === "commands" ? "Commands, by sender and whom they were for" : EXPLAINED[whom]}
      </figcaption>
      {rows.length === 0 ? (
        <Nothing>{whom === "readers" ? "Nobody has read what was sent in the last hour." : "Nothing yet."}</Nothing>
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be within a keyboard's reach
        <section class="matrix" tabIndex={0} aria-label="Who talks to whom">
          <table>
            <thead>
              <tr>
                <th scope="col" class="corner">
                  from ↓ to →
                </th>
                {columns.map((name) => (
                  <th key={name} scope="col" title={shown(name)}>
                    <bdi>{shown(name)}</bdi>
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.map((from) => (
                <tr key={from}>
                  <th scope="row" title={shown(from)}>
                    <bdi>{shown(from)}</bdi>
                  </th>
                  {columns.map((to) => {
                    const count = counts.get(from)?.get(to) ?? 0;
                    return (
                      <td key={to} class="heat" style={{ "--heat": heatOf(count, most) }}>
                        {count === 0 ? <span class="none">·</span> : count.toLocaleString()}
                      </td>
                    );
                  })}
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
    </figure>
  );
}

const EXPLAINED = {
  readers: "Last hour's messages, by sender and who reads the channel",
  channels: "Last hour's messages, by sender and channel",
} as const;

function countsOf(whom: Whom, { readings, commands }: State, flows: readonly Flow[]): Counts {
  const counts = new Map<string, Map<string, number>>();
  const add = (from: string, to: string, count: number): void => {
    const row = counts.get(from) ?? new Map<string, number>();
    row.set(to, (row.get(to) ?? 0) + count);
    counts.set(from, row);
  };
  if (whom === "commands") {
    for (const { response, from, role, target } of commands.values()) if (!response) add(from, role || target, 1);
    return counts;
  }
  for (const { from, channel, count } of flows) {
    if (whom === "channels") add(from, channel, count);
    else for (const agent of readings.get(channel)?.keys() ?? []) if (agent !== from) add(from, agent, count);
  }
  return counts;
}

function matrixOf(counts: Counts) {
  const rowSums = new Map<string, number>();
  const columnSums = new Map<string, number>();
  let most = 0;
  for (const [from, row] of counts) {
    for (const [to, count] of row) {
      rowSums.set(from, (rowSums.get(from) ?? 0) + count);
      columnSums.set(to, (columnSums.get(to) ?? 0) + count);
      most = Math.max(most, count);
    }
  }
  return { rows: largest(rowSums), columns: largest(columnSums), most };
}

function largest(sums: ReadonlyMap<string, number>): readonly string[] {
  return [...sums]
    .sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0], undefined, { numeric: true }))
    .slice(0, MOST)
    .map(([name]) => name);
}

/** By the logarithm, so that a little is seen beside a lot. */
function heatOf(count: number, most: number): string {
  return count === 0 ? "0%" : `${Math.round(8 + (32 * Math.log1p(count)) / Math.log1p(most))}%`;
}

function textOf(counts: Counts): string {
  return JSON.stringify([...counts].map(([from, row]) => [from, ...row]));
}
