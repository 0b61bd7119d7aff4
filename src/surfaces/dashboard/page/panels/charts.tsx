import { useMemo, useState } from "preact/hooks";
import { useBoard } from "../bus/board.ts";
import type { State } from "../bus/state.ts";
import { type CommandTime, type Flow, MINUTES } from "../bus/traffic.ts";
import { Chart } from "../parts/chart.tsx";
import { makeVisible } from "../parts/content.tsx";
import { Segments } from "../parts/fields.tsx";
import { EmptyNote, Panel } from "../parts/panel.tsx";
import { formatDuration } from "../parts/time.tsx";

const WHOM = [
  { value: "readers", label: "to readers" },
  { value: "channels", label: "to channels" },
  { value: "commands", label: "by command" },
] as const;

type Whom = (typeof WHOM)[number]["value"];

/** By sender, then by recipient. */
type Counts = ReadonlyMap<string, ReadonlyMap<string, number>>;

/** The maximum of rows, and of columns, in the matrix. */
const MAX_NAMES = 24;

function TalkMatrix() {
  const { state, traffic } = useBoard("traffic", "readings", "commands");
  const [whom, setWhom] = useState<Whom>("readers");
  const counts = countsOf(whom, state, [...traffic.flows.values()]);
  const { rows, columns, most } = useMemo(() => matrixOf(counts), [textOf(counts)]);
  return (
    <figure class="picture">
      <figcaption class="muted">
        <Segments legend="Whom" options={WHOM} value={whom} onChange={setWhom} />
        {EXPLAINED[whom]}
      </figcaption>
      {rows.length === 0 ? (
        <EmptyNote>{whom === "readers" ? "Nobody has read what was sent in the last hour." : "Nothing yet."}</EmptyNote>
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
                  <th key={name} scope="col" title={makeVisible(name)}>
                    <bdi>{makeVisible(name)}</bdi>
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.map((from) => (
                <tr key={from}>
                  <th scope="row" title={makeVisible(from)}>
                    <bdi>{makeVisible(from)}</bdi>
                  </th>
                  {columns.map((to) => {
                    const count = counts.get(from)?.get(to) ?? 0;
                    return (
                      <td key={to} class="heat" style={{ "--heat": heatOf(count, most) }}>
                        {count === 0 ? <span class="muted">·</span> : count.toLocaleString()}
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
  commands: "Commands, by sender and whom they were for",
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
    .slice(0, MAX_NAMES)
    .map(([name]) => name);
}

/** Logarithmic, so that small counts are visible beside large ones. */
function heatOf(count: number, most: number): string {
  return count === 0 ? "0%" : `${Math.round(8 + (32 * Math.log1p(count)) / Math.log1p(most))}%`;
}

function textOf(counts: Counts): string {
  return JSON.stringify([...counts].map(([from, row]) => [from, ...row]));
}

const PICTURES = [
  { value: "minutes", label: "Messages per minute" },
  { value: "talk", label: "Who talks to whom" },
  { value: "waits", label: "Waiting times" },
] as const;

type Picture = (typeof PICTURES)[number]["value"];

export function Pictures() {
  const [picture, setPicture] = useState<Picture>("minutes");
  return (
    <Panel
      view="pictures"
      title="Pictures"
      actions={<Segments legend="Which picture" options={PICTURES} value={picture} onChange={setPicture} />}
    >
      {picture === "minutes" ? <MessagesPerMinute /> : picture === "talk" ? <TalkMatrix /> : <WaitingTimes />}
    </Panel>
  );
}

function MessagesPerMinute() {
  const { traffic, state } = useBoard("traffic", "clock");
  const now = Math.floor((Date.now() / 1_000 + state.clockOffset) / 60) * 60;
  const times = Array.from({ length: MINUTES }, (_, index) => now - (MINUTES - 1 - index) * 60);
  const counts = times.map((time) => traffic.minutes.get(time) ?? 0);
  const sum = counts.reduce((total, count) => total + count, 0);
  const most = Math.max(...counts);
  const data = useMemo((): [number[], number[]] => [times, counts], [now, counts.join()]);
  const sentence =
    sum === 0
      ? "No messages in the last hour"
      : `${sum.toLocaleString()} messages in the last hour, ${(counts.at(-1) ?? 0).toLocaleString()} in this minute, ${most.toLocaleString()} in the busiest`;
  return (
    <figure class="picture">
      <figcaption class="muted">{sentence}</figcaption>
      <Chart
        label={`Messages per minute. ${sentence}.`}
        data={data}
        tones={["--accent"]}
        value={(count) => (Number.isInteger(count) ? count.toLocaleString() : "")}
        bars
      />
    </figure>
  );
}

/** A logarithmic scale has no zero. */
const MIN_SECONDS = 0.001;

function WaitingTimes() {
  const { traffic } = useBoard("traffic");
  const { waits } = traffic;
  const data = useMemo((): [number[], number[], (number | null)[]] => {
    const sorted = waits.toSorted((a, b) => a.endedAt - b.endedAt);
    return [
      sorted.map(({ endedAt }) => endedAt),
      sorted.map(({ untilEnded }) => Math.max(MIN_SECONDS, untilEnded)),
      sorted.map(({ untilTaken }) => (untilTaken === undefined ? null : Math.max(MIN_SECONDS, untilTaken))),
    ];
  }, [waits, waits.length]);
  if (waits.length === 0) return <EmptyNote>No command has come to its end yet.</EmptyNote>;
  const sentence = summaryOf(waits);
  return (
    <figure class="picture">
      <figcaption class="muted">
        {sentence}
        <span class="key accent">until done</span>
        <span class="key warm">until taken</span>
      </figcaption>
      <Chart
        label={`Waiting times of commands. ${sentence}.`}
        data={data}
        tones={["--accent", "--warm"]}
        value={formatDuration}
        logarithmic
      />
    </figure>
  );
}

function summaryOf(waits: readonly CommandTime[]): string {
  const sorted = waits.map(({ untilEnded }) => untilEnded).toSorted((a, b) => a - b);
  const at = (part: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
  return `${waits.length} done: half within ${formatDuration(at(0.5))}, 95\u00a0% within ${formatDuration(at(0.95))}, the longest ${formatDuration(at(1))}`;
}
