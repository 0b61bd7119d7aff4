import { useEffect } from "preact/hooks";
import { useBoard } from "../bus/board.ts";
import { Nothing, Panel } from "../parts/panel.tsx";
import { ChannelList, newestFirst } from "./channel-list.tsx";
import { ALARMS, ThreadView } from "./thread.tsx";

/** Where the bus itself writes how commands ended. */
const ACTIVITY = "activity";

/** The channels, and beside them the one that is open. A narrow window shows one of the two. */
export function Channels() {
  const { state, place, thread } = useBoard("channels", "place", "thread");
  const { channel } = place;

  useEffect(() => {
    if (channel !== undefined) thread.open(channel);
  }, [channel]);

  // Somebody who has just come sees something happen, where there is room for it.
  const names = newestFirst(state).map(({ name }) => name);
  const newest = names.find((name) => name !== ALARMS && name !== ACTIVITY) ?? names.find((name) => name !== ALARMS);
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
