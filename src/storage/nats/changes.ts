import type { Changes } from "../../core/store.ts";
import { fieldsOf, textIn } from "./fields.ts";
import type { StreamKind } from "./names.ts";
import { scan } from "./scan.ts";
import type { Streams } from "./streams.ts";

/** What each holds that is no message. */
const OTHERS: readonly StreamKind[] = ["readers", "agents", "sessions"];

/** Each stream says how far it is; only of new messages more is asked. One's own are told too. */
export function createChanges(streams: Streams): () => Promise<Changes | undefined> {
  let known: readonly number[] | undefined;

  return async () => {
    const [newest = 0, ...others] = await Promise.all((["messages", ...OTHERS] as const).map(streams.lastSeq));
    const before = known;
    known = [newest, ...others];
    if (before === undefined) return undefined;
    const [from = 0, ...othersBefore] = before;
    // A stream that is younger than what was known of it was made anew.
    if (newest < from) return undefined;
    const changed = others.some((seq, index) => seq !== othersBefore[index]);
    return { channels: newest === from ? [] : await channelsBetween(streams, from, newest), others: changed };
  };
}

async function channelsBetween(streams: Streams, from: number, to: number): Promise<readonly string[]> {
  const channels = new Set<string>();
  const range = { subject: streams.names.everyMessage, from: from + 1, headersOnly: true };
  for await (const { seq, fields } of scan(streams, "messages", range)) {
    if (seq > to) break;
    channels.add(textIn(fieldsOf(fields), "channel"));
  }
  return [...channels];
}
