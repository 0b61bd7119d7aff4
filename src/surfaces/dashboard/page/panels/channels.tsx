import { useEffect } from "preact/hooks";
import { useBoard } from "../bus/board.ts";
import { Nothing, Panel } from "../parts/panel.tsx";
import { ChannelList, newestFirst } from "./channel-list.tsx";
import { ALARMS } from "./composer.tsx";

/** What the bus itself writes. */
const BY_THE_BUS: readonly string[] = [ALARMS, "activity"];

import { ThreadView } from "./thread-view.tsx";

/** The channels, and beside them the one that is open. A narrow window shows one of the two. */
export function Channels() {
  const { state, place, thread } = useBoard("channels", "place", "thread");
  const { channel } = place;

  useEffect(() => {
    if (channel !== undefined) thread.open(channel);
  }, [channel]);

  // Somebody who has just come sees something happen, where there is room for it.
  const newest = newestFirst(state).find(({ name }) => !BY_THE_BUS.includes(name))?.name;
  const first = thread.channel === undefined && channel === undefined ? newest : undefined;
  useEffect(() => {
    if (first !== undefined) thread.open(first);
  }, [first]);

  const leave = (): void => {
    place.go("channels");
    requestAnimationFrame(() => document.querySelector<HTMLElement>(".channel-list ul")?.focus());
  };

  return (
    <Panel view="channels" title="Channels" count={`${state.channels.size}`}>
      <div class={channel === undefined ? "split" : "split chosen"}>
        <ChannelList open={thread.channel} onOpen={(name) => place.go("channels", name)} />
        {thread.channel === undefined ? (
          <Nothing>
            What is sent is read here. <code>el-ipc send CHANNEL SENDER TEXT</code> sends something.
          </Nothing>
        ) : (
          <ThreadView key={thread.channel} channel={thread.channel} onBack={leave} />
        )}
      </div>
    </Panel>
  );
}
