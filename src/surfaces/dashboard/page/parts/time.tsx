import { useBoard } from "../bus/board.ts";

const TWO_DIGITS = { hour: "2-digit", minute: "2-digit", second: "2-digit" } as const;
const clock = new Intl.DateTimeFormat(undefined, { ...TWO_DIGITS, hour12: false });
const day = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });

export function clockTime(ts: number): string {
  return clock.format(new Date(ts * 1_000)).replace(/:\d\d$/, "");
}

/** The time of day, with the date unless it is today. */
export function At({ ts }: { ts: number }) {
  const date = new Date(ts * 1_000);
  const today = date.toDateString() === new Date().toDateString();
  return (
    <Time date={date} text={isValid(date) ? `${today ? "" : `${day.format(date)} `}${clock.format(date)}` : "–"} />
  );
}

/** The time that has passed, by the server's clock. */
export function Ago({ ts }: { ts: number }) {
  const { state } = useBoard("clock");
  const seconds = Math.max(0, Date.now() / 1_000 + state.clockOffset - ts);
  const text = ts === 0 ? "–" : seconds < 5 ? "now" : `${formatDuration(Math.round(seconds))} ago`;
  return <Time date={new Date(ts * 1_000)} text={text} />;
}

function Time({ date, text }: { date: Date; text: string }) {
  return (
    <time dateTime={isValid(date) ? date.toISOString() : ""} title={isValid(date) ? full.format(date) : undefined}>
      {text}
    </time>
  );
}

/** Formats a duration in one or two units, without line breaks. */
export function formatDuration(seconds: number): string {
  return inUnits(seconds).replaceAll(" ", "\u00a0");
}

function inUnits(seconds: number): string {
  if (seconds < 0.95) return `${Math.max(1, Math.round(seconds * 1_000))} ms`;
  if (seconds < 9.95) return `${Number(seconds.toFixed(1))} s`;
  if (seconds < 59.5) return `${Math.round(seconds)} s`;
  if (seconds < 3_570) return `${Math.round(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)} h ${Math.round((seconds % 3_600) / 60)} min`;
  return `${Math.round(seconds / 86_400)} d`;
}

function isValid(date: Date): boolean {
  return !Number.isNaN(date.getTime());
}
