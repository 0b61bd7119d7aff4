/**
 * The port to the engine that stores the bus. Each method is one atomic step. test/contracts/store.ts is the full contract
 * of every engine.
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
   * Backs up everything, then removes all messages but those of one channel, and all sessions, commands and signals. Agents,
   * watermarks and nonces stay, and so does whatever arrives during the backup. Ids continue from where they were.
   */
  reset(keptChannel: string): Promise<ResetResult>;
  /** Everything stored, with the messages after an id. It may or may not include what arrives during the read. */
  archive(after: number): Promise<Archive>;
  /**
   * Changes since the last call, for waiters that missed a ring. Nearly free while nobody writes. Undefined when the engine
   * can't tell, as on the first call. With `of: "messages"` other changes are reported now or by the next call.
   */
  changes(of?: "messages"): Promise<Changes | undefined>;
}

export interface Changes {
  /** Channels with new messages. */
  readonly channels: readonly string[];
  /** Something other than messages may have changed. */
  readonly others: boolean;
}

export interface NewMessage {
  readonly channel: string;
  readonly sender: string;
  readonly content: string;
  /** Seconds since 1970, with a fraction. */
  readonly timestamp: number;
  /** Base64; empty for an unsigned message. */
  readonly signature: string;
  /** The sender showed a token instead of signing. */
  readonly attested?: boolean;
}

/** The idempotency key of a signed request. A repetition gets the first answer; another use of the nonce is refused. */
export interface RequestKey {
  readonly signer: string;
  readonly nonce: string;
  /** The digest of the signed bytes. */
  readonly digest: string;
  readonly at: number;
}

export interface DoneRequest extends RequestKey {
  /** The message that it stored, or 0. */
  readonly messageId: number;
}

/** `repeated`: done before, not again. `clash`: another request has used the nonce. */
export type Outcome = "done" | "repeated" | "clash";

export interface AppendResult {
  readonly outcome: Outcome;
  /** On a repetition, the first message's. */
  readonly id: number;
}

