/**
 * The port to the engine that stores the bus. Each method is one atomic step. Every engine passes the contracts in
 * test/contracts/store.ts, which promise more than the signatures here.
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
   * Makes a backup of everything, then removes all messages but those of one channel, and all sessions, commands and
   * signals. Agents, watermarks and nonces stay, and so does whatever arrives meanwhile, as the backup may not hold it.
   * Ids continue from where they were.
   */
  reset(keptChannel: string): Promise<ResetResult>;

  /** Everything stored, with the messages after an id. It may or may not include what arrives while it is read. */
  archive(after: number): Promise<Archive>;

  /**
   * Changes by anyone since the last call, for waiters that missed a bell. Nearly free while nobody writes. Undefined when
   * the engine can't tell, as on the first call: anything may have changed. With `of: "messages"` other changes may be
   * reported too, or by the next call, whichever costs less.
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
  /** A server checked the sender's token in place of a signature. */
  readonly attested?: boolean;
}

/** The idempotency key of a signed request: a repetition is answered like the first, another request under its nonce refused. */
export interface RequestKey {
  readonly signer: string;
  readonly nonce: string;
  /** The digest of the signed bytes. */
  readonly digest: string;
  readonly at: number;
}

/** A request that was done. */
export interface DoneRequest extends RequestKey {
  /** The message that it stored; 0 for another request. */
  readonly messageId: number;
}

/** `repeated`: done before, and not done again. `clash`: another request has used the nonce. */
export type Outcome = "done" | "repeated" | "clash";

export interface AppendResult {
  readonly outcome: Outcome;
  /** The stored message; on a repetition the first one. */
  readonly id: number;
}

export interface StoredMessage extends NewMessage {
  /** Grows in commit order over all channels, and is never used twice. */
  readonly id: number;
}

export interface UnreadOptions {
  readonly limit: number;
  /** Leave out the agent's own messages. */
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

/** A message without its content. */
export interface Envelope {
  readonly id: number;
  readonly channel: string;
  readonly sender: string;
  readonly timestamp: number;
}

/** Which of a channel's oldest messages may be removed. All given conditions must hold. */
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
  /** How many of them some reader of the channel hasn't consumed; all, where the channel has no reader. */
  readonly unconsumed: number;
}

export interface MessageStore {
  /** Answers once the message is durable. A message with a key is stored once. */
  append(message: NewMessage, key?: RequestKey): Promise<AppendResult>;

  /**
   * The first messages after the agent's watermark, oldest first; in its own mailbox, those that haven't arrived. The
   * watermark stays where it is.
   */
  unread(channel: string, agent: string, options: UnreadOptions): Promise<readonly StoredMessage[]>;

  /** The first messages after `id`, oldest first. */
  after(channel: string, id: number, limit: number): Promise<readonly StoredMessage[]>;

  /** The last messages before `id`, oldest first. */
  before(channel: string, id: number, limit: number): Promise<readonly StoredMessage[]>;

  /** The newest messages sent since a time, newest first. */
  recent(since: number, limit: number): Promise<readonly Envelope[]>;

  /** The number of messages in the channel after one id and up to another, counted no further than `most`. */
  count(channel: string, after: number, upTo: number, most: number): Promise<number>;

  /** The watermarks of all agents in all channels, furthest first. */
  watermarks(limit: number): Promise<readonly Watermark[]>;

  /** The last id that the agent has consumed, or 0. */
  watermark(channel: string, agent: string): Promise<number>;

  /**
   * Moves the agent's watermark to `id`, never back and never past the newest message of the store. Answers with the
   * watermark.
   */
  advance(channel: string, agent: string, id: number): Promise<number>;

  /** Moves the agent's watermark past its own messages, up to the first unread one by another sender. */
  skipOwn(channel: string, agent: string): Promise<void>;

  /** The number of messages that the agent hasn't consumed; in its own mailbox, that haven't arrived. */
  pending(channel: string, agent: string): Promise<number>;

  find(id: number): Promise<StoredMessage | undefined>;

  /** The id of the newest message that is still stored, or 0. */
  lastId(): Promise<number>;

