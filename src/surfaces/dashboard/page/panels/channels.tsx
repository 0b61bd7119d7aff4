import { useEffect } from "preact/hooks";
import { useBoard } from "../bus/board.ts";
import { EmptyNote, Panel } from "../parts/panel.tsx";
import { ChannelList, newestFirst } from "./channel-list.tsx";
import { ALARMS, ThreadView } from "./thread.tsx";

/** The channel in which the bus reports how commands ended. */
const ACTIVITY = "activity";

/** The list of channels beside the open one. A narrow window shows only one of the two. */
export function Channels() {
  const { state, place, thread } = useBoard("channels", "place", "thread");
  const { channel } = place;

  useEffect(() => {
    if (channel !== undefined) thread.open(channel);
  }, [channel]);

  // A page without a chosen channel opens the newest one.
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
          <EmptyNote>
            What is sent is read here. <code>el-ipc send CHANNEL SENDER TEXT</code> sends something.
          </EmptyNote>
        ) : (
          <ThreadView key={thread.channel} channel={thread.channel} onBack={leave} />
        )}
      </div>
    </Panel>
  );
}
