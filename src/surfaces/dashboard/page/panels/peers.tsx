import { useState } from "preact/hooks";
import { useBoard } from "../bus/board.ts";
import type { Peer } from "../bus/records.ts";
import { makeVisible, Name } from "../parts/content.tsx";
import { Search } from "../parts/fields.tsx";
import { EmptyNote, Panel } from "../parts/panel.tsx";
import { Ago } from "../parts/time.tsx";
import { VirtualList } from "../parts/virtual-list.tsx";

/** A list longer than this has a search field. */
const SEARCHABLE = 8;

export function Peers({ onCommand }: { onCommand: (target: string) => void }) {
  const { state, session } = useBoard("peers", "session");
  const [search, setSearch] = useState("");
  const peers = [...state.peers.values()];
  const online = peers.filter(({ gone }) => !gone);
  const listed = [...online, ...peers.filter(({ gone }) => gone)].filter((peer) => matches(peer, search));
  const canCommand = session.may("command send");
  return (
    <Panel
      view="peers"
      title="Peers"
      count={peers.length === online.length ? `${online.length}` : `${online.length} of ${peers.length} online`}
      actions={peers.length > SEARCHABLE ? <Search label="Find a peer" value={search} onInput={setSearch} /> : null}
    >
      {listed.length === 0 ? (
        <EmptyNote>
          {search === "" ? (
            <>
              Nobody is connected. A session connects with <code>el-ipc connect ROLE</code>, or by MCP.
            </>
          ) : (
            "No peer matches."
          )}
        </EmptyNote>
      ) : (
        <VirtualList
          items={listed}
          keyOf={({ id }) => id}
          estimate={58}
          label="Peers"
          row={(peer) => <PeerRow peer={peer} onCommand={canCommand ? onCommand : undefined} />}
        />
      )}
    </Panel>
  );
}

function PeerRow({ peer, onCommand }: { peer: Peer; onCommand: ((target: string) => void) | undefined }) {
  const { id, role, capabilities, gone, waitsFor, agent, lastSeen } = peer;
  return (
    <div class={gone ? "peer gone" : "peer"}>
      <div class="line">
        <span class={gone ? "dot" : "dot on"} />
        <Name of={role} strong />
        <Name of={id} />
        <span class="badge end">
          {gone ? "gone" : waitsFor === null ? "online" : `waits for ${makeVisible(waitsFor)}`}
        </span>
      </div>
      <div class="line muted">
        <span class="grow">
          seen <Ago ts={lastSeen} />
          {agent === null ? null : (
            <>
              {" · agent "}
              <Name of={agent} />
            </>
          )}
        </span>
        {onCommand === undefined || gone ? null : (
          <button type="button" class="link" onClick={() => onCommand(id)} aria-label={`Command ${makeVisible(id)}`}>
            Command
          </button>
        )}
      </div>
      {capabilities.length === 0 ? null : (
        <p class="capabilities muted" title={makeVisible(capabilities.join(", "))}>
          can <bdi>{makeVisible(capabilities.join(", "))}</bdi>
        </p>
      )}
    </div>
  );
}

function matches({ id, role, capabilities, agent }: Peer, search: string): boolean {
  const wanted = search.trim().toLowerCase();
  return [id, role, agent ?? "", ...capabilities].some((text) => text.toLowerCase().includes(wanted));
}
