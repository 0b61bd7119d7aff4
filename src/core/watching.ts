import { canSee, type Identity, isSecure } from "./access.ts";
import type { Bus } from "./bus.ts";
import { findCommands } from "./commands.ts";
import { isAlive } from "./sessions.ts";
import type {
  ChannelSummary,
  Command,
  Envelope,
  JournalEntry,
  Session,
  Signal,
  StoredMessage,
  Watermark,
} from "./store.ts";
import { monotonicMs } from "./time.ts";
import { ANY_CHANGE, waiting } from "./waiting.ts";

/** How far an agent has read a channel. */
export interface ReadProgress extends Watermark {
  /** How many messages it hasn't consumed; MAX_UNREAD stands for that many or more. */
  readonly unread: number;
}

const MAX_UNREAD = 1_000;

/** Whoever watches the whole bus is told of so many at most, those that are furthest first. */
const MAX_READINGS = 1_000;

/** Those whose watermark isn't what it was when this was last asked. `upTo`: unread messages are counted up to this one. */
export function createReadTracker(bus: Bus): (upTo: number) => Promise<readonly ReadProgress[]> {
  let known = new Map<string, number>();
  return async (upTo) => {
    const watermarks = await bus.store.messages.watermarks(MAX_READINGS);
    const moved = watermarks.filter((watermark) => known.get(keyOf(watermark)) !== watermark.lastId);
    known = new Map(watermarks.map((watermark) => [keyOf(watermark), watermark.lastId]));
    return Promise.all(moved.map((watermark) => readProgressOf(bus, watermark, upTo)));
  };
}

async function readProgressOf(bus: Bus, watermark: Watermark, upTo: number): Promise<ReadProgress> {
  const { channel, lastId } = watermark;
  return { ...watermark, unread: await bus.store.messages.count(channel, lastId, upTo, MAX_UNREAD) };
}

/** No name holds a line feed. */
function keyOf({ channel, agent }: Watermark): string {
  return `${channel}\n${agent}`;
}

/** What changes too often to be written down each time is looked at now and then. */
export type Sample =
  | { readonly kind: "peers"; readonly peers: readonly Session[] }
  /** Those with fewer messages than before; none of all that are left out. */
  | { readonly kind: "pruned"; readonly channels: readonly ChannelSummary[] }
  | { readonly kind: "readings"; readonly readings: readonly ReadProgress[] };

export interface Samples {
  /** What is otherwise than it was told last, as far as it is time to look. `upTo`: the last message that was told. */
  take(upTo: number): Promise<readonly Sample[]>;
  /** Milliseconds until it is time again. */
  pause(): number;
}

const SLOW_MS = 15_000;
const READINGS_MS = 1_000;

export function createSamples(bus: Bus): Samples {
  const readings = createReadTracker(bus);
  let seen = new Map<string, string>();
  let counts = new Map<string, number>();
  let slowDue = 0;
  let readingsDue = 0;
  let early = false;

  const peersSeen = async (): Promise<readonly Session[]> => {
    const peers = await bus.store.sessions.list();
    const states = new Map(peers.map((peer) => [peer.id, `${peer.lastSeen} ${isAlive(peer, bus.now())}`]));
    const changed = peers.filter(({ id }) => seen.get(id) !== states.get(id));
    seen = states;
    return changed;
  };

  /** Undefined where a message has come that wasn't told yet: it is counted already. */
  const pruned = async (upTo: number): Promise<readonly ChannelSummary[] | undefined> => {
    const channels = await bus.store.messages.channels();
    if ((await bus.store.messages.lastId()) > upTo) return undefined;
    const before = counts;
    counts = new Map(channels.map(({ channel, count }) => [channel, count]));
    const fewer = channels.filter(({ channel, count }) => count < (before.get(channel) ?? 0));
    const gone = [...before.keys()].filter((channel) => !counts.has(channel));
    return [...fewer, ...gone.map((channel) => ({ channel, count: 0, lastMessage: 0 }))];
  };

  return {
    async take(upTo) {
      const now = monotonicMs();
      const taken: Sample[] = [];
      early = now < readingsDue;
      if (!early) {
        readingsDue = now + READINGS_MS;
        const moved = await readings(upTo);
        if (moved.length > 0) taken.push({ kind: "readings", readings: moved });
      }
      if (now >= slowDue) {
        slowDue = now + SLOW_MS;
        const peers = await peersSeen();
        if (peers.length > 0) taken.push({ kind: "peers", peers });
        const channels = await pruned(upTo);
        if (channels === undefined) slowDue = now + READINGS_MS;
        else if (channels.length > 0) taken.push({ kind: "pruned", channels });
      }
      return taken;
    },
    pause: () => Math.max(1, (early ? Math.min(readingsDue, slowDue) : slowDue) - monotonicMs()),
  };
}

const MAX_ORDERS = 200;

/** All that is on the bus, but for what messages say. */
export async function getStatus(bus: Bus) {
  const { sessions: peers, signals, messages } = bus.store;
  const now = bus.now();
  return {
    now,
    secure_mode: await isSecure(bus),
    peers: await peers.list(),
    commands: await findCommands(bus, { limit: MAX_ORDERS }),
    signals: await signals.list(),
    channels: await messages.channels(),
  };
}

export type Status = Awaited<ReturnType<typeof getStatus>>;

/** How far a watcher is: in the messages, and in the journal of everything else. As text: `<message id>.<journal number>`. */
export interface Cursor {
  readonly message: number;
  readonly entry: number;
}

