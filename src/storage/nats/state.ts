import type { Command, JournalEntry, Session, Signal } from "../../core/store.ts";
import type { Body } from "./payloads.ts";

/** An order as the log has it: in place of what it holds, where that is. `seq` numbers orders as they were sent. */
export interface OrderRecord extends Omit<Command, "params" | "result"> {
  readonly seq: number;
  readonly params: Body;
  readonly result: Body;
}

/** `since`: the journal's number when it connected, or was set. */
export interface PeerRecord extends Session {
  readonly since: number;
}

export interface SignalRecord extends Omit<Signal, "data"> {
  readonly since: number;
  readonly data: Body;
}

/** What follows from a step and lies outside of the log. It stands here until it is done, by whoever comes next. */
export interface Errand {
  readonly id: string;
  readonly at: number;
  /** The journal's number before the step: what came then is told once this is done. */
  readonly entry: number;
  readonly message?: ErrandMessage;
  readonly purge?: ErrandPurge;
}

export interface ErrandMessage {
  readonly channel: string;
  readonly sender: string;
  readonly content: Body;
  readonly timestamp: number;
  /** The newest message before the step. */
  readonly after: number;
}

export interface ErrandPurge {
  readonly upTo: number;
  readonly keptChannel: string;
}

/** `what` is told in the journal; without it the change is told to nobody. */
export type Change =
  | { readonly of: "peer"; readonly key: string; readonly to: PeerRecord | null; readonly what?: string }
  | { readonly of: "order"; readonly key: string; readonly to: OrderRecord | null; readonly what?: string }
  | { readonly of: "signal"; readonly key: string; readonly to: SignalRecord | null; readonly what?: string }
  | { readonly of: "errand"; readonly key: string; readonly to: Errand | null }
  | Reset;

/** What came up to these numbers, of the orders and of the journal, is gone. */
export interface Reset {
  readonly of: "journal";
  readonly what: "reset";
  readonly placed: number;
  readonly entry: number;
}

/** What the journal tells of a change, if anything. */
export function toldOf(change: Change): Pick<JournalEntry, "kind" | "key" | "what"> | undefined {
  if (change.of === "journal") return { kind: "signal", key: "", what: change.what };
  if (change.of === "errand" || change.what === undefined) return undefined;
  return { kind: change.of, key: change.key, what: change.what };
}

/** All that the log's changes come to. */
export interface State {
  readonly peers: ReadonlyMap<string, PeerRecord>;
  readonly orders: ReadonlyMap<string, OrderRecord>;
  /** Those of them that have not ended. */
  readonly open: ReadonlyMap<string, OrderRecord>;
  readonly signals: ReadonlyMap<string, SignalRecord>;
  readonly errands: ReadonlyMap<string, Errand>;
  /** The last number of the journal, and of the orders. */
  readonly entry: number;
  readonly placed: number;
  /** The journal's number at the last reset: what it was before, nobody is told. */
  readonly forgotten: number;
  /** What is known of the journal's end. */
  readonly entries: readonly JournalEntry[];
  snapshot(): Snapshot;
}

/** The state without what can be told from the rest of it. */
export interface Snapshot {
  readonly entry: number;
  readonly placed: number;
  readonly forgotten: number;
  readonly peers: readonly PeerRecord[];
  readonly orders: readonly OrderRecord[];
  readonly signals: readonly SignalRecord[];
  readonly errands: readonly Errand[];
}

export interface MutableState extends State {
  /** Answers with how to undo it. */
  apply(change: Change, at: number): () => void;
  restore(snapshot: Snapshot | undefined): void;
  /** Entries from before those that are known, as far as none is missing in between. */
  recall(older: readonly JournalEntry[]): void;
  /** Forgets entries that nobody can ask for any more. */
  trim(): void;
}

/** More than can be asked for: the rest is read again where it is. */
const MAX_ENTRIES = 20_000;

export function createState(): MutableState {
  const peers = new Map<string, PeerRecord>();
  const orders = new Map<string, OrderRecord>();
  const open = new Map<string, OrderRecord>();
  const signals = new Map<string, SignalRecord>();
  const errands = new Map<string, Errand>();
  let entries: JournalEntry[] = [];
  let entry = 0;
  let placed = 0;
  let forgotten = 0;

  const place = (key: string, order: OrderRecord | null): (() => void) => {
    const before = placed;
    placed = Math.max(placed, order?.seq ?? 0);
    const undo = [
      put(orders, key, order),
      put(open, key, order?.status === "pending" || order?.status === "leased" ? order : null),
    ];
    return () => {
      placed = before;
      for (const one of undo) one();
    };
  };

  const clear = (reset: Reset): (() => void) => {
    const before = forgotten;
    forgotten = entry + 1;
    const undo = [
      ...[...orders.values()].filter(({ seq }) => seq <= reset.placed).map(({ id }) => place(id, null)),
      ...[...peers.values()].filter(({ since }) => since <= reset.entry).map(({ id }) => put(peers, id, null)),
      ...[...signals.values()].filter(({ since }) => since <= reset.entry).map(({ name }) => put(signals, name, null)),
    ];
    return () => {
      forgotten = before;
      for (const one of undo) one();
    };
  };

  const putOne = (change: Change): (() => void) => {
    if (change.of === "peer") return put(peers, change.key, change.to);
    if (change.of === "signal") return put(signals, change.key, change.to);
    if (change.of === "errand") return put(errands, change.key, change.to);
    if (change.of === "journal") return clear(change);
    return place(change.key, change.to);
  };

  return {
    peers,
    orders,
    open,
    signals,
    errands,
    get entry() {
      return entry;
    },
    get placed() {
      return placed;
    },
    get forgotten() {
      return forgotten;
    },
    get entries() {
      return entries;
    },

    apply(change, at) {
      const undo = putOne(change);
      const told = toldOf(change);
      if (told === undefined) return undo;
      entry++;
      entries.push({ seq: entry, at, ...told });
      return () => {
        entries.pop();
        entry--;
        undo();
      };
    },

    snapshot: () => ({
      entry,
      placed,
      forgotten,
      peers: [...peers.values()],
      orders: [...orders.values()],
      signals: [...signals.values()],
      errands: [...errands.values()],
    }),

    restore(snapshot) {
      for (const map of [peers, orders, open, signals, errands]) map.clear();
      entries = [];
      entry = snapshot?.entry ?? 0;
      for (const peer of snapshot?.peers ?? []) peers.set(peer.id, peer);
      for (const order of snapshot?.orders ?? []) place(order.id, order);
      for (const signal of snapshot?.signals ?? []) signals.set(signal.name, signal);
      for (const errand of snapshot?.errands ?? []) errands.set(errand.id, errand);
      placed = snapshot?.placed ?? 0;
      forgotten = snapshot?.forgotten ?? 0;
    },

    recall(older) {
      const first = entries[0]?.seq ?? entry + 1;
      const found: JournalEntry[] = [];
      for (const one of older.toReversed()) {
        const next = first - 1 - found.length;
        if (one.seq < next) break;
        if (one.seq === next) found.push(one);
      }
      entries = [...found.reverse(), ...entries].slice(-MAX_ENTRIES);
    },

    trim() {
      if (entries.length >= 2 * MAX_ENTRIES) entries = entries.slice(-MAX_ENTRIES);
    },
  };
}

function put<T>(map: Map<string, T>, key: string, value: T | null): () => void {
  const before = map.get(key);
  if (value === null) map.delete(key);
  else map.set(key, value);
  return () => {
    if (before === undefined) map.delete(key);
    else map.set(key, before);
  };
}
