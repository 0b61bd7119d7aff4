/** Any JSON value. */
export type Json = unknown;

/** A live session, or one that was. */
export interface Peer {
  readonly id: string;
  readonly role: string;
  readonly capabilities: readonly string[];
  /** The registered agent whose token made it; null where none was shown. */
  readonly agent: string | null;
  readonly connectedAt: number;
  readonly lastSeen: number;
  /** What it waits for now, in a word; null when it waits for nothing. */
  readonly waitingFor: string | null;
}

/** A role that one peer alone may have, of those that were seen after a time. */
export interface SoleRole {
  readonly role: string;
  readonly aliveSince: number;
}

export interface PeerStore {
  /** `taken`, and nothing done, where the role is for one alone and somebody has it. */
  connect(peer: Peer, sole: SoleRole | undefined): Promise<"done" | "taken">;
  find(id: string): Promise<Peer | undefined>;
  /** In the order in which they came. */
  list(): Promise<readonly Peer[]>;
  /** Those of an agent, in the same order. What that costs depends on these alone. */
  ofAgent(agent: string): Promise<readonly Peer[]>;
  /** It lives, and waits for this. False where there is no such peer. */
  seen(id: string, at: number, waitingFor: string | null): Promise<boolean>;
  /** It lives and is at work: the leases that it holds begin anew. False where there is no such peer. */
  renew(id: string, at: number): Promise<boolean>;
  setRole(id: string, role: string, sole: SoleRole | undefined): Promise<"done" | "taken" | "missing">;
  /**
   * The orders that it held for its role are offered again; those for itself alone are dead. Answers with the dead ones;
   * undefined where there is no such peer.
   */
  leave(id: string, at: number): Promise<readonly Order[] | undefined>;
}

export type OrderStatus = "pending" | "leased" | "acked" | "failed" | "dead" | "expired";

export interface NewOrder {
  readonly id: string;
  /** `command_response` tells the sender of an order how it ended. */
  readonly kind: "command" | "command_response";
  readonly from: string;
  /** The sender's peer; null for a human or a program without one. */
  readonly fromId: string | null;
  /** A peer's id; null for whoever of the role is first. */
  readonly target: string | null;
  readonly targetRole: string;
  readonly action: string;
  readonly params: Json;
  readonly createdAt: number;
  readonly leaseSeconds: number;
  readonly expiresAt: number | null;
}

export interface Order extends NewOrder {
  readonly status: OrderStatus;
  /** How often it was handed out. */
  readonly attempts: number;
  readonly holder: string | null;
  readonly leaseUntil: number | null;
  readonly result: Json;
  readonly endedAt: number | null;
}

export interface Ending {
  readonly status: "acked" | "failed";
  readonly result: Json;
  readonly at: number;
}

/** What follows from an order's end, in the same step. */
export interface Consequences {
  readonly response?: NewOrder | undefined;
  readonly signal?: Signal | undefined;
  readonly activity?: { readonly channel: string; readonly sender: string; readonly content: string } | undefined;
}

export interface OrderList {
  /** Only those that a peer could take or has taken: its own, and those for whoever of its role. */
  readonly peer?: string | undefined;
  readonly status?: OrderStatus | undefined;
  readonly limit: number;
}

export interface OrderStore {
  /** All of them, or none. One for a peer that isn't there is dead. */
  add(orders: readonly NewOrder[]): Promise<void>;
  /** Stores an order as it was elsewhere, unless there is one under its id; answers whether it did. */
  restore(order: Order): Promise<boolean>;
  find(id: string): Promise<Order | undefined>;
  /** The newest so many, oldest first; fewer where those would be too much for one answer. */
  list(list: OrderList): Promise<readonly Order[]>;
  /**
   * Leases the oldest order that is free for a peer: its own, or one for whoever of its role is first. Free is what is
   * pending, or leased for longer than its lease, and neither past its time nor handed out `mostAttempts` times.
   */
  take(peer: string, now: number, mostAttempts: number): Promise<Order | undefined>;
  /** When the next lease ends of an order that the peer could then take. */
  nextFree(peer: string): Promise<number | undefined>;
  /** Ends a lease of this peer at once, as if the order had never been handed out. Answers with the order if it did. */
  release(id: string, peer: string): Promise<Order | undefined>;
  /**
   * Ends what would be free and nobody may take any more: as `expired` what is past its time, as `dead` what was handed out
   * `mostAttempts` times. Answers with what it ended.
   */
  lapse(now: number, mostAttempts: number): Promise<readonly Order[]>;
  /** The first ending counts. `same`: it had ended like this; `different`: otherwise; `missing`: there is no such order. */
  end(id: string, ending: Ending, consequences: Consequences): Promise<"done" | "same" | "different" | "missing">;
  /**
   * Offers a dead, failed or expired order again, from the beginning and without a time. False for another, and for one
   * whose peer isn't there.
   */
  offerAgain(id: string): Promise<boolean>;
  /** Removes orders that ended before a time, the longest ended first, so many at most; answers with how many it removed. */
  forget(endedBefore: number, limit: number): Promise<number>;
}

export interface Signal {
  readonly name: string;
  readonly data: Json;
  readonly sender: string;
  readonly setAt: number;
}

export interface SignalStore {
  set(signal: Signal): Promise<void>;
  get(name: string): Promise<Signal | undefined>;
  /** The latest last; without the oldest where all would be too much for one answer. */
  list(): Promise<readonly Signal[]>;
  clear(name: string): Promise<boolean>;
}

/** That something changed: which peer, order or signal, and how. */
export interface JournalEntry {
  readonly seq: number;
  readonly at: number;
  readonly kind: "peer" | "order" | "signal";
  readonly key: string;
  readonly what: string;
}

/** What changed, in the order in which it did; written by the engine in the same step as the change. */
export interface Journal {
  /** The last entry's number; 0 where there is none. */
  last(): Promise<number>;
  /** The first entries after a number; undefined where some of those are gone already. */
  after(seq: number, limit: number): Promise<readonly JournalEntry[] | undefined>;
}