/** What happened; `subject` is as it is now, and undefined where it is gone. */
export type EventBody =
  | Sample
  | { readonly kind: "snapshot"; readonly status: Status; readonly readings: readonly ReadProgress[] }
  | { readonly kind: "message"; readonly message: StoredMessage }
  | { readonly kind: "peer"; readonly what: string; readonly key: string; readonly subject: Session | undefined }
  | { readonly kind: "order"; readonly what: string; readonly key: string; readonly subject: Command | undefined }
  | { readonly kind: "signal"; readonly what: string; readonly key: string; readonly subject: Signal | undefined };

export interface BusEvent {
  /** Where a watcher that lost its connection goes on from. */
  readonly id: string;
  readonly at: number;
  readonly body: EventBody;
}

const BATCH = 200;

/**
 * First all that is, then each change, without a gap in between. From a cursor on only what came after it, where that is
 * still known; where it isn't, now or later, all that is once more.
 */
export async function* streamEvents(
  bus: Bus,
  since: Cursor | undefined,
  signal: AbortSignal,
): AsyncGenerator<BusEvent, void, void> {
  let samples = createSamples(bus);
  let at = since;

  const begin = async (): Promise<readonly Change[]> => {
    const cursor = await currentCursor(bus);
    const status = await getStatus(bus);
    samples = createSamples(bus);
    let readings: readonly ReadProgress[] = [];
    for (const sample of await samples.take(cursor.message)) if (sample.kind === "readings") readings = sample.readings;
    return [{ cursor, at: bus.now(), body: { kind: "snapshot", status, readings } }];
  };

  const look = async (): Promise<readonly Change[] | undefined> => {
    const changes = at && (await changesAfter(bus, at));
    if (at === undefined || changes === undefined) return begin();
    const cursor = changes.at(-1)?.cursor ?? at;
    const sampled = await samples.take(cursor.message);
    const found = [...changes, ...sampled.map((body) => ({ cursor, at: bus.now(), body }))];
    return found.length > 0 ? found : undefined;
  };

  const pause = async () => samples.pause();
  for await (const changes of waiting({ wakeup: bus.wakeup, topic: ANY_CHANGE, signal, pause }, look)) {
    for (const { cursor, ...event } of changes) {
      at = cursor;
      yield { id: formatCursor(cursor), ...event };
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
  const messages = await bus.store.messages.allAfter(from.message, BATCH);
  const entries = await bus.store.journal.after(from.entry, BATCH);
  if (entries === undefined) return undefined;
  let cursor = from;
  const told: Change[] = [];
  for (const message of messages) {
    cursor = { ...cursor, message: message.id };
    told.push({ cursor, at: message.timestamp, body: { kind: "message", message } });
  }
  for (const entry of entries) {
    cursor = { ...cursor, entry: entry.seq };
    told.push({ cursor, at: entry.at, body: await happeningOf(bus, entry) });
  }
  return told;
}

async function currentCursor(bus: Bus): Promise<Cursor> {
  return { entry: await bus.store.journal.last(), message: await bus.store.messages.lastId() };
}

async function happeningOf(bus: Bus, { kind, key, what }: JournalEntry): Promise<EventBody> {
  const { sessions: peers, commands: orders, signals } = bus.store;
  if (kind === "peer") return { kind, what, key, subject: await peers.find(key) };
  if (kind === "order") return { kind, what, key, subject: await orders.find(key) };
  return { kind, what, key, subject: await signals.get(key) };
}

function formatCursor({ message, entry }: Cursor): string {
  return `${message}.${entry}`;
}

/** Reads a cursor's text; undefined for anything else. */
export function parseCursor(text: string): Cursor | undefined {
  const [, message, entry] = /^(\d{1,15})\.(\d{1,15})$/.exec(text) ?? [];
  return message === undefined ? undefined : { message: Number(message), entry: Number(entry) };
}

export interface MinuteCount {
  /** When the minute begins, in seconds since 1970. */
  readonly ts: number;
  readonly count: number;
}

export interface Flow {
  readonly from: string;
  readonly channel: string;
  readonly count: number;
}

/** How much was sent in the last minutes, and by whom to where. */
export interface Traffic {
  /** The newest message that is counted. */
  readonly up_to: number;
  /** Only minutes with messages, oldest first. */
  readonly minutes: readonly MinuteCount[];
  /** The largest first. */
  readonly flows: readonly Flow[];
}

/** More than these would say no more in a picture. */
const MAX_MESSAGES = 20_000;
const MAX_FLOWS = 500;

/** Of the channels that whoever asks may see. */
export async function getTraffic(bus: Bus, minutes: number, asker: Identity | undefined): Promise<Traffic> {
  const upTo = await bus.store.messages.lastId();
  const envelopes = await bus.store.messages.recent(bus.now() - minutes * 60, MAX_MESSAGES);
  const counted = envelopes.filter(({ id, channel }) => id <= upTo && canSee(channel, asker));
  return { up_to: upTo, minutes: byMinute(counted), flows: byFlow(counted) };
}

function byMinute(envelopes: readonly Envelope[]): readonly MinuteCount[] {
  const counts = new Map<number, number>();
  for (const { timestamp } of envelopes) {
    const minute = Math.floor(timestamp / 60) * 60;
    counts.set(minute, (counts.get(minute) ?? 0) + 1);
  }
  return [...counts].map(([ts, count]) => ({ ts, count })).sort((a, b) => a.ts - b.ts);
}

function byFlow(envelopes: readonly Envelope[]): readonly Flow[] {
  const flows = new Map<string, Flow>();
  for (const { sender, channel } of envelopes) {
    const key = `${sender}\n${channel}`;
    flows.set(key, { from: sender, channel, count: (flows.get(key)?.count ?? 0) + 1 });
  }
  return [...flows.values()].sort((a, b) => b.count - a.count).slice(0, MAX_FLOWS);
}