export interface StoredMessage extends NewMessage {
  /** Grows in commit order over all channels, and is never used twice. */
  readonly id: number;
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

export interface Envelope {
  readonly id: number;
  readonly channel: string;
  readonly sender: string;
  readonly timestamp: number;
}

/** Which of a channel's oldest messages may be removed. All conditions must hold. */
export interface PruneCriteria {
  /** Sent before this time, in seconds. */
  readonly before?: number | undefined;
  /** Not among this many of the newest. */
  readonly keep?: number | undefined;
  /** Consumed by every agent that has ever read the channel. */
  readonly consumed: boolean;
}

export interface PrunableRange {
  readonly upTo: number;
  readonly count: number;
  /** Not consumed by every reader of the channel; all, where it has no reader. */
  readonly unconsumed: number;
}

export interface MessageStore {
  /** Answers once the message is durable. A message with a key is stored once. */
  append(message: NewMessage, key?: RequestKey): Promise<AppendResult>;
  /**
   * The first messages after the watermark, oldest first; in the agent's own mailbox, those that haven't arrived. `others`
   * leaves out the agent's own messages.
   */
  unread(
    channel: string,
    agent: string,
    options: { limit: number; others: boolean },
  ): Promise<readonly StoredMessage[]>;
  /** The first messages after `id`, oldest first. */
  after(channel: string, id: number, limit: number): Promise<readonly StoredMessage[]>;
  /** The last messages before `id`, oldest first. */
  before(channel: string, id: number, limit: number): Promise<readonly StoredMessage[]>;
  /** The newest messages sent since a time, newest first. */
  recent(since: number, limit: number): Promise<readonly Envelope[]>;
  /** Counts the messages after one id and up to another, no further than `most`. */
  count(channel: string, after: number, upTo: number, most: number): Promise<number>;
  /** All agents' watermarks in all channels, furthest first. */
  watermarks(limit: number): Promise<readonly Watermark[]>;
  /** The last id that the agent has consumed, or 0. */
  watermark(channel: string, agent: string): Promise<number>;
  /** Moves the watermark to `id`, never back and never past the store's newest message. Answers with the watermark. */
  advance(channel: string, agent: string, id: number): Promise<number>;
  /** Moves the watermark past the agent's own messages, up to the first unread one by another sender. */
  skipOwn(channel: string, agent: string): Promise<void>;
  /** The number of unread messages; in the agent's own mailbox, those that haven't arrived. */
  pending(channel: string, agent: string): Promise<number>;
  find(id: number): Promise<StoredMessage | undefined>;
  /** The id of the newest message still stored, or 0. */
  lastId(): Promise<number>;
  /** The first messages after `id` in all channels, oldest first. */
  allAfter(id: number, limit: number): Promise<readonly StoredMessage[]>;
  readers(channel: string): Promise<readonly Reader[]>;
  /** A prunable range stays prunable, whatever is removed meanwhile. */
  prunable(channel: string, criteria: PruneCriteria): Promise<PrunableRange>;
  /** Removes the oldest messages up to an id, and `limit` at most. Answers with the number removed. */
  remove(channel: string, upTo: number, limit: number): Promise<number>;
  /** Newest first. Costs grow with the number of channels, not of messages. */
  channels(): Promise<readonly ChannelSummary[]>;
}

export interface TakeOptions {
  readonly limit: number;
  readonly now: number;
  /** Seconds during which no other session gets the messages. */
  readonly lease: number;
}

/** Channels that several sessions read under one name. Each message goes to one of them. */
export interface MailboxStore {
  /** Leases the first unread messages that are neither leased nor arrived. */
  take(channel: string, agent: string, options: TakeOptions): Promise<readonly StoredMessage[]>;
  /** Marks messages as arrived. The watermark moves up to the first one that hasn't. */
  settle(channel: string, agent: string, ids: readonly number[]): Promise<void>;
  /** Ends the leases of messages that haven't arrived. */
  release(channel: string, ids: readonly number[]): Promise<void>;
  /** When the next lease on an unread message ends. */
  nextFree(channel: string, agent: string): Promise<number | undefined>;
}

export type Role = "agent" | "operator";

export interface Agent {
  readonly name: string;
  readonly identity: string;
  /** PEM, SPKI. */
  readonly publicKey: string;
  readonly role: Role;
  /** Null for an operator. */
  readonly registeredBy: string | null;
  readonly createdAt: number;
  /** Its v1 signatures are refused. */
  readonly v2Only: boolean;
}

/** A name without an owner since its key was revoked. */
export interface Revoked {
  readonly name: string;
  readonly publicKey: string;
  readonly registeredBy: string | null;
}

/**
 * The condition for taking a name. `new`: unused. `own`: unused, or registered by the same operator. `rotate`: in use or
 * revoked. An operator's name is never taken.
 */
export type NameClaim = "new" | "own" | "rotate";

export interface AgentStore {
  find(name: string): Promise<Agent | undefined>;
  /** Oldest first. */
  list(): Promise<readonly Agent[]>;
  /** The first operator ever seeded; undefined in open mode. */
  firstOperator(): Promise<Agent | undefined>;
  revoked(name: string): Promise<Revoked | undefined>;
  /** `taken`: the claim doesn't allow it, and nothing was done. */
  add(agent: Agent, claim: NameClaim, key?: RequestKey): Promise<Outcome | "taken">;
  /** Marks an unknown name's key as revoked. False for a known name. */
  markRevoked(revoked: Revoked): Promise<boolean>;
  /** Revokes an agent's key. `taken`: the name has another key or isn't an agent's, and nothing was done. */
  revoke(name: string, publicKey: string, key: RequestKey): Promise<Outcome | "taken">;
}

/** Any JSON value. */
export type Json = unknown;

export interface Session {
  readonly id: string;
  readonly role: string;
  readonly capabilities: readonly string[];
  /** The agent whose token it connected with. */
  readonly agent: string | null;
  readonly connectedAt: number;
  readonly lastSeen: number;
  readonly waitingFor: string | null;
}

/** A role for only one of the sessions seen after a time. */
export interface ExclusiveRole {
  readonly role: string;
  readonly aliveSince: number;
}

export interface SessionStore {
  /** `taken`: another session has the exclusive role, and nothing was done. */
  connect(session: Session, exclusive: ExclusiveRole | undefined): Promise<"done" | "taken">;
  find(id: string): Promise<Session | undefined>;
  /** Oldest first. */
  list(): Promise<readonly Session[]>;
  /** Oldest first. Costs grow with the agent's sessions alone. */
  ofAgent(agent: string): Promise<readonly Session[]>;
  /** Marks a session as alive. False for an unknown one. */
  seen(id: string, at: number, waitingFor: string | null): Promise<boolean>;
  /** Marks a session as alive and renews its leases. False for an unknown one. */
  renew(id: string, at: number): Promise<boolean>;
  setRole(id: string, role: string, exclusive: ExclusiveRole | undefined): Promise<"done" | "taken" | "missing">;
  /**
   * Removes a session. Commands that it held for its role are offered again; those for itself alone are dead, and are
   * returned. Undefined for an unknown session.
   */
  leave(id: string, at: number): Promise<readonly Command[] | undefined>;
}

export type CommandStatus = "pending" | "leased" | "acked" | "failed" | "dead" | "expired";

export interface NewCommand {
  readonly id: string;
  /** A `command_response` reports a command's end to its sender. */
  readonly kind: "command" | "command_response";
  readonly from: string;
  /** The sender's session, if it has one. */
  readonly fromId: string | null;
  /** A session's id; null for the role's first available session. */
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

/** Stored in the same step as a command's end. */
export interface Consequences {
  readonly response?: NewCommand | undefined;
  readonly signal?: Signal | undefined;
  readonly activity?: { readonly channel: string; readonly sender: string; readonly content: string } | undefined;
}

export interface CommandFilter {
  /** Only the commands of this session and those for its role. */
  readonly peer?: string | undefined;
  readonly status?: CommandStatus | undefined;
  readonly limit: number;
}

export interface CommandStore {
  /** Stores all of them or none. A command for an unknown session is dead. */
  add(commands: readonly NewCommand[]): Promise<void>;
  /** Stores another bus's command as it was. False for a known id. */
  restore(command: Command): Promise<boolean>;
  find(id: string): Promise<Command | undefined>;
  /** The newest commands, oldest first; fewer where one answer would become too large. */
  list(filter: CommandFilter): Promise<readonly Command[]>;
  /**
   * Leases the oldest free command for a session or its role. A command is free when it is pending or its lease is over, it
   * hasn't expired, and it was handed out fewer than `mostAttempts` times.
   */
  take(session: string, now: number, mostAttempts: number): Promise<Command | undefined>;
  /** When the next lease ends on a command that the session may take. */
  nextFree(session: string): Promise<number | undefined>;
  /** Ends the session's lease as if the command had never been handed out. Undefined if it has none. */
  release(id: string, session: string): Promise<Command | undefined>;
  /** Ends unleased commands: `expired` past their time, `dead` once handed out `mostAttempts` times. Answers with them. */
  lapse(now: number, mostAttempts: number): Promise<readonly Command[]>;
  /** The first end counts. `same`: it had ended like this; `different`: otherwise. */
  end(id: string, end: CommandEnd, consequences: Consequences): Promise<"done" | "same" | "different" | "missing">;
  /** Offers a dead, failed or expired command afresh, without expiry. False for others and for an unknown session's. */
  retry(id: string): Promise<boolean>;
  /** Removes ended commands, the oldest ends first. Answers with their number. */
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
  /** Latest last, without the oldest where one answer would become too large. */
  list(): Promise<readonly Signal[]>;
  clear(name: string): Promise<boolean>;
}

export interface JournalEntry {
  readonly seq: number;
  readonly at: number;
  readonly kind: "peer" | "order" | "signal";
  readonly key: string;
  readonly what: string;
}

/** All changes of sessions, commands and signals, in order. An entry is written in the same step as its change. */
export interface Journal {
  /** The last entry's number, or 0. */
  last(): Promise<number>;
  /** Undefined where some of them are gone. */
  after(seq: number, limit: number): Promise<readonly JournalEntry[] | undefined>;
}

/** The messages of a mailbox that have arrived beyond its watermark. */
export interface ArrivedIds {
  readonly channel: string;
  readonly ids: readonly number[];
}

/** The kinds of records, by the names of their tables. records.ts has their shapes. */
export interface Records {
  readonly agents: Agent;
  readonly revoked: Revoked;
  readonly nonces: DoneRequest;
  readonly messages: StoredMessage;
  readonly watermarks: Watermark;
  readonly arrived: ArrivedIds;
  readonly peers: Session;
  readonly orders: Command;
  readonly signals: Signal;
  readonly journal: JournalEntry;
}

/** Everything that a bus holds. Each kind comes oldest first. */
export type Archive = { readonly [Kind in keyof Records]: Archived<Records[Kind]> };

export type Archived<T> = Iterable<T> | AsyncIterable<T>;

/** Writes an archive to a new file that only its owner may read. Answers with its path. */
export type WriteArchive = (archive: Archive) => Promise<string>;

export interface ResetResult {
  /** The path of the backup. Only its owner may read it. */
  readonly backup: string;
  readonly removed: number;
}
