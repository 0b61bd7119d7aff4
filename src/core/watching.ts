import { type Caller, canSee, isSecure, visibleTo } from "./access.ts";
import type { Bus } from "./bus.ts";
import { getCommands } from "./commands.ts";
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
import { ANY_CHANGE, waitForEach } from "./waiting.ts";

const MAX_COMMANDS = 200;

/** The state of the bus without messages, as far as the caller may see it. */
export async function getStatus(bus: Bus, caller: Caller) {
  const { sessions, signals, messages } = bus.store;
  const now = bus.now();
  return {
    now,
    isSecure: await isSecure(bus),
    sessions: await sessions.list(),
    commands: await getCommands(bus, { limit: MAX_COMMANDS }),
    signals: await signals.list(),
    channels: visibleTo(caller, await messages.channels()),
  };
}

export type Status = Awaited<ReturnType<typeof getStatus>>;

export interface ReadProgress extends Watermark {
  /** Counted up to MAX_UNREAD. */
  readonly unread: number;
}

const MAX_UNREAD = 1_000;

/** The furthest come first. */
const MAX_WATERMARKS = 1_000;

/** The tracker answers with the watermarks moved since its last call, and counts unread messages up to `upTo`. */
function createReadTracker(bus: Bus): (upTo: number) => Promise<readonly ReadProgress[]> {
  let known = new Map<string, number>();
  return async (upTo) => {
    const watermarks = await bus.store.messages.watermarks(MAX_WATERMARKS);
    const moved = watermarks.filter((watermark) => known.get(keyOf(watermark)) !== watermark.lastId);
    known = new Map(watermarks.map((watermark) => [keyOf(watermark), watermark.lastId]));
    return Promise.all(moved.map((watermark) => readProgressOf(bus, watermark, upTo)));
  };
}

async function readProgressOf(bus: Bus, watermark: Watermark, upTo: number): Promise<ReadProgress> {
  const { channel, lastId } = watermark;
  return { ...watermark, unread: await bus.store.messages.count(channel, lastId, upTo, MAX_UNREAD) };
}

/** Unambiguous, since no name holds a line feed. */
function keyOf({ channel, agent }: Watermark): string {
  return `${channel}\n${agent}`;
}

/** Changes too frequent for the journal, so they are sampled. */
export type Sample =
  | { readonly kind: "sessions"; readonly sessions: readonly Session[] }
  /** Channels with fewer messages than before. */
  | { readonly kind: "pruned"; readonly channels: readonly ChannelSummary[] }
  | { readonly kind: "readings"; readonly readings: readonly ReadProgress[] };

const SLOW_MS = 15_000;
const READINGS_MS = 1_000;

function createSampler(bus: Bus) {
  const takeReadings = createReadTracker(bus);
  let seen = new Map<string, string>();
  let counts = new Map<string, number>();
  let slowDue = 0;
  let readingsDue = 0;
  let early = false;

  const takeSessions = async (): Promise<readonly Session[]> => {
    const sessions = await bus.store.sessions.list();
    const states = new Map(
      sessions.map((session) => [session.id, `${session.lastSeen} ${isAlive(session, bus.now())}`]),
    );
    const changed = sessions.filter(({ id }) => seen.get(id) !== states.get(id));
    seen = states;
    return changed;
  };

  /** Undefined if there is a message that wasn't yielded yet: the counts include it already. */
  const takePruned = async (upTo: number): Promise<readonly ChannelSummary[] | undefined> => {
    const channels = await bus.store.messages.channels();
    if ((await bus.store.messages.lastId()) > upTo) return undefined;
    const before = counts;
    counts = new Map(channels.map(({ channel, count }) => [channel, count]));
    const fewer = channels.filter(({ channel, count }) => count < (before.get(channel) ?? 0));
    const gone = [...before.keys()].filter((channel) => !counts.has(channel));
    return [...fewer, ...gone.map((channel) => ({ channel, count: 0, lastMessage: 0 }))];
  };

  return {
    /** The changes since the last call, as far as sampling is due. `upTo`: the last message that was yielded. */
    async take(upTo: number): Promise<readonly Sample[]> {
      const now = monotonicMs();
      const samples: Sample[] = [];
      early = now < readingsDue;
      if (!early) {
        readingsDue = now + READINGS_MS;
        const readings = await takeReadings(upTo);
        if (readings.length > 0) samples.push({ kind: "readings", readings });
      }
      if (now >= slowDue) {
        slowDue = now + SLOW_MS;
        const sessions = await takeSessions();
        if (sessions.length > 0) samples.push({ kind: "sessions", sessions });
        const channels = await takePruned(upTo);
        if (channels === undefined) slowDue = now + READINGS_MS;
        else if (channels.length > 0) samples.push({ kind: "pruned", channels });
      }
      return samples;
    },
    /** Milliseconds until the next sample is due. */
    pause: () => Math.max(1, (early ? Math.min(readingsDue, slowDue) : slowDue) - monotonicMs()),
  };
}

