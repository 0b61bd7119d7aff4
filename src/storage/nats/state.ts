import { isJsonObject } from "../../core/json.ts";
import type { Command, JournalEntry, Session, Signal } from "../../core/store.ts";
import type { Payload } from "./payloads.ts";

/** `seq` numbers commands in the order they were sent. */
export interface CommandRecord extends Omit<Command, "params" | "result"> {
  readonly seq: number;
  readonly params: Payload;
  readonly result: Payload;
}

/** `since`: the journal's number when the session connected. */
export type SessionRecord = Session & { readonly since: number };

/** `since`: the journal's number when the signal was set. */
export interface SignalRecord extends Omit<Signal, "data"> {
  readonly since: number;
  readonly data: Payload;
}

/** Stays in the outbox until a process has done the work. */
export interface OutboxEntry {
  readonly id: string;
  readonly at: number;
  /** The journal's number before the step. Later entries stay hidden until this work is done. */
  readonly entry: number;
  readonly message?: OutboxMessage;
  readonly purge?: OutboxPurge;
}

export interface OutboxMessage {
  readonly channel: string;
  readonly sender: string;
  readonly content: Payload;
  readonly timestamp: number;
  /** The newest message before the step. */
  readonly after: number;
}

export interface OutboxPurge {
  readonly upTo: number;
  readonly keptChannel: string;
}

/**
 * A change as the log stores it. The log keeps the names that it began with (`peer`, `order`, `errand`). `what` goes into
 * the journal; a change without it has no entry.
 */
export type Change =
  | { readonly of: "peer"; readonly key: string; readonly to: SessionRecord | null; readonly what?: string }
  | { readonly of: "order"; readonly key: string; readonly to: CommandRecord | null; readonly what?: string }
  | { readonly of: "signal"; readonly key: string; readonly to: SignalRecord | null; readonly what?: string }
  | { readonly of: "errand"; readonly key: string; readonly to: OutboxEntry | null }
  | Reset;

/** Removes all commands up to one number, and all sessions and signals up to another of the journal. */
export interface Reset {
  readonly of: "journal";
  readonly what: "reset";
  readonly placed: number;
  readonly entry: number;
}

/** One message of the log: the changes of one step, or of several that came together. */
export interface LogEvent {
  readonly id: string;
  /** The sequence of the event before it; 0 for the first. */
  readonly after: number;
  /** The id of the event before it: a server that has lost its last events gives their sequences again. */
  readonly follows: string;
  /** The journal's number before it. */
  readonly entry: number;
  readonly at: number;
  readonly changes: readonly Change[];
}

/** The state that the log's changes add up to, as a step sees it. */
export interface State {
  readonly sessions: ReadonlyMap<string, SessionRecord>;
  readonly commands: ReadonlyMap<string, CommandRecord>;
  readonly openCommands: ReadonlyMap<string, CommandRecord>;
  readonly signals: ReadonlyMap<string, SignalRecord>;
  readonly outbox: ReadonlyMap<string, OutboxEntry>;
  /** The journal's last number. */
  readonly entry: number;
  /** The last number of a command. */
  readonly placed: number;
  /** The journal's number at the last reset: earlier entries are hidden. */
  readonly forgotten: number;
  /** The end of the journal, as far as it is in memory. */
  readonly entries: readonly JournalEntry[];
  snapshot(): Snapshot;
}

/** The state as it is stored, without its derived parts. */
export interface Snapshot {
  readonly entry: number;
  readonly placed: number;
  readonly forgotten: number;
  readonly peers: readonly SessionRecord[];
  readonly orders: readonly CommandRecord[];
  readonly signals: readonly SignalRecord[];
  readonly errands: readonly OutboxEntry[];
}

export type Undo = () => void;

/** Entries in memory, at most; older ones are read from the log again. */
const MAX_ENTRIES = 20_000;

export class MutableState implements State {
  readonly sessions = new Map<string, SessionRecord>();
  readonly commands = new Map<string, CommandRecord>();
  readonly openCommands = new Map<string, CommandRecord>();
  readonly signals = new Map<string, SignalRecord>();
  readonly outbox = new Map<string, OutboxEntry>();
  entry = 0;
  placed = 0;
  forgotten = 0;
  entries: JournalEntry[] = [];

  apply(change: Change, at: number): Undo {
    const undo = this.#applyRecord(change);
    const entry = journalOf(change);
    if (entry === undefined) return undo;
    this.entry++;
    this.entries.push({ seq: this.entry, at, ...entry });
    return () => {
      this.entries.pop();
      this.entry--;
      undo();
    };
  }

