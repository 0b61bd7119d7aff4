/**
 * Where the bus is kept. Every method is one atomic step; what each promises beyond its signature is in
 * test/contracts/store.ts, which every engine passes unchanged.
 */
export interface Store extends AsyncDisposable {
  readonly messages: MessageStore;
  readonly mailboxes: MailboxStore;
  readonly agents: AgentStore;
  readonly sessions: SessionStore;
  readonly commands: CommandStore;
  readonly signals: SignalStore;
  readonly journal: Journal;

  /**
   * Removes every message but those of one channel, and all peers, orders and signals, after a backup of everything. What
   * comes while it works, and so may not be in the backup, stays; and so do agents, watermarks and nonces. Ids go on from
   * where they were.
   */
  reset(keptChannel: string): Promise<ResetResult>;

  /** All that is there, with the messages after an id: what comes while it is read may be in it or not. */
  archive(after: number): Promise<Archive>;

  /**
   * What anyone changed since this was last asked, for waiters that heard no bell. Costs next to nothing while nobody
   * writes. Undefined when it can't tell, as the first time: then it may be anything. Who asks for messages alone may be told
   * of the others too, or the next time, whichever costs less.
   */
  changes(of?: "messages"): Promise<Changes | undefined>;
}

export interface Changes {
  /** Those with new messages. */
  readonly channels: readonly string[];
  /** Something may have changed that is no message. */
  readonly others: boolean;
}

export interface NewMessage {
  readonly channel: string;
  readonly sender: string;
  readonly content: string;
  /** Seconds since 1970, with a fraction. */
  readonly timestamp: number;
  /** Base64, or empty where the sender didn't sign. */
  readonly signature: string;
  /** A server vouches for the sender, who couldn't sign. */
  readonly attested?: boolean;
}

/** What makes a signed request happen once: the same again is answered as the first time, another under its nonce refused. */
export interface RequestKey {
  readonly signer: string;
  readonly nonce: string;
  /** Of the bytes that were signed. */
  readonly digest: string;
  readonly at: number;
}

/** `repeated`: it had been done before, and wasn't done again. `clash`: its nonce was used for something else. */
export type Outcome = "done" | "repeated" | "clash";

export interface AppendResult {
  readonly outcome: Outcome;
  /** The message's, or that of the first one where it is repeated. */
  readonly id: number;
}

export interface StoredMessage extends NewMessage {
  /** Grows in commit order, over all channels; never used twice. */
  readonly id: number;
}

export interface UnreadOptions {
  readonly limit: number;
  /** Leave out what the agent sent itself. */
  readonly others: boolean;
}

export interface ChannelSummary {
  readonly channel: string;
  readonly count: number;
  readonly lastMessage: number;
}

export interface Reader {
  readonly agent: string;
  /** Its watermark. */
  readonly lastId: number;
}

export interface Watermark extends Reader {
  readonly channel: string;
}

/** A message without what it says. */
export interface Envelope {
  readonly id: number;
  readonly channel: string;
  readonly sender: string;
  readonly timestamp: number;
}

/** Which messages of a channel may go: those that all conditions given here hold for. They are its oldest, up to an id. */
export interface PruneCriteria {
  /** Sent before this time, in seconds. */
  readonly before?: number | undefined;
  /** Not among the newest so many. */
  readonly keep?: number | undefined;
  /** Consumed by every agent that has ever read the channel. */
  readonly consumed: boolean;
}

export interface PrunableRange {
  readonly upTo: number;
  readonly count: number;
  /** Of those, the ones that not everybody who reads the channel has consumed; all, where nobody reads it. */
  readonly unconsumed: number;
}

export interface MessageStore {
  /** Answers once the message is durable. Of one that carries `once` there is never a second. */
  append(message: NewMessage, once?: RequestKey): Promise<AppendResult>;

  /** The first messages after the agent's watermark, oldest first; of its own mailbox, those that haven't arrived. Moves nothing. */
  unread(channel: string, agent: string, options: UnreadOptions): Promise<readonly StoredMessage[]>;

  /** The first messages after `id`, oldest first. */
  after(channel: string, id: number, limit: number): Promise<readonly StoredMessage[]>;

  /** The last messages before `id`, oldest first. */
  before(channel: string, id: number, limit: number): Promise<readonly StoredMessage[]>;

  /** The newest messages that were sent since a time, so many at most, newest first. */
  recent(since: number, limit: number): Promise<readonly Envelope[]>;

  /** How many messages of the channel lie after one id and up to another, counted no further than `most`. */
  count(channel: string, after: number, upTo: number, most: number): Promise<number>;

