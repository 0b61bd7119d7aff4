import { useMemo, useState } from "preact/hooks";
import { useBoard } from "../bus/board.ts";
import { MINUTES, type Wait } from "../bus/traffic.ts";
import { Chart } from "../parts/chart.tsx";
import { Segments } from "../parts/fields.tsx";
import { Nothing, Panel } from "../parts/panel.tsx";
import { span } from "../parts/time.tsx";
import { Talk } from "./talk.tsx";

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
      {picture === "minutes" ? <MessagesPerMinute /> : picture === "talk" ? <Talk /> : <WaitingTimes />}
    </Panel>
  );
}

function MessagesPerMinute() {
  const { traffic, state } = useBoard("traffic", "clock");
  const now = Math.floor((Date.now() / 1_000 + state.ahead) / 60) * 60;
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
        series={[{ label: "messages", tone: "--accent" }]}
        value={(count) => (Number.isInteger(count) ? count.toLocaleString() : "")}
        bars
      />
    </figure>
  );
}

/** A picture on a logarithmic scale has no nought. */
const SHORTEST = 0.001;

function WaitingTimes() {
  const { traffic } = useBoard("traffic");
  const { waits } = traffic;
  const data = useMemo((): [number[], number[], (number | null)[]] => {
    const sorted = waits.toSorted((a, b) => a.endedAt - b.endedAt);
    return [
      sorted.map(({ endedAt }) => endedAt),
      sorted.map(({ untilEnded }) => Math.max(SHORTEST, untilEnded)),
      sorted.map(({ untilTaken }) => (untilTaken === undefined ? null : Math.max(SHORTEST, untilTaken))),
    ];
  }, [waits, waits.length]);
  if (waits.length === 0) return <Nothing>No command has come to its end yet.</Nothing>;
  const sentence = inWords(waits);
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
        series={[
          { label: "until done", tone: "--accent" },
          { label: "until taken", tone: "--warm" },
        ]}
        value={span}
        logarithmic
      />
    </figure>
  );
}

function inWords(waits: readonly Wait[]): string {
  const sorted = waits.map(({ untilEnded }) => untilEnded).toSorted((a, b) => a - b);
  const at = (part: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
  return `${waits.length} done: half within ${span(at(0.5))}, 95\u00a0% within ${span(at(0.95))}, the longest ${span(at(1))}`;
}