  /** The first messages after `id` in all channels, oldest first. */
  allAfter(id: number, limit: number): Promise<readonly StoredMessage[]>;

  /** The agents that have a watermark in the channel, by name. */
  readers(channel: string): Promise<readonly Reader[]>;

  /** A range that is prunable once stays so, whatever is removed meanwhile. */
  prunable(channel: string, criteria: PruneCriteria): Promise<PrunableRange>;

  /** Removes the oldest messages of a channel, up to an id and a number. Answers with how many it removed; 0 when none are left. */
  remove(channel: string, upTo: number, limit: number): Promise<number>;

  /** Newest first. The cost depends on the number of channels, not of messages. */
  channels(): Promise<readonly ChannelSummary[]>;
}

export interface TakeOptions {
  readonly limit: number;
  readonly now: number;
  /** Seconds for which no other session gets the messages. */
  readonly lease: number;
}

/** A channel that several sessions read under one name. Each message goes to one of them. */
export interface MailboxStore {
  /** Leases the first unread messages that are neither leased nor arrived. */
  take(channel: string, agent: string, options: TakeOptions): Promise<readonly StoredMessage[]>;
  /** Notes that messages have arrived. The watermark moves up to the first message that hasn't. */
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
  /** The operator who registered it; null for an operator. */
  readonly registeredBy: string | null;
  readonly createdAt: number;
  /** Its v1 signatures are refused. */
  readonly v2Only: boolean;
}

/** A name whose key was revoked and that has no new owner. */
export interface Revoked {
  readonly name: string;
  readonly publicKey: string;
  readonly registeredBy: string | null;
}

/**
 * When an agent may take a name. `new`: the name is unused. `own`: unused, or registered before by the same operator.
 * `rotate`: in use or revoked; the agent gets another key. An operator's name is never taken.
 */
export type NameClaim = "new" | "own" | "rotate";

export interface AgentStore {
  find(name: string): Promise<Agent | undefined>;

  /** Oldest first. */
  list(): Promise<readonly Agent[]>;

  /** The first operator ever seeded; undefined in open mode. */
  firstOperator(): Promise<Agent | undefined>;

  /** The name's last key, where it was revoked. */
  revoked(name: string): Promise<Revoked | undefined>;

  /** Stores an agent under its name. `taken`: the claim doesn't allow it, and nothing was done. */
  add(agent: Agent, claim: NameClaim, key?: RequestKey): Promise<Outcome | "taken">;

  /** Notes that a name's key was revoked, where this bus has never known the name. Answers whether it did. */
  markRevoked(revoked: Revoked): Promise<boolean>;

  /** Revokes an agent's key. `taken`: the name has another key or isn't an agent's, and nothing was done. */
  revoke(name: string, publicKey: string, key: RequestKey): Promise<Outcome | "taken">;
}

/** Any JSON value. */
export type Json = unknown;

/** A live attachment of an agent, or one that ended. */
export interface Session {
  readonly id: string;
  readonly role: string;
  readonly capabilities: readonly string[];
  /** The registered agent whose token it connected with, or null. */
  readonly agent: string | null;
  readonly connectedAt: number;
  readonly lastSeen: number;
  /** What it is waiting for, in a word, or null. */
  readonly waitingFor: string | null;
}

/** A role that only one of the sessions seen after a time may have. */
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
  /** The sessions of an agent, oldest first. The cost depends on their number alone. */
  ofAgent(agent: string): Promise<readonly Session[]>;
  /** Notes that a session lives and what it waits for. False for an unknown session. */
  seen(id: string, at: number, waitingFor: string | null): Promise<boolean>;
  /** Notes that a session lives and works: its leases start again. False for an unknown session. */
  renew(id: string, at: number): Promise<boolean>;
  setRole(id: string, role: string, exclusive: ExclusiveRole | undefined): Promise<"done" | "taken" | "missing">;
  /**
   * Removes a session. Commands that it held for its role are offered again, those for itself alone are dead. Answers with
   * the dead ones; undefined for an unknown session.
   */
  leave(id: string, at: number): Promise<readonly Command[] | undefined>;
}