  /** The watermarks of all agents in all channels, those that are furthest first, so many at most. */
  watermarks(limit: number): Promise<readonly Watermark[]>;

  /** The last id that the agent has consumed; 0 where it has none. */
  watermark(channel: string, agent: string): Promise<number>;

  /**
   * Moves the agent's watermark to `id`, never back and never past the newest message of the store.
   * Answers with where it then stands.
   */
  advance(channel: string, agent: string, id: number): Promise<number>;

  /** Moves the agent's watermark over its own messages, up to the first unread one by somebody else. */
  skipOwn(channel: string, agent: string): Promise<void>;

  /** How many messages the agent hasn't consumed; of its own mailbox, those that haven't arrived. */
  pending(channel: string, agent: string): Promise<number>;

  find(id: number): Promise<StoredMessage | undefined>;

  /** The newest message's id, of those that are there; 0 where there is none. */
  lastId(): Promise<number>;

  /** The first messages after `id`, of every channel, oldest first. */
  allAfter(id: number, limit: number): Promise<readonly StoredMessage[]>;

  /** The agents that have a watermark in the channel, by name. */
  readers(channel: string): Promise<readonly Reader[]>;

  /** What may go now may go for ever, whoever else removes some of it meanwhile. */
  prunable(channel: string, pruning: PruneCriteria): Promise<PrunableRange>;

  /** Removes the oldest of a channel up to an id, so many at most; answers with how many itself: 0 where none are left. */
  remove(channel: string, upTo: number, limit: number): Promise<number>;

  /** Newest first; costs what there are channels, not what there are messages. */
  channels(): Promise<readonly ChannelSummary[]>;
}

export interface TakeOptions {
  readonly limit: number;
  readonly now: number;
  /** Seconds for which nobody else gets what was taken. */
  readonly lease: number;
}

/** A channel that several may read under one name, each message going to one of them. */
export interface MailboxStore {
  /** The first unread messages that nobody has or had, leased to whoever asks. */
  take(channel: string, agent: string, taking: TakeOptions): Promise<readonly StoredMessage[]>;
  /** These have arrived. The watermark moves up to the first message that hasn't. */
  settle(channel: string, agent: string, ids: readonly number[]): Promise<void>;
  /** These have not arrived: they are free again at once. */
  release(channel: string, ids: readonly number[]): Promise<void>;
  /** When the next lease ends, of those that hold back an unread message. */
  nextFree(channel: string, agent: string): Promise<number | undefined>;
}

export type Role = "agent" | "operator";

export interface Agent {
  readonly name: string;
  readonly identity: string;
  /** PEM, SPKI. */
  readonly publicKey: string;
  readonly role: Role;
  /** The operator who vouched for it; null for an operator. */
  readonly registeredBy: string | null;
  readonly createdAt: number;
  /** Takes no v1 signature of it. */
  readonly v2Only: boolean;
}

/** A name whose key was revoked, and which nobody has taken again. */
export interface Revoked {
  readonly name: string;
  readonly publicKey: string;
  readonly registeredBy: string | null;
}

/**
 * How an agent takes its name. `new`: nobody has it. `own`: nobody, or the same operator registered it before. `rotate`:
 * it is there or was, whoever registered it, and gets another key. An operator's name is never taken.
 */
export type NameClaim = "new" | "own" | "rotate";

export interface AgentStore {
  find(name: string): Promise<Agent | undefined>;

  /** In the order in which they came. */
  list(): Promise<readonly Agent[]>;

  /** The first operator ever seeded; undefined in open mode. */
  firstOperator(): Promise<Agent | undefined>;

  /** The name's last key, if it was revoked. */
  revoked(name: string): Promise<Revoked | undefined>;

  /** Stores an agent under its name. `taken`, and nothing done, where the entry doesn't allow it. */
  add(agent: Agent, entry: NameClaim, once?: RequestKey): Promise<Outcome | "taken">;

  /** Notes that a name's key was revoked, where nobody has the name nor ever had; answers whether it did. */
  markRevoked(revoked: Revoked): Promise<boolean>;

  /** Takes an agent's key away; `taken`, and nothing done, where it has another key or is no agent. */
  revoke(name: string, publicKey: string, once: RequestKey): Promise<Outcome | "taken">;
}

/** Any JSON value. */
export type Json = unknown;