  #applyRecord(change: Change): Undo {
    if (change.of === "peer") return put(this.sessions, change.key, change.to);
    if (change.of === "order") return this.#putCommand(change.key, change.to);
    if (change.of === "signal") return put(this.signals, change.key, change.to);
    if (change.of === "errand") return put(this.outbox, change.key, change.to);
    return this.#reset(change);
  }

  #putCommand(key: string, command: CommandRecord | null): Undo {
    const { placed } = this;
    this.placed = Math.max(placed, command?.seq ?? 0);
    const isOpen = command?.status === "pending" || command?.status === "leased";
    const undos = [put(this.commands, key, command), put(this.openCommands, key, isOpen ? command : null)];
    return () => {
      this.placed = placed;
      for (const undo of undos) undo();
    };
  }

  #reset({ placed, entry }: Reset): Undo {
    const { forgotten, commands, sessions, signals } = this;
    this.forgotten = this.entry + 1;
    const undos = [
      ...[...commands.values()].filter(({ seq }) => seq <= placed).map(({ id }) => this.#putCommand(id, null)),
      ...[...sessions.values()].filter(({ since }) => since <= entry).map(({ id }) => put(sessions, id, null)),
      ...[...signals.values()].filter(({ since }) => since <= entry).map(({ name }) => put(signals, name, null)),
    ];
    return () => {
      this.forgotten = forgotten;
      for (const undo of undos) undo();
    };
  }

  snapshot(): Snapshot {
    return {
      entry: this.entry,
      placed: this.placed,
      forgotten: this.forgotten,
      peers: [...this.sessions.values()],
      orders: [...this.commands.values()],
      signals: [...this.signals.values()],
      errands: [...this.outbox.values()],
    };
  }

  restore({ peers, orders, signals, errands, ...numbers }: Snapshot): void {
    for (const map of [this.sessions, this.commands, this.openCommands, this.signals, this.outbox]) map.clear();
    for (const session of peers) this.sessions.set(session.id, session);
    for (const command of orders) this.#putCommand(command.id, command);
    for (const signal of signals) this.signals.set(signal.name, signal);
    for (const work of errands) this.outbox.set(work.id, work);
    this.entries = [];
    this.entry = numbers.entry;
    this.placed = numbers.placed;
    this.forgotten = numbers.forgotten ?? 0;
  }

  /** Puts older entries of the journal before those in memory, as far as none is missing in between. */
  recall(older: readonly JournalEntry[]): void {
    const first = this.entries[0]?.seq ?? this.entry + 1;
    const found: JournalEntry[] = [];
    for (const one of older.toReversed()) {
      const next = first - 1 - found.length;
      if (one.seq < next) break;
      if (one.seq === next) found.push(one);
    }
    this.entries = [...found.reverse(), ...this.entries].slice(-MAX_ENTRIES);
  }

  trim(): void {
    if (this.entries.length >= 2 * MAX_ENTRIES) this.entries = this.entries.slice(-MAX_ENTRIES);
  }
}

export const EMPTY: Snapshot = { entry: 0, placed: 0, forgotten: 0, peers: [], orders: [], signals: [], errands: [] };

function put<T>(map: Map<string, T>, key: string, value: T | null): Undo {
  const before = map.get(key);
  if (value === null) map.delete(key);
  else map.set(key, value);
  return () => {
    if (before === undefined) map.delete(key);
    else map.set(key, before);
  };
}

function journalOf(change: Change): Pick<JournalEntry, "kind" | "key" | "what"> | undefined {
  if (change.of === "journal") return { kind: "signal", key: "", what: change.what };
  if (change.of === "errand" || change.what === undefined) return undefined;
  return { kind: change.of, key: change.key, what: change.what };
}

export function entriesIn({ entry, at, changes }: LogEvent): readonly JournalEntry[] {
  const journaled = changes.flatMap((change) => journalOf(change) ?? []);
  return journaled.map((one, index) => ({ seq: entry + index + 1, at, ...one }));
}

/** Larger events are compressed: many commands sent at once are much alike. */
const MAX_PLAIN_BYTES = 32 * 1024;
const OPENING_BRACE = 0x7b;

export function encode(value: LogEvent | Snapshot): Uint8Array {
  const bytes = Buffer.from(JSON.stringify(value));
  return bytes.length < MAX_PLAIN_BYTES ? bytes : process.getBuiltinModule("node:zlib").deflateRawSync(bytes);
}

function decode(data: Uint8Array): unknown {
  const bytes = data[0] === OPENING_BRACE ? data : process.getBuiltinModule("node:zlib").inflateRawSync(data);
  return JSON.parse(Buffer.from(bytes).toString());
}

export function decodeEvent(data: Uint8Array): LogEvent {
  const event = decode(data);
  if (isEvent(event)) return event;
  throw new Error("the log of sessions holds what el-ipc didn't write");
}

/** Only el-ipc writes events and snapshots, so neither is checked further. */
function isEvent(value: unknown): value is LogEvent {
  return isJsonObject(value) && Array.isArray(value.changes);
}

export function decodeSnapshot(data: Uint8Array): Snapshot {
  const snapshot = decode(data);
  if (isSnapshot(snapshot)) return snapshot;
  throw new Error("the snapshot of the sessions holds what el-ipc didn't write");
}

function isSnapshot(value: unknown): value is Snapshot {
  return isJsonObject(value) && Array.isArray(value.orders);
}
