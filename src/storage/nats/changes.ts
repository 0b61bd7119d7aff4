import type { Store } from "../../core/store.ts";
import { fieldsOf, textIn } from "./fields.ts";
import type { StreamKind } from "./names.ts";
import { scan } from "./scan.ts";
import type { Streams } from "./streams.ts";

/** What each holds that is no message. */
const OTHERS: readonly StreamKind[] = ["readers", "agents", "sessions"];

/** Each stream says how far it is; only of new messages more is asked. One's own are told too. */
export function createChanges(streams: Streams): Store["changes"] {
  const known = new Map<StreamKind, number>();

  /** How far a stream has come, and how far it had. */
  const progress = async (kind: StreamKind) => {
    const newest = await streams.lastSeq(kind);
    const before = known.get(kind);
    known.set(kind, newest);
    return { newest, before };
  };

  return async (of) => {
    const [{ newest, before }, ...others] = await Promise.all([
      progress("messages"),
      ...(of === "messages" ? [] : OTHERS.map(progress)),
    ]);
    // A stream that is younger than what was known of it was made anew.
    if (before === undefined || newest < before) return undefined;
    const changed = others.some((other) => other.newest !== other.before);
    return { channels: newest === before ? [] : await channelsBetween(streams, before, newest), others: changed };
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