/** A watcher's position in the messages and in the journal. As text: `<message id>.<journal number>`. */
export interface Cursor {
  readonly message: number;
  readonly entry: number;
}

/** A subject is in its current state; undefined if it is gone. */
export type EventBody =
  | Sample
  | { readonly kind: "snapshot"; readonly status: Status; readonly readings: readonly ReadProgress[] }
  | { readonly kind: "message"; readonly message: StoredMessage }
  | { readonly kind: "session"; readonly what: string; readonly key: string; readonly subject: Session | undefined }
  | { readonly kind: "command"; readonly what: string; readonly key: string; readonly subject: Command | undefined }
  | { readonly kind: "signal"; readonly what: string; readonly key: string; readonly subject: Signal | undefined };

export interface BusEvent {
  /** The cursor from which a watcher can continue after it lost its connection. */
  readonly id: string;
  readonly at: number;
  readonly body: EventBody;
}

const BATCH = 200;

/**
 * Yields a snapshot, then each change, without a gap, as far as the caller may see them. From a cursor on it yields only
 * later changes; where those are no longer known, a snapshot again.
 */
export async function* streamEvents(
  bus: Bus,
  since: Cursor | undefined,
  caller: Caller,
  signal: AbortSignal,
): AsyncGenerator<BusEvent, void, void> {
  let sampler = createSampler(bus);
  let position = since;

  const begin = async (): Promise<readonly Change[]> => {
    const cursor = await currentCursor(bus);
    const status = await getStatus(bus, caller);
    sampler = createSampler(bus);
    const samples = await sampler.take(cursor.message);
    const readings = samples.flatMap((sample) => (sample.kind === "readings" ? sample.readings : []));
    return [{ cursor, at: bus.now(), body: { kind: "snapshot", status, readings } }];
  };

  const look = async (): Promise<readonly Change[] | undefined> => {
    const changes = position && (await changesAfter(bus, position));
    if (position === undefined || changes === undefined) return begin();
    const cursor = changes.at(-1)?.cursor ?? position;
    const samples = await sampler.take(cursor.message);
    const found = [...changes, ...samples.map((body) => ({ cursor, at: bus.now(), body }))];
    return found.length > 0 ? found : undefined;
  };

  const pause = async () => sampler.pause();
  for await (const changes of waitForEach(bus, { topic: ANY_CHANGE, signal, pause }, look)) {
    for (const { cursor, at, body } of changes) {
      position = cursor;
      const visible = visibleBody(body, caller);
      if (visible !== undefined) yield { id: formatCursor(cursor), at, body: visible };
    }
  }
}

interface Change {
  readonly cursor: Cursor;
  readonly at: number;
  readonly body: EventBody;
}

