import { useMemo, useState } from "preact/hooks";
import { type Activity, type Entry, KINDS, type Kind } from "../bus/activity.ts";
import { useBoard } from "../bus/board.ts";
import { makeVisible, Name } from "../parts/content.tsx";
import { Search, Toggle } from "../parts/fields.tsx";
import { EmptyNote, Panel } from "../parts/panel.tsx";
import { At } from "../parts/time.tsx";
import { VirtualList } from "../parts/virtual-list.tsx";

const LABELS: Readonly<Record<Kind, string>> = {
  message: "Messages",
  command: "Commands",
  signal: "Signals",
  peer: "Peers",
};

export function LiveActivity() {
  const { activity } = useBoard("activity");
  const [pause, setPause] = useState<Pick<Activity, "entries" | "total"> | undefined>(undefined);
  const [hidden, setHidden] = useState<ReadonlySet<Kind>>(new Set());
  const [search, setSearch] = useState("");
  const { entries } = pause ?? activity;
  const wanted = search.trim().toLowerCase();
  const listed = useMemo(
    () => entries.filter((entry) => !hidden.has(entry.kind) && isAbout(entry, wanted)).reverse(),
    [entries, entries.length, hidden, wanted],
  );
  const missed = pause === undefined ? 0 : activity.total - pause.total;

  const toggle = (kind: Kind, visible: boolean): void => {
    const kinds = new Set(hidden);
    if (visible) kinds.delete(kind);
    else kinds.add(kind);
    setHidden(kinds);
  };

  return (
    <Panel
      view="activity"
      title="Live activity"
      actions={
        <button
          type="button"
          aria-pressed={pause !== undefined}
          onClick={() => setPause(pause ? undefined : { entries: [...activity.entries], total: activity.total })}
        >
          {pause === undefined ? "Pause" : missed === 0 ? "Resume" : `Resume (${missed} new)`}
        </button>
      }
    >
      <div class="tools">
        {KINDS.map((kind) => (
          <Toggle
            key={kind}
            label={LABELS[kind]}
            checked={!hidden.has(kind)}
            onChange={(visible) => toggle(kind, visible)}
          />
        ))}
        <Search label="Filter activity" value={search} onInput={setSearch} />
      </div>
      {listed.length === 0 ? (
        <EmptyNote>{entries.length === 0 ? "Nothing has happened yet." : "No activity matches."}</EmptyNote>
      ) : (
        <VirtualList
          items={listed}
          keyOf={({ key }) => key}
          estimate={26}
          label="What happened, newest first"
          row={(entry) => <EntryRow entry={entry} />}
        />
      )}
    </Panel>
  );
}

function EntryRow({ entry: { ts, kind, who, what, detail } }: { entry: Entry }) {
  return (
    <div class={`entry ${kind}`}>
      <span class="muted time">
        <At ts={ts} />
      </span>
      <span class="kind">{kind}</span>
      <span class="text">
        <Name of={who} strong /> <bdi>{makeVisible(what)}</bdi>
        {detail === "" ? null : <span class="muted"> {makeVisible(detail)}</span>}
      </span>
    </div>
  );
}

function isAbout({ who, what, detail }: Entry, wanted: string): boolean {
  return wanted === "" || `${who} ${what} ${detail}`.toLowerCase().includes(wanted);
}
