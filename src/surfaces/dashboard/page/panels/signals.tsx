import { useBoard } from "../bus/board.ts";
import type { Signal } from "../bus/records.ts";
import { Content, Name } from "../parts/content.tsx";
import { EmptyNote, Panel } from "../parts/panel.tsx";
import { Ago } from "../parts/time.tsx";
import { VirtualList } from "../parts/virtual-list.tsx";

export function Signals() {
  const { state } = useBoard("signals");
  const signals = [...state.signals.values()].reverse();
  return (
    <Panel view="signals" title="Signals" count={`${signals.length}`}>
      {signals.length === 0 ? (
        <EmptyNote>
          No signal is set. <code>el-ipc signal set NAME</code> sets one, and it stays until it is cleared.
        </EmptyNote>
      ) : (
        <VirtualList
          items={signals}
          keyOf={({ name }) => name}
          estimate={56}
          label="Signals"
          row={(signal) => <SignalRow signal={signal} />}
        />
      )}
    </Panel>
  );
}

function SignalRow({ signal: { name, from, ts, data } }: { signal: Signal }) {
  return (
    <div class="signal">
      <div class="line">
        <Name of={name} strong />
        <span class="muted end">
          <Name of={from} /> · <Ago ts={ts} />
        </span>
      </div>
      {data.text === "null" ? null : <Content payload={data} brief />}
    </div>
  );
}