/** The body without anything that the caller may not see; undefined for a hidden message. */
function visibleBody(body: EventBody, caller: Caller): EventBody | undefined {
  switch (body.kind) {
    case "message":
      return canSee(body.message.channel, caller.identity) ? body : undefined;
    case "pruned":
      return { ...body, channels: visibleTo(caller, body.channels) };
    case "readings":
    case "snapshot":
      return { ...body, readings: visibleTo(caller, body.readings) };
    default:
      return body;
  }
}

/** Undefined if some changes are no longer known. Messages come first: a command's end follows its activity message. */
async function changesAfter(bus: Bus, from: Cursor): Promise<readonly Change[] | undefined> {
  const messages = await bus.store.messages.allAfter(from.message, BATCH);
  const entries = await bus.store.journal.after(from.entry, BATCH);
  if (entries === undefined) return undefined;
  let cursor = from;
  const changes: Change[] = [];
  for (const message of messages) {
    cursor = { ...cursor, message: message.id };
    changes.push({ cursor, at: message.timestamp, body: { kind: "message", message } });
  }
  for (const entry of entries) {
    cursor = { ...cursor, entry: entry.seq };
    changes.push({ cursor, at: entry.at, body: await bodyOf(bus, entry) });
  }
  return changes;
}

async function currentCursor(bus: Bus): Promise<Cursor> {
  return { entry: await bus.store.journal.last(), message: await bus.store.messages.lastId() };
}

async function bodyOf(bus: Bus, { kind, key, what }: JournalEntry): Promise<EventBody> {
  const { sessions, commands, signals } = bus.store;
  if (kind === "peer") return { kind: "session", what, key, subject: await sessions.find(key) };
  if (kind === "order") return { kind: "command", what, key, subject: await commands.find(key) };
  return { kind, what, key, subject: await signals.get(key) };
}

function formatCursor({ message, entry }: Cursor): string {
  return `${message}.${entry}`;
}

export function parseCursor(text: string): Cursor | undefined {
  const [, message, entry] = /^(\d{1,15})\.(\d{1,15})$/.exec(text) ?? [];
  return message === undefined ? undefined : { message: Number(message), entry: Number(entry) };
}

export interface Traffic {
  /** The newest message counted. */
  readonly up_to: number;
  /** Only minutes with messages, oldest first. Each begins at `ts`, in seconds since 1970. */
  readonly minutes: readonly { readonly ts: number; readonly count: number }[];
  /** The largest first. */
  readonly flows: readonly { readonly from: string; readonly channel: string; readonly count: number }[];
}

const MAX_MESSAGES = 20_000;
const MAX_FLOWS = 500;

/** The traffic in the channels that the caller may see. */
export async function getTraffic(bus: Bus, minutes: number, caller: Caller): Promise<Traffic> {
  const upTo = await bus.store.messages.lastId();
  const envelopes = await bus.store.messages.recent(bus.now() - minutes * 60, MAX_MESSAGES);
  const counted = visibleTo(caller, envelopes).filter(({ id }) => id <= upTo);
  return { up_to: upTo, minutes: byMinute(counted), flows: byFlow(counted) };
}

function byMinute(envelopes: readonly Envelope[]): Traffic["minutes"] {
  const counts = new Map<number, number>();
  for (const { timestamp } of envelopes) {
    const minute = Math.floor(timestamp / 60) * 60;
    counts.set(minute, (counts.get(minute) ?? 0) + 1);
  }
  return [...counts].map(([ts, count]) => ({ ts, count })).sort((a, b) => a.ts - b.ts);
}

function byFlow(envelopes: readonly Envelope[]): Traffic["flows"] {
  const flows = new Map<string, { from: string; channel: string; count: number }>();
  for (const { sender, channel } of envelopes) {
    const key = `${sender}\n${channel}`;
    flows.set(key, { from: sender, channel, count: (flows.get(key)?.count ?? 0) + 1 });
  }
  return [...flows.values()].sort((a, b) => b.count - a.count).slice(0, MAX_FLOWS);
}
