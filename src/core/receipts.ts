import type { Bus } from "./bus.ts";
import { notFound } from "./errors.ts";
import { waiting } from "./waiting.ts";
import { readingOf } from "./wakeup.ts";

/** Who has consumed a message, as the watermarks say. */
export interface Receipts {
  readonly id: number;
  readonly channel: string;
  readonly sender: string;
  readonly read_by: readonly string[];
  /** Those who read the channel and haven't come so far. */
  readonly unread_by: readonly string[];
}

export async function receipts(bus: Bus, id: number): Promise<Receipts> {
  const message = await bus.store.messages.find(id);
  if (message === undefined) throw notFound(`There is no message ${id}`);
  const { channel, sender } = message;
  const readers = await bus.store.messages.readers(channel);
  return {
    id,
    channel,
    sender,
    read_by: readers.filter(({ lastId }) => lastId >= id).map(({ agent }) => agent),
    unread_by: readers.filter(({ lastId }) => lastId < id).map(({ agent }) => agent),
  };
}

/** The receipts as soon as the agent has consumed the message; as they are when the time is up. */
export async function receiptsOnceRead(
  bus: Bus,
  { id, agent, seconds }: { id: number; agent: string; seconds: number | undefined },
  signal: AbortSignal,
): Promise<Receipts> {
  const { channel } = await receipts(bus, id);
  const look = async () => {
    const now = await receipts(bus, id);
    return now.read_by.includes(agent) ? now : undefined;
  };
  const milliseconds = seconds === undefined ? undefined : seconds * 1_000;
  for await (const read of waiting({ wakeup: bus.wakeup, topic: readingOf(channel), signal, milliseconds }, look))
    return read;
  return receipts(bus, id);
}