export type CommandStatus = "pending" | "leased" | "acked" | "failed" | "dead" | "expired";

export interface NewCommand {
  readonly id: string;
  /** A `command_response` tells a command's sender how the command ended. */
  readonly kind: "command" | "command_response";
  readonly from: string;
  /** The sender's session; null for a person or a program without one. */
  readonly fromId: string | null;
  /** A session's id; null for the first available session of the role. */
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
  /** How many times it was handed out. */
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

/** What is stored in the same step as a command's end. */
export interface Consequences {
  readonly response?: NewCommand | undefined;
  readonly signal?: Signal | undefined;
  readonly activity?: { readonly channel: string; readonly sender: string; readonly content: string } | undefined;
}

export interface CommandFilter {
  /** Only commands that this session could take or has taken: its own, and those for its role. */
  readonly peer?: string | undefined;
  readonly status?: CommandStatus | undefined;
  readonly limit: number;
}

export interface CommandStore {
  /** Stores all of them or none. A command for an unknown session is dead. */
  add(commands: readonly NewCommand[]): Promise<void>;
  /** Stores a command as another bus had it, unless its id is known. Answers whether it did. */
  restore(command: Command): Promise<boolean>;
  find(id: string): Promise<Command | undefined>;
  /** The newest commands, oldest first; fewer than the limit where they would be too large for one answer. */
  list(filter: CommandFilter): Promise<readonly Command[]>;
  /**
   * Leases the oldest free command that a session may have: its own, or one for its role. A command is free when it is
   * pending or its lease is over, its time isn't, and it was handed out fewer than `mostAttempts` times.
   */
  take(session: string, now: number, mostAttempts: number): Promise<Command | undefined>;
  /** When the next lease ends on a command that the session could then take. */
  nextFree(session: string): Promise<number | undefined>;
  /** Ends a lease of this session as if the command had never been handed out. Answers with the command if it did. */
  release(id: string, session: string): Promise<Command | undefined>;
  /**
   * Ends commands that would be free but may not be taken any more: past their time as `expired`, handed out `mostAttempts`
   * times as `dead`. Answers with them.
   */
  lapse(now: number, mostAttempts: number): Promise<readonly Command[]>;
  /** Ends a command. The first end counts. `same`: it had ended like this; `different`: otherwise. */
  end(id: string, end: CommandEnd, consequences: Consequences): Promise<"done" | "same" | "different" | "missing">;
  /**
   * Offers a dead, failed or expired command again, from the beginning and with no time to expire. False for any other, and
   * for one whose session is unknown.
   */
  retry(id: string): Promise<boolean>;
  /** Removes commands that ended before a time, longest ended first. Answers with how many it removed. */
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
  /** Latest last. The oldest are left out where all would be too large for one answer. */
  list(): Promise<readonly Signal[]>;
  clear(name: string): Promise<boolean>;
}

/** A change of one session, command or signal. */
export interface JournalEntry {
  readonly seq: number;
  readonly at: number;
  readonly kind: "peer" | "order" | "signal";
  readonly key: string;
  readonly what: string;
}

/** The changes in their order. The engine writes an entry in the same step as the change. */
export interface Journal {
  /** The last entry's number, or 0. */
  last(): Promise<number>;
  /** The first entries after a number; undefined where some of them are gone. */
  after(seq: number, limit: number): Promise<readonly JournalEntry[] | undefined>;
}

/** The messages of a mailbox that have arrived beyond its watermark. */
export interface ArrivedIds {
  readonly channel: string;
  readonly ids: readonly number[];
}

/** The kinds of records that a bus holds, by the names of their tables. records.ts has their shapes. */
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

/** Everything that a bus holds, to be written elsewhere. Each kind comes oldest first. */
export type Archive = { readonly [Kind in keyof Records]: Archived<Records[Kind]> };

export type Archived<T> = Iterable<T> | AsyncIterable<T>;

/** Writes an archive to a new file that only its owner may read. Answers with the file's path. */
export type WriteArchive = (archive: Archive) => Promise<string>;

export interface ResetResult {
  /** The copy of everything that was there before. Only its owner may read it. */
  readonly backup: string;
  readonly removed: number;
}
