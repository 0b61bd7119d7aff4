import type { Message, Reading } from "../bus/things.ts";
import { Name, shown } from "../parts/name.tsx";
import { unreadText } from "./channel-list.tsx";

/** Who reads a channel, how far, and how much they haven't read. */
export function Readers({ readings }: { readings: readonly Reading[] }) {
  if (readings.length === 0) return <span class="muted readers-none">nobody reads it</span>;
  const behind = readings.filter(({ unread }) => unread > 0).length;
  const sorted = readings.toSorted(
    (a, b) => b.unread - a.unread || a.agent.localeCompare(b.agent, undefined, { numeric: true }),
  );
  return (
    <details
      class="readers"
      onKeyDown={({ key, currentTarget }) => {
        if (key === "Escape") currentTarget.open = false;
      }}
      onFocusOut={({ relatedTarget, currentTarget }) => {
        if (!(relatedTarget instanceof Node && currentTarget.contains(relatedTarget))) currentTarget.open = false;
      }}
    >
      <summary>
        {readings.length === 1 ? "1 reader" : `${readings.length} readers`}
        <span class="muted">{behind === 0 ? ", all up to date" : `, ${behind} behind`}</span>
      </summary>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be within a keyboard's reach */}
      <section class="popover" tabIndex={0} aria-label="Readers of this channel">
        <table>
          <thead>
            <tr>
              <th scope="col">Agent</th>
              <th scope="col" class="number">
                Unread
              </th>
              <th scope="col" class="number">
                Read up to
              </th>
            </tr>
          </thead>
          <tbody>
            {sorted.map(({ agent, lastId, unread }) => (
              <tr key={agent}>
                <th scope="row">
                  <Name of={agent} />
                </th>
                <td class="number">{unread === 0 ? "–" : unreadText(unread)}</td>
                <td class="number">#{lastId}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </details>
  );
}

/** By message: who has read up to it and no further. */
export function marksOf(
  messages: readonly Message[],
  readings: readonly Reading[],
): ReadonlyMap<number, readonly string[]> {
  const marks = new Map<number, string[]>();
  for (const { agent, lastId } of readings) {
    const last = lastUpTo(messages, lastId);
    if (last === undefined) continue;
    const agents = marks.get(last.id);
    if (agents === undefined) marks.set(last.id, [agent]);
    else agents.push(agent);
  }
  return marks;
}

const MOST_NAMED = 4;

export function ReadMark({ agents }: { agents: readonly string[] }) {
  if (agents.length === 0) return null;
  const others = agents.length - MOST_NAMED;
  return (
    <span class="read-mark" title={agents.map(shown).join(", ")}>
      read by {agents.slice(0, MOST_NAMED).map(shown).join(", ")}
      {others > 0 ? ` and ${others} more` : ""}
    </span>
  );
}

function lastUpTo(messages: readonly Message[], id: number): Message | undefined {
  let [low, high] = [0, messages.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((messages[middle]?.id ?? 0) <= id) low = middle + 1;
    else high = middle;
  }
  return messages[low - 1];
}
