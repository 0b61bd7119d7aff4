import { BATCH_BYTES } from "../../core/limits.ts";
import type { NewMessage, Store, StoredMessage } from "../../core/store.ts";
import { fieldsOf, numberIn, textIn } from "./fields.ts";
import type { StreamKind } from "./names.ts";
import type { Published } from "./publishing.ts";
import { scan } from "./scan.ts";
import type { Stored, Streams } from "./streams.ts";

export async function appendMessage(
  streams: Streams,
  { channel, sender, content, timestamp, signature, attested }: NewMessage,
  id: string,
  more: object = {},
): Promise<Exclude<Published, "conflict">> {
  const fields = {
    channel,
    sender,
    at: timestamp,
    ...(signature !== "" && { signature }),
    ...(attested && { attested }),
    ...more,
  };
  const published = await streams.publish("messages", streams.names.message(channel), { id, fields, data: content });
  if (published === "conflict") throw new Error("a message that expected nothing met something else");
  return published;
}

export async function* messagesAfter(
  streams: Streams,
  subject: string,
  id: number,
  enough = 1_000,
): AsyncGenerator<StoredMessage> {
  if (id >= Number.MAX_SAFE_INTEGER) return;
  for await (const found of scan(streams, "messages", { subject, from: id + 1, enough })) yield asMessage(found);
}

/** As many as a reader should get at once: so many, and no more bytes than a batch holds, but one at least. */
export async function batch(
  found: AsyncIterable<StoredMessage>,
  limit: number,
  wanted: (message: StoredMessage) => boolean = () => true,
): Promise<readonly StoredMessage[]> {
  const messages: StoredMessage[] = [];
  let bytes = 0;
  if (limit <= 0) return messages;
  for await (const message of found) {
    if (!wanted(message)) continue;
    bytes += Buffer.byteLength(message.content);
    if (messages.length > 0 && bytes > BATCH_BYTES) break;
    messages.push(message);
    if (messages.length === limit) break;
  }
  return messages;
}

export function senderIn(fields: unknown): string {
  return textIn(fieldsOf(fields), "sender");
}

export function timestampIn(fields: unknown): number {
  return numberIn(fieldsOf(fields), "at");
}

export function asMessage({ seq, fields, data }: Stored): StoredMessage {
  const said = fieldsOf(fields);
  return {
    id: seq,
    channel: textIn(said, "channel"),
    sender: textIn(said, "sender"),
    content: Buffer.from(data).toString(),
    timestamp: numberIn(said, "at"),
    signature: textIn(said, "signature"),
    attested: said.attested === true,
  };
}

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