/** A live session, or one that was. */
export interface Session {
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
export interface ExclusiveRole {
  readonly role: string;
  readonly aliveSince: number;
}

export interface SessionStore {
  /** `taken`, and nothing done, where the role is for one alone and somebody has it. */
  connect(peer: Session, sole: ExclusiveRole | undefined): Promise<"done" | "taken">;
  find(id: string): Promise<Session | undefined>;
  /** In the order in which they came. */
  list(): Promise<readonly Session[]>;
  /** Those of an agent, in the same order. What that costs depends on these alone. */
  ofAgent(agent: string): Promise<readonly Session[]>;
  /** It lives, and waits for this. False where there is no such peer. */
  seen(id: string, at: number, waitingFor: string | null): Promise<boolean>;
  /** It lives and is at work: the leases that it holds begin anew. False where there is no such peer. */
  renew(id: string, at: number): Promise<boolean>;
  setRole(id: string, role: string, sole: ExclusiveRole | undefined): Promise<"done" | "taken" | "missing">;
  /**
   * The orders that it held for its role are offered again; those for itself alone are dead. Answers with the dead ones;
   * undefined where there is no such peer.
   */
  leave(id: string, at: number): Promise<readonly Command[] | undefined>;
}

export type CommandStatus = "pending" | "leased" | "acked" | "failed" | "dead" | "expired";

export interface NewCommand {
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

export interface Command extends NewCommand {
  readonly status: CommandStatus;
  /** How often it was handed out. */
  readonly attempts: number;
  readonly holder: string | null;
  readonly leaseUntil: number | null;
  readonly result: Json;
  readonly endedAt: number | null;
}

export interface CommandEnd {
  readonly status: "acked" | "failed";
  readonly result: Json;
  readonly at: number;
}

/** What follows from an order's end, in the same step. */
export interface Consequences {
  readonly response?: NewCommand | undefined;
  readonly signal?: Signal | undefined;
  readonly activity?: { readonly channel: string; readonly sender: string; readonly content: string } | undefined;
}

export interface CommandFilter {
  /** Only those that a peer could take or has taken: its own, and those for whoever of its role. */
  readonly peer?: string | undefined;
  readonly status?: CommandStatus | undefined;
  readonly limit: number;
}

export interface CommandStore {
  /** All of them, or none. One for a peer that isn't there is dead. */
  add(orders: readonly NewCommand[]): Promise<void>;
  /** Stores an order as it was elsewhere, unless there is one under its id; answers whether it did. */
  restore(order: Command): Promise<boolean>;
  find(id: string): Promise<Command | undefined>;
  /** The newest so many, oldest first; fewer where those would be too much for one answer. */
  list(list: CommandFilter): Promise<readonly Command[]>;
  /**
   * Leases the oldest order that is free for a peer: its own, or one for whoever of its role is first. Free is what is
   * pending, or leased for longer than its lease, and neither past its time nor handed out `mostAttempts` times.
   */
  take(peer: string, now: number, mostAttempts: number): Promise<Command | undefined>;
  /** When the next lease ends of an order that the peer could then take. */
  nextFree(peer: string): Promise<number | undefined>;
  /** Ends a lease of this peer at once, as if the order had never been handed out. Answers with the order if it did. */
  release(id: string, peer: string): Promise<Command | undefined>;
  /**
   * Ends what would be free and nobody may take any more: as `expired` what is past its time, as `dead` what was handed out
   * `mostAttempts` times. Answers with what it ended.
   */
  lapse(now: number, mostAttempts: number): Promise<readonly Command[]>;
  /** The first ending counts. `same`: it had ended like this; `different`: otherwise; `missing`: there is no such order. */
  end(id: string, ending: CommandEnd, consequences: Consequences): Promise<"done" | "same" | "different" | "missing">;
  /**
   * Offers a dead, failed or expired order again, from the beginning and without a time. False for another, and for one
   * whose peer isn't there.
   */
  retry(id: string): Promise<boolean>;
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

/** All that a bus holds, to be written down somewhere else. Each in the order in which it came. */
export interface Archive {
  readonly agents: readonly Agent[];
  readonly revoked: readonly Revoked[];
  readonly nonces: AsyncIterable<RequestKey & { readonly messageId: number }>;
  readonly messages: AsyncIterable<StoredMessage>;
  readonly watermarks: AsyncIterable<Watermark>;
  readonly arrived: AsyncIterable<ArrivedIds>;
  readonly peers: readonly Session[];
  readonly orders: AsyncIterable<Command>;
  readonly signals: AsyncIterable<Signal>;
  readonly journal: readonly JournalEntry[];
}

/** What has arrived of a mailbox beyond its watermark. */
export interface ArrivedIds {
  readonly channel: string;
  readonly ids: readonly number[];
}

/** Writes an archive to a new file, for its owner alone; answers with where that is. */
export type WriteArchive = (archive: Archive) => Promise<string>;

export interface ResetResult {
  /** Where everything was copied to before, for its owner alone. */
  readonly backup: string;
  readonly removed: number;
}
