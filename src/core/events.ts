import type { Bus } from "./bus.ts";
import type { Reading } from "./readings.ts";
import { createSamples, type Sample } from "./samples.ts";
import type { JournalEntry, Order, Peer, Signal } from "./session-store.ts";
import { type Status, statusOf } from "./status.ts";
import type { StoredMessage } from "./store.ts";
import { waiting } from "./waiting.ts";
import { EVERYTHING } from "./wakeup.ts";

/** How far a watcher is: in the messages, and in the journal of everything else. As text: `<message id>.<journal number>`. */
export interface Cursor {
  readonly message: number;
  readonly entry: number;
}

/** What happened; `subject` is as it is now, and undefined where it is gone. */
export type Happening =
  | Sample
  | { readonly kind: "snapshot"; readonly status: Status; readonly readings: readonly Reading[] }
  | { readonly kind: "message"; readonly message: StoredMessage }
  | { readonly kind: "peer"; readonly what: string; readonly key: string; readonly subject: Peer | undefined }
  | { readonly kind: "order"; readonly what: string; readonly key: string; readonly subject: Order | undefined }
  | { readonly kind: "signal"; readonly what: string; readonly key: string; readonly subject: Signal | undefined };

export interface BusEvent {
  /** Where a watcher that lost its connection goes on from. */
  readonly id: string;
  readonly at: number;
  readonly happening: Happening;
}

const BATCH = 200;

/**
 * First all that is, then each change, without a gap in between. From a cursor on only what came after it, where that is
 * still known; where it isn't, now or later, all that is once more.
 */
export async function* events(
  bus: Bus,
  since: Cursor | undefined,
  signal: AbortSignal,
): AsyncGenerator<BusEvent, void, void> {
  let samples = createSamples(bus);
  let at = since;

  const begin = async (): Promise<readonly Change[]> => {
    const cursor = await currentCursor(bus);
    const status = await statusOf(bus);
    samples = createSamples(bus);
    let readings: readonly Reading[] = [];
    for (const sample of await samples.take(cursor.message)) if (sample.kind === "readings") readings = sample.readings;
    return [{ cursor, at: bus.now(), happening: { kind: "snapshot", status, readings } }];
  };

  const look = async (): Promise<readonly Change[] | undefined> => {
    const changes = at && (await changesAfter(bus, at));
    if (at === undefined || changes === undefined) return begin();
    const cursor = changes.at(-1)?.cursor ?? at;
    const sampled = await samples.take(cursor.message);
    const found = [...changes, ...sampled.map((happening) => ({ cursor, at: bus.now(), happening }))];
    return found.length > 0 ? found : undefined;
  };

  const pause = async () => samples.pause();
  for await (const changes of waiting({ wakeup: bus.wakeup, topic: EVERYTHING, signal, pause }, look)) {
    for (const { cursor, ...event } of changes) {
      at = cursor;
      yield { id: textOf(cursor), ...event };
    }
  }
}

interface Change extends Omit<BusEvent, "id"> {
  readonly cursor: Cursor;
}

/**
 * Messages first: an order's end is told after the entry in the channel of activity that it made. Undefined where some of
 * what changed is not known any more.
 */
async function changesAfter(bus: Bus, from: Cursor): Promise<readonly Change[] | undefined> {
  const messages = await bus.store.messages.everyAfter(from.message, BATCH);
  const entries = await bus.store.journal.after(from.entry, BATCH);
  if (entries === undefined) return undefined;
  let cursor = from;
  const told: Change[] = [];
  for (const message of messages) {
    cursor = { ...cursor, message: message.id };
    told.push({ cursor, at: message.timestamp, happening: { kind: "message", message } });
  }
  for (const entry of entries) {
    cursor = { ...cursor, entry: entry.seq };
    told.push({ cursor, at: entry.at, happening: await happeningOf(bus, entry) });
  }
  return told;
}

async function currentCursor(bus: Bus): Promise<Cursor> {
  return { entry: await bus.store.journal.last(), message: await bus.store.messages.lastId() };
}

async function happeningOf(bus: Bus, { kind, key, what }: JournalEntry): Promise<Happening> {
  const { peers, orders, signals } = bus.store;
  if (kind === "peer") return { kind, what, key, subject: await peers.find(key) };
  if (kind === "order") return { kind, what, key, subject: await orders.find(key) };
  return { kind, what, key, subject: await signals.get(key) };
}

function textOf({ message, entry }: Cursor): string {
  return `${message}.${entry}`;
}

/** Reads a cursor's text; undefined for anything else. */
export function cursorOf(text: string): Cursor | undefined {
  const [, message, entry] = /^(\d{1,15})\.(\d{1,15})$/.exec(text) ?? [];
  return message === undefined ? undefined : { message: Number(message), entry: Number(entry) };
}
