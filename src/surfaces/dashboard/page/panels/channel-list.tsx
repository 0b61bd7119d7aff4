import { useRef, useState } from "preact/hooks";
import { useBoard } from "../bus/board.ts";
import type { Channel, Reading } from "../bus/records.ts";
import type { State } from "../bus/state.ts";
import { makeVisible, Name } from "../parts/content.tsx";
import { Search } from "../parts/fields.tsx";
import { EmptyNote } from "../parts/panel.tsx";
import { Ago } from "../parts/time.tsx";
import { VirtualList } from "../parts/virtual-list.tsx";

/** The list of channels. Their order stays fixed while the pointer or the focus is in it. */
export function ChannelList({ open, onOpen }: { open: string | undefined; onOpen: (name: string) => void }) {
  const { state, session } = useBoard("channels", "readings", "session");
  const [search, setSearch] = useState("");
  const [active, setActive] = useState<string | undefined>(undefined);
  const resting = useRef<readonly string[] | undefined>(undefined);
  const listed = inOrder(state, resting.current).filter(({ name }) => includes(name, search));
  const sends = session.may("channel send");
  const fresh = search.trim() !== "" && !state.channels.has(search.trim()) && sends;
  const begin = sends ? " A name above begins a channel." : "";
  const nothing = search.trim() === "" ? `Nothing was sent yet.${begin}` : "No channel matches.";
  const current = active ?? open;

  const rest = (): void => {
    resting.current = newestFirst(state).map(({ name }) => name);
  };
  const wake = (): void => {
    resting.current = undefined;
  };

  const move = (event: KeyboardEvent): void => {
    const step = STEPS[event.key];
    if (step === undefined && event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    if (step === undefined) {
      if (current !== undefined) onOpen(current);
      return;
    }
    const index = listed.findIndex(({ name }) => name === current);
    setActive(listed[Math.min(listed.length - 1, Math.max(0, index + step))]?.name);
  };

  const enter = (event: KeyboardEvent): void => {
    if (event.key !== "Enter") return;
    const found = listed[0]?.name ?? (fresh ? search.trim() : undefined);
    if (found !== undefined) onOpen(found);
  };

  return (
    <div class="channel-list">
      <Search label="Find a channel" value={search} onInput={setSearch} onKeyDown={enter} />
      {listed.length === 0 && !fresh ? <EmptyNote>{nothing}</EmptyNote> : null}
      {fresh ? (
        <button type="button" class="link" onClick={() => onOpen(search.trim())}>
          Write to a new channel “{makeVisible(search.trim())}”
        </button>
      ) : null}
      {listed.length === 0 ? null : (
        <VirtualList
          items={listed}
          keyOf={({ name }) => name}
          estimate={48}
          label="Channels"
          reveal={current}
          list={{
            role: "listbox",
            "aria-activedescendant": current === undefined ? undefined : idOf(current),
            onKeyDown: move,
            onFocus: rest,
            onBlur: () => {
              wake();
              setActive(undefined);
            },
            onPointerEnter: rest,
            onPointerLeave: wake,
          }}
          rowProps={({ name }) => ({
            id: idOf(name),
            role: "option",
            "aria-selected": name === open,
            class: name === current ? "option current" : "option",
            onClick: () => {
              setActive(undefined);
              onOpen(name);
            },
          })}
          row={(channel) => <ChannelRow channel={channel} readings={state.readings.get(channel.name)} />}
        />
      )}
    </div>
  );
}

const STEPS: Readonly<Record<string, number>> = {
  ArrowDown: 1,
  ArrowUp: -1,
  PageDown: 10,
  PageUp: -10,
  Home: Number.NEGATIVE_INFINITY,
  End: Number.POSITIVE_INFINITY,
};

interface ChannelRowProps {
  readonly channel: Channel;
  readonly readings: ReadonlyMap<string, Reading> | undefined;
}

const MAX_AGENTS = 3;

function ChannelRow({ channel: { name, count, lastAt }, readings }: ChannelRowProps) {
  const behind = [...(readings?.values() ?? [])].filter(({ unread }) => unread > 0);
  behind.sort((a, b) => b.unread - a.unread);
  return (
    <>
      <div class="line">
        <Name of={name} strong />
        <span class="muted end">
          {count.toLocaleString()} · <Ago ts={lastAt} />
        </span>
      </div>
      <div class="line muted small">
        {behind.length === 0 ? (
          <span>{readings === undefined || readings.size === 0 ? "nobody reads it" : "all read"}</span>
        ) : (
          <span class="grow">
            unread{" "}
            {behind.slice(0, MAX_AGENTS).map(({ agent, unread }) => (
              <span key={agent} class="unread">
                <bdi>{makeVisible(agent)}</bdi> {unreadText(unread)}
              </span>
            ))}
            {behind.length > MAX_AGENTS ? ` and ${behind.length - MAX_AGENTS} more` : ""}
          </span>
        )}
      </div>
    </>
  );
}

/** The server counts up to a thousand. */
export function unreadText(unread: number): string {
  return unread >= 1_000 ? "999+" : String(unread);
}

export function newestFirst({ channels }: State): readonly Channel[] {
  return [...channels.values()].sort(
    (a, b) => b.lastAt - a.lastAt || a.name.localeCompare(b.name, undefined, { numeric: true }),
  );
}

function inOrder(state: State, resting: readonly string[] | undefined): readonly Channel[] {
  const newest = newestFirst(state);
  if (resting === undefined) return newest;
  const known = new Set(resting);
  const kept = resting.flatMap((name) => state.channels.get(name) ?? []);
  return [...newest.filter(({ name }) => !known.has(name)), ...kept];
}

function includes(name: string, search: string): boolean {
  return name.toLowerCase().includes(search.trim().toLowerCase());
}

function idOf(name: string): string {
  return `channel-${encodeURIComponent(name)}`;
}
