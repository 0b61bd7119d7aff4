import type { KeyObject } from "node:crypto";
interface ConnectOptions {
    /** Who one is, where a request leaves that out (IPC_AGENT). */
    readonly agent?: string;
    /** The private key to sign with: the path of its file (IPC_KEY), or the key itself, in PEM or as the file's bytes. */
    readonly key?: string | Uint8Array;
    /** The key that a server asks for (IPC_API_KEY). */
    readonly apiKey?: string;
    /** A token to show to a server, in place of one that is made with the key (IPC_TOKEN). */
    readonly token?: string;
}
interface CallOptions {
    /** Ends the call: a promise is rejected with its reason, a stream just ends. */
    readonly signal?: AbortSignal;
}
/** Each part on a line of its own in an editor, instead of how it came about. */
type Plain<T> = {
    [Key in keyof T]: T[Key];
};
/** Who asks may be left to `agent`. */
type MethodInput<Input, Self> = Plain<Omit<Input, Self & keyof Input> & Partial<Pick<Input, Self & keyof Input>>>;
/** `ask` answers with how the command ended. */
type AnswerOf<O> = O extends Typed<"ask", infer _I, infer _A, infer _Self, infer _Stream> ? AnswerOf<typeof commandResult> : O extends Typed<string, infer _I, infer Answer, infer _Self, infer _Stream> ? Answer : never;
type Call<Input, Result> = Record<never, never> extends Input ? (input?: Input, options?: CallOptions) => Result : (input: Input, options?: CallOptions) => Result;
type Method<O> = O extends Typed<string, infer Input, infer _A, infer Self, infer Stream> ? Call<MethodInput<Input, Self>, Stream extends true ? AsyncGenerator<AnswerOf<O>, void, void> : Promise<AnswerOf<O>>> : never;
/** The command line's verbs as methods: `channel send` is `channelSend`. They take and answer what HTTP does. */
type Methods = {
    readonly [O in Verb as MethodName<O["name"]>]: Method<O>;
};
/** Those that one can ask for by name. */
type Verb = Exclude<TypedOperation, Typed<string, unknown, unknown, unknown, unknown, true>>;
interface ConnectedBus extends Methods, AsyncDisposable {
    /**
     * What comes into a mailbox, as it comes. A message is consumed when the next one is asked for; whoever leaves the loop
     * or ends before gets it again, after 10 seconds at the latest.
     */
    mail(mailbox?: string, options?: CallOptions): AsyncGenerator<Message, void, void>;
    /** Ends what is still being waited for, and lets go of the bus. */
    close(): Promise<void>;
}
/**
 * A bus: behind the server at `target` where that is an address, on the NATS server where it is that one's, and else the
 * database there. Without one it is what IPC_URL, IPC_STORE or IPC_DB_PATH says, as for the command line.
 */
declare function connect(target?: string, options?: ConnectOptions): Promise<ConnectedBus>;
/** A message as its readers get it. */
interface Message {
    readonly id: number;
    readonly sender: string;
    readonly content: string;
    readonly timestamp: number;
    /** The bus has verified its signature; in open mode, where it can't, it has one. */
    readonly signed?: true;
    /** The sender showed a token instead: the server vouches for it. */
    readonly attested?: true;
}
/** Shows who wrote something: a signature that the bus has verified, or the writer's token, for which it vouches. */
type Proof = "verified" | "attested";
/** The readers that have consumed a message, by their watermarks. */
interface Receipts {
    readonly id: number;
    readonly channel: string;
    readonly sender: string;
    readonly read_by: readonly string[];
    /** Readers of the channel that haven't come this far. */
    readonly unread_by: readonly string[];
}
/**
 * An operation's requirement of its caller. `anyone`: nothing. `signed`: a proof inside the request, which the operation
 * checks. `reader`: the right to look. `actor`: a known identity, in secure mode. `keeper`: the right to destroy.
 */
type Access = "anyone" | "signed" | "reader" | "actor" | "keeper";
/** The parts of a request that decide whether its caller may make it. */
interface AccessRequest {
    readonly agent?: unknown;
    readonly channel?: unknown;
}
/** The origin of a request, and its proof. */
interface Caller {
    /** `process`: opened the store itself. `local` and `beyond`: over a network, from this machine or from another. */
    readonly from: "process" | "local" | "beyond";
    /** Showed the server's key, or the server lets everyone in. Says nothing about who it is. */
    readonly admitted: boolean;
    /** Showed the server's key. */
    readonly hasKey: boolean;
    /** Showed a token. */
    readonly identity: Identity | undefined;
}
/** The agent a token speaks for. */
interface Identity {
    readonly agent: string;
    readonly operator: boolean;
    /** Seconds since 1970. */
    readonly expires: number;
}
/** Describes this bus to strangers, in the agent card. */
interface CardSettings {
    readonly name: string;
    readonly description: string;
    readonly url: string;
}
/** The owner's decisions. */
interface Policy {
    readonly card: CardSettings;
    /** In secure mode: whether v1 signatures are still accepted. */
    readonly signatures: "any" | "v2";
    /** In secure mode: whether reading needs a token on this machine, too. */
    readonly readsNeedToken: boolean;
    /** Called when the bus has got an operator. */
    readonly secured: () => void;
}
/** Everything the rules in this folder work on. */
interface Bus extends Policy, AsyncDisposable {
    readonly store: Store;
    readonly wakeup: Wakeup;
    readonly link: Link;
    readonly brokers: Brokers;
    readonly alarms: AlarmBudget;
    readonly verifyMessage: Verifier;
    /** Seconds since 1970, with a fraction. */
    readonly now: () => number;
    /** Wakes waiters for these topics and watchers of the whole bus. Called after every change, once it is committed. */
    notify(changed?: Topic | readonly Topic[]): void;
}
/** Does what `verifySignature` does, perhaps on a thread. */
type Verifier = (signature: string, bytes: Uint8Array, publicKeyPem: string) => boolean | Promise<boolean>;
/** Passes a text straight to a listener at an address. Nothing in between stores it. */
interface Link {
    /** Resolves once the other end has taken the text. Where nobody listens yet, it waits for that. */
    send(address: Address, text: string, deadline: Deadline): Promise<void>;
    /** Milliseconds until the other end answered. */
    ping(address: Address, deadline: Deadline): Promise<number>;
    /** Waits at an address for one text, answering pings meanwhile; undefined once the time is up. */
    receive(address: Address, deadline: Deadline): Promise<ReceivedText | undefined>;
    /** Tells the sender of a text, which waits for it, whether the text arrived. */
    settle(receipt: number, arrived: boolean): Promise<void>;
}
interface Address {
    readonly host: string;
    readonly port: number;
}
interface Deadline {
    readonly milliseconds: number;
    readonly signal: AbortSignal;
}
interface ReceivedText {
    readonly text: string;
    /** The sender's address. */
    readonly from: string;
    readonly receipt: number;
}
/** The TCP brokers on ports of this machine: those that this process runs for its bus, and other processes' brokers. */
interface Brokers extends AsyncDisposable {
    /** `own`: this process serves there already. `found`: another process's broker does, and is used. */
    start(address: Address): Promise<"started" | "own" | "found">;
    /** False if this process serves nothing there. */
    stop(port: number): Promise<boolean>;
    owns(port: number): boolean;
    /** Asks another process's broker; undefined if nobody listens there. */
    ask(port: number, request: BrokerRequest, signal: AbortSignal): Promise<BrokerAnswer | undefined>;
}
type BrokerRequest = Readonly<Record<string, unknown>>;
type BrokerAnswer = Readonly<Record<string, unknown>>;
/** Keeps a flood of refused attempts from becoming a flood of messages. One per process. */
interface AlarmBudget {
    /** How many of this kind were held back since the last one that wasn't; undefined if this one is held back, too. */
    spend(kind: string, now: number): number | undefined;
}
/** What went wrong, in the bus's own words. Each surface translates these once. */
declare const errorCodes: readonly ["invalid", "unauthorized", "not_found", "conflict", "internal"];
type ErrorCode = (typeof errorCodes)[number];
/** Finer than a code, for programs: what a client or an operator may want to tell apart. */
declare const reasons: readonly ["too_large", "busy", "unauthenticated", "unsigned_message", "unknown_sender", "invalid_signature", "wrong_audience", "stale", "replay", "revoked", "unauthorized_registration", "invalid_token", "not_yours", "from_beyond"];
type Reason = (typeof reasons)[number];
declare const BRAND: unique symbol;
/** An expected failure: its message is a sentence for the user. Anything else that is thrown is a fault of ours. */
declare class IpcError extends Error {
    readonly code: ErrorCode;
    readonly reason: Reason | undefined;
    readonly [BRAND] = true;
    constructor(code: ErrorCode, message: string, reason?: Reason, options?: ErrorOptions);
}
/** By brand, not by class: the built files hold a copy of this module each. */
declare function isIpcError(error: unknown): error is IpcError;
/**
 * The port to the engine that stores the bus. Each method is one atomic step. Every engine passes the contracts in
 * test/contracts/store.ts, which promise more than the signatures here.
 */
interface Store extends AsyncDisposable {
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
interface Changes {
    /** Channels with new messages. */
    readonly channels: readonly string[];
    /** Something other than messages may have changed. */
    readonly others: boolean;
}
interface NewMessage {
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
interface RequestKey {
    readonly signer: string;
    readonly nonce: string;
    /** The digest of the signed bytes. */
    readonly digest: string;
    readonly at: number;
}
/** A request that was done. */
interface DoneRequest extends RequestKey {
    /** The message that it stored; 0 for another request. */
    readonly messageId: number;
}
/** `repeated`: done before, and not done again. `clash`: another request has used the nonce. */
type Outcome = "done" | "repeated" | "clash";
interface AppendResult {
    readonly outcome: Outcome;
    /** The stored message; on a repetition the first one. */
    readonly id: number;
}
interface StoredMessage extends NewMessage {
    /** Grows in commit order over all channels, and is never used twice. */
    readonly id: number;
}
interface UnreadOptions {
    readonly limit: number;
    /** Leave out the agent's own messages. */
    readonly others: boolean;
}
interface ChannelSummary {
    readonly channel: string;
    readonly count: number;
    readonly lastMessage: number;
}
interface Reader {
    readonly agent: string;
    /** Its watermark. */
    readonly lastId: number;
}
interface Watermark extends Reader {
    readonly channel: string;
}
/** A message without its content. */
interface Envelope {
    readonly id: number;
    readonly channel: string;
    readonly sender: string;
    readonly timestamp: number;
}
/** Which of a channel's oldest messages may be removed. All given conditions must hold. */
interface PruneCriteria {
    /** Sent before this time, in seconds. */
    readonly before?: number | undefined;
    /** Not among this many of the newest. */
    readonly keep?: number | undefined;
    /** Consumed by every agent that has ever read the channel. */
    readonly consumed: boolean;
}
interface PrunableRange {
    readonly upTo: number;
    readonly count: number;
    /** How many of them some reader of the channel hasn't consumed; all, where the channel has no reader. */
    readonly unconsumed: number;
}
interface MessageStore {
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
interface TakeOptions {
    readonly limit: number;
    readonly now: number;
    /** Seconds for which no other session gets the messages. */
    readonly lease: number;
}
/** A channel that several sessions read under one name. Each message goes to one of them. */
interface MailboxStore {
    /** Leases the first unread messages that are neither leased nor arrived. */
    take(channel: string, agent: string, options: TakeOptions): Promise<readonly StoredMessage[]>;
    /** Notes that messages have arrived. The watermark moves up to the first message that hasn't. */
    settle(channel: string, agent: string, ids: readonly number[]): Promise<void>;
    /** Ends the leases of messages that haven't arrived. */
    release(channel: string, ids: readonly number[]): Promise<void>;
    /** When the next lease on an unread message ends. */
    nextFree(channel: string, agent: string): Promise<number | undefined>;
}
type Role = "agent" | "operator";
interface Agent {
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
interface Revoked {
    readonly name: string;
    readonly publicKey: string;
    readonly registeredBy: string | null;
}
/**
 * When an agent may take a name. `new`: the name is unused. `own`: unused, or registered before by the same operator.
 * `rotate`: in use or revoked; the agent gets another key. An operator's name is never taken.
 */
type NameClaim = "new" | "own" | "rotate";
interface AgentStore {
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
type Json = unknown;
/** A live attachment of an agent, or one that ended. */
interface Session {
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
interface ExclusiveRole {
    readonly role: string;
    readonly aliveSince: number;
}
interface SessionStore {
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
type CommandStatus = "pending" | "leased" | "acked" | "failed" | "dead" | "expired";
interface NewCommand {
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
interface Command extends NewCommand {
    readonly status: CommandStatus;
    /** How many times it was handed out. */
    readonly attempts: number;
    readonly holder: string | null;
    readonly leaseUntil: number | null;
    readonly result: Json;
    readonly endedAt: number | null;
}
interface CommandEnd {
    readonly status: "acked" | "failed";
    readonly result: Json;
    readonly at: number;
}
/** What is stored in the same step as a command's end. */
interface Consequences {
    readonly response?: NewCommand | undefined;
    readonly signal?: Signal | undefined;
    readonly activity?: {
        readonly channel: string;
        readonly sender: string;
        readonly content: string;
    } | undefined;
}
interface CommandFilter {
    /** Only commands that this session could take or has taken: its own, and those for its role. */
    readonly peer?: string | undefined;
    readonly status?: CommandStatus | undefined;
    readonly limit: number;
}
interface CommandStore {
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
interface Signal {
    readonly name: string;
    readonly data: Json;
    readonly sender: string;
    readonly setAt: number;
}
interface SignalStore {
    set(signal: Signal): Promise<void>;
    get(name: string): Promise<Signal | undefined>;
    /** Latest last. The oldest are left out where all would be too large for one answer. */
    list(): Promise<readonly Signal[]>;
    clear(name: string): Promise<boolean>;
}
/** A change of one session, command or signal. */
interface JournalEntry {
    readonly seq: number;
    readonly at: number;
    readonly kind: "peer" | "order" | "signal";
    readonly key: string;
    readonly what: string;
}
/** The changes in their order. The engine writes an entry in the same step as the change. */
interface Journal {
    /** The last entry's number, or 0. */
    last(): Promise<number>;
    /** The first entries after a number; undefined where some of them are gone. */
    after(seq: number, limit: number): Promise<readonly JournalEntry[] | undefined>;
}
/** The messages of a mailbox that have arrived beyond its watermark. */
interface ArrivedIds {
    readonly channel: string;
    readonly ids: readonly number[];
}
/** The kinds of records that a bus holds, by the names of their tables. records.ts has their shapes. */
interface Records {
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
type Archive = {
    readonly [Kind in keyof Records]: Archived<Records[Kind]>;
};
type Archived<T> = Iterable<T> | AsyncIterable<T>;
interface ResetResult {
    /** The copy of everything that was there before. Only its owner may read it. */
    readonly backup: string;
    readonly removed: number;
}
/**
 * Tells waiters to look again. A wake-up carries no data; it may be lost or come twice without harm, since a woken waiter
 * reads the store. test/contracts/wakeup.ts holds what every kind promises.
 */
interface Wakeup extends AsyncDisposable {
    /** Called after the commit. Never throws: waiters that miss a ring look again when their clock says so. */
    ring(topic: Topic): void;
    /** Rings after this returns are heard by the bell's next `wait`, even if they come before that call. */
    arm(topic: Topic): Bell;
}
interface Bell extends Disposable {
    /** Resolves when the bell was rung, when `signal` aborts, or after `milliseconds`, whichever is first. */
    wait(signal: AbortSignal, milliseconds?: number): Promise<void>;
}
/** A channel's name, for its messages. Other topics begin with a control character, which no name holds. */
type Topic = string;
/** Makes a signed request valid for one bus, once, and for a limited time. */
interface Stamp {
    /** DID of the bus it is meant for; empty in open mode. */
    readonly aud: string;
    /** 16 random bytes, base64url. */
    readonly nonce: string;
    /** Milliseconds since 1970. */
    readonly ts: number;
}
/** An order as the world sees it, where it is a command. */
interface PublicCommand {
    readonly id: string;
    /** `command_response` tells the sender of a command how it ended. */
    readonly kind: "command" | "command_response";
    readonly from: string;
    /** The sender's session; null for a human or a program without one. */
    readonly fromId: string | null;
    /** A session's id, or the role for whoever of it is first. */
    readonly target: string;
    readonly targetRole: string;
    readonly action: string;
    readonly params: Json;
    readonly ts: number;
    readonly status: CommandStatus;
    /** How often it was handed out. */
    readonly attempts: number;
    readonly holder: string | null;
    readonly leaseUntil: number | null;
    readonly result: Json;
    /** When it ended, in whatever way. */
    readonly ackedAt: number | null;
}
declare const commandResult: Typed<"command result", InputOf<{
    id: Field<string>;
    timeout: Optional<number>;
}>, {
    ok: boolean;
    command: PublicCommand;
}, never, false, false>;
declare const ask: Typed<"ask", InputOf<{
    target: Field<string>;
    action: Field<string>;
    params: Optional<unknown>;
    from: Optional<string>;
    lease: Optional<number>;
    any: Optional<boolean>;
    expires: Optional<number>;
    timeout: {
        check: (value: unknown) => Checked<number>;
        about: string;
        kind: "text" | "number" | "flag" | "json" | "list";
        schema?: FieldSchema;
        flag?: string;
        given?: "file" | "text";
        httpMilliseconds?: true;
        wireOnly?: true;
        neverEmpty?: true;
        mostBytes?: number;
        optional: true;
        callerOnly: true;
    };
}>, unknown, "from", false, false>;
interface Context {
    readonly caller: Caller;
    readonly signal: AbortSignal;
}
/** Whoever signs on the caller's side: it knows the key, and for which bus it signs. */
interface Signer {
    readonly key: KeyObject;
    /** The bus's DID; empty in open mode. */
    audience(): Promise<string>;
    stamp(): Promise<Stamp>;
    token(agent: string, seconds: number): Promise<string>;
    ask(operation: Operation, input: unknown): Promise<unknown>;
}
/** What is performed once an answer has reached whoever asked. */
interface FollowUp {
    readonly operation: Operation;
    readonly input: unknown;
}
/** A file that an answer asks a command line to write. */
interface AnswerFile {
    readonly path: string;
    readonly text: string;
    readonly secret: boolean;
}
/**
 * One thing that the bus can do: a row of the table. Every surface is made from it: the command line its verb, words and
 * flags, HTTP its route, MCP its tool, the help and the documents their text.
 */
interface OperationDefinition<F extends Fields, A, B extends StorelessBus = Bus> {
    /** The verb. */
    readonly name: string;
    readonly summary: string;
    /** Further help, where one line isn't enough. */
    readonly details?: string;
    readonly examples: readonly string[];
    readonly access: AccessPart<F>;
    /** Method and path. Without it no network can ask for the operation. */
    readonly http?: `${"GET" | "POST" | "DELETE"} /${string}`;
    /** The operation answers with an async iterable. */
    readonly stream?: true;
    /** Repeating the operation changes nothing more. */
    readonly idempotent?: true;
    /** The operation uses nothing stored, so no store is opened for it: `defineStoreless` makes its definition. */
    readonly storeless?: true;
    /** The operation is no verb: another operation settles with it, or only a model asks for it. */
    readonly hidden?: true;
    readonly input: InputPart<F>;
    readonly signature?: SignaturePart<F>;
    /** Carries the operation out. Answers with a promise for one answer, or with an async iterable for a stream. */
    run(bus: B, input: InputOf<F>, context: Context): Promise<A> | AsyncIterable<A>;
    readonly waits?: WaitPart<F, NoInfer<A>>;
    readonly after?: AfterPart<F, NoInfer<A>>;
    readonly output?: OutputPart<F, NoInfer<A>>;
    readonly tool?: Tool<F, NoInfer<A>>;
}
/** Input: the fields of a request, and how surfaces fill them. */
interface InputPart<F extends Fields> {
    readonly fields: F;
    /** The fields that a command line takes without their names, in order. */
    readonly positionals?: readonly (keyof F & string)[];
    /** The field that names the asker; a command line fills it from IPC_AGENT. */
    readonly self?: keyof F & string;
    /** The field that is the whole body of an HTTP request; the others then stand in its address. */
    readonly body?: keyof F & string;
}
/** Access: what the caller must prove before the operation runs. */
interface AccessPart<F extends Fields> {
    readonly level: Access;
    /** The agent and channel that are asked about, where the fields `agent` and `channel` don't say it. */
    subject?(input: InputOf<F>): AccessRequest;
    /** Whether the answer depends on the caller, at a level that admits anyone. Clients then show who they are. */
    dependsOnCaller?(input: InputOf<F>): boolean;
}
/** Signature: how the asker's private key signs a request. */
interface SignaturePart<F extends Fields> {
    /** The field that names the owner of the key, where that isn't the asker. */
    readonly by?: keyof F & string;
    /** The operation fails without a signature, so a client asks for the key at once. */
    readonly required?: true;
    /** Returns the input with its signature. Runs on the asker's side. */
    add(input: InputOf<F>, signer: Signer): Promise<InputOf<F>>;
}
/** Waits: operations that may wait for something to happen. */
interface WaitPart<F extends Fields, A> {
    isWaiting(input: InputOf<F>): boolean;
    /** Whether the answer says that the time was up. A null answer always says so. */
    isTimeout?(answer: A, input: InputOf<F>): boolean;
}
/** After: what follows once it is known whether the answer reached the asker. */
interface AfterPart<F extends Fields, A> {
    delivered?(answer: A, input: InputOf<F>): FollowUp | undefined;
    /** What is performed when an answer can't reach the asker. */
    lost?(answer: A, input: InputOf<F>): FollowUp | undefined;
    /** Requests that the asker makes next, all at once, and shows the answers of. A server leaves them to the asker. */
    next?(answer: A, input: InputOf<F>): readonly FollowUp[];
    /** Requests of one turn are answered one by one, each after the follow-up of the one before. */
    turn?(input: InputOf<F>): string;
}
/** Output: the answer, or each answer of a stream, as people and models read it. */
interface OutputPart<F extends Fields, A> {
    /** Plain text on standard output; one line of JSON unless given. */
    text?(answer: A, input: InputOf<F>): string;
    /** Text for a model, with the words of others marked as theirs; `text` unless given. */
    model?(answer: A, input: InputOf<F>, quote: Quote): string;
    /** A remark beside the answer, on standard error. */
    note?(answer: A, input: InputOf<F>): string | undefined;
    /** Files that a command line writes. */
    files?(answer: A, input: InputOf<F>): readonly AnswerFile[];
    /** Whether the text is a private key. */
    isSecret?(input: InputOf<F>): boolean;
    /** The reason why the answer is a failure, if it is one: a command line prints it and exits with 1. */
    failure?(answer: A, input: InputOf<F>): string | undefined;
    /** The progress of long work, for answers of a stream that report it. */
    progress?(answer: A): {
        readonly done: number;
        readonly of: number;
    } | undefined;
    /** Whether a stream ends with this answer. A stream without it goes on for as long as it is read. */
    isLast?(answer: A): boolean;
}
type Operation = OperationDefinition<Fields, unknown>;
/** The part of a bus that works without a store. */
type StorelessBus = Pick<Bus, "link">;
declare const types: unique symbol;
/** What an operation is called, takes and answers, for a caller that names it. Nothing of this is there at run time. */
interface Typed<Name extends string, Input, Answer, Self, Stream, Hidden = false> {
    readonly name: Name;
    readonly [types]?: {
        readonly input: Input;
        readonly answer: Answer;
        readonly self: Self;
        readonly stream: Stream;
        readonly hidden: Hidden;
    };
}
/** An operation as a tool that a model calls. Each word of it is paid for in every conversation. */
interface Tool<F extends Fields, A> {
    readonly name: string;
    readonly about: string;
    /** Its arguments: those fields, each with the name and the words for a model where they are others. */
    readonly arguments: {
        readonly [K in keyof F & string]?: Argument;
    };
    /** The field that says which session asks; the caller's own fills it. */
    readonly session?: keyof F & string;
    /** What is asked instead while an argument that it can't do without is missing. */
    readonly otherwise?: Operation;
    /** The same call again changes nothing more. */
    readonly repeatable?: true;
    /** The session that an answer has made, which from then on is the caller's own. */
    begins?(answer: A): string;
}
interface Argument {
    readonly name?: string;
    readonly about?: string;
    /** What its JSON Schema says, where any JSON would be taken but one shape is meant. */
    readonly type?: "string" | "object";
    /** Its value where none is given. */
    readonly usual?: unknown;
}
/** What somebody on the bus wrote. */
interface QuotedText {
    readonly from: string;
    readonly text: string;
    /** What shows that it is from there; undefined where nothing does. */
    readonly proof?: "verified" | "attested" | undefined;
}
/** Marks words as data from where they come, in a way that they can't undo. */
type Quote = (words: QuotedText) => string;
type MethodName<Verb extends string> = Verb extends `${infer First} ${infer Rest}` ? `${MethodName<First>}${Capitalize<MethodName<Rest>>}` : Verb extends `${infer First}-${infer Rest}` ? `${First}${Capitalize<MethodName<Rest>>}` : Verb;
/** A value that obeys a field's rule, or what is wrong with it, to be said behind the field's name. */
type Checked<T> = {
    readonly value: T;
} | {
    readonly fault: string;
};
/** One thing that an operation is told: its rule, its words for people, and how plain text becomes it. */
interface Field<T = unknown> {
    readonly check: (value: unknown) => Checked<T>;
    readonly about: string;
    readonly kind: "text" | "number" | "flag" | "json" | "list";
    readonly optional: boolean;
    /** What a JSON Schema says of it, where that is more than follows from its kind. */
    readonly schema?: FieldSchema;
    /** Its name as a flag, where that differs from the field's own. */
    readonly flag?: string;
    /** How a command line gives it: as the name of a file that holds it, or as text, from a file or from standard input. */
    readonly given?: "file" | "text";
    /** Seconds everywhere, but milliseconds over HTTP, as S4's document has it. */
    readonly httpMilliseconds?: true;
    /** A command line has no use for it. */
    readonly wireOnly?: true;
    /** Whoever asks sees to it; it isn't part of the request. */
    readonly callerOnly?: true;
    /** An empty text is a mistake here, and not the same as none. */
    readonly neverEmpty?: true;
    /** Too long is a failure of its own, which HTTP answers with 413. */
    readonly mostBytes?: number;
}
interface FieldSchema {
    readonly type: string;
    readonly enum?: readonly string[];
    readonly minimum?: number;
    readonly maximum?: number;
    readonly maxLength?: number;
    readonly pattern?: string;
    readonly items?: FieldSchema;
    readonly maxItems?: number;
}
interface Optional<T> extends Field<T> {
    readonly optional: true;
}
type Fields = Readonly<Record<string, Field>>;
type OptionalNames<F extends Fields> = {
    [K in keyof F]: F[K] extends Optional<unknown> ? K : never;
}[keyof F];
type Value<T> = T extends Field<infer V> ? V : never;
type InputOf<F extends Fields> = {
    readonly [K in Exclude<keyof F, OptionalNames<F>>]: Value<F[K]>;
} & {
    readonly [K in OptionalNames<F>]?: Value<F[K]>;
};
declare const table: readonly [Typed<"send", InputOf<{
    v: Optional<number>;
    aud: Optional<string>;
    nonce: Optional<string>;
    ts: Optional<number>;
    channel: Field<string>;
    sender: Field<string>;
    content: Field<string>;
    signature: Optional<string>;
    wait_for_read: {
        check: (value: unknown) => Checked<string>;
        about: string;
        kind: "text" | "number" | "flag" | "json" | "list";
        schema?: FieldSchema;
        flag?: string;
        given?: "file" | "text";
        httpMilliseconds?: true;
        wireOnly?: true;
        neverEmpty?: true;
        mostBytes?: number;
        optional: true;
        callerOnly: true;
    };
    timeout: {
        check: (value: unknown) => Checked<number>;
        about: string;
        kind: "text" | "number" | "flag" | "json" | "list";
        schema?: FieldSchema;
        flag?: string;
        given?: "file" | "text";
        httpMilliseconds?: true;
        wireOnly?: true;
        neverEmpty?: true;
        mostBytes?: number;
        optional: true;
        callerOnly: true;
    };
}>, {
    ok: boolean;
    id: number;
    duplicate?: true;
}, "sender", false, false>, Typed<"read", InputOf<{
    channel: Field<string>;
    agent: Field<string>;
    wait: Optional<boolean>;
    timeout: Optional<number>;
    burst: Optional<number>;
    peek: Optional<boolean>;
    limit: Optional<number>;
    others: Optional<boolean>;
    ack: Optional<"auto" | "manual">;
}>, readonly Message[], "agent", false, false>, Typed<"ack", InputOf<{
    channel: Field<string>;
    agent: Field<string>;
    id: {
        check: (value: unknown) => Checked<number>;
        about: string;
        kind: "text" | "number" | "flag" | "json" | "list";
        optional: boolean;
        flag?: string;
        given?: "file" | "text";
        httpMilliseconds?: true;
        wireOnly?: true;
        callerOnly?: true;
        neverEmpty?: true;
        mostBytes?: number;
        schema: {
            type: string;
            minimum: number;
            maximum: number;
        };
    };
}>, {
    ok: boolean;
    watermark: number;
}, "agent", false, false>, Typed<"follow", InputOf<{
    channel: Field<string>;
    agent: Field<string>;
    since: Optional<number>;
    peek: Optional<boolean>;
    others: Optional<boolean>;
}>, Message, "agent", true, false>, Typed<"receipts", InputOf<{
    id: {
        check: (value: unknown) => Checked<number>;
        about: string;
        kind: "text" | "number" | "flag" | "json" | "list";
        optional: boolean;
        flag?: string;
        given?: "file" | "text";
        httpMilliseconds?: true;
        wireOnly?: true;
        callerOnly?: true;
        neverEmpty?: true;
        mostBytes?: number;
        schema: {
            type: string;
            minimum: number;
            maximum: number;
        };
    };
    wait_for: Optional<string>;
    timeout: Optional<number>;
}>, Receipts, never, false, false>, Typed<"channels", InputOf<{}>, {
    channel: string;
    count: number;
    last_message: number;
}[], never, false, false>, Typed<"seed", InputOf<{
    name: Field<string>;
}>, {
    name: string;
    public_key: string;
    private_key: string;
}, never, false, false>, Typed<"keygen", InputOf<{
    out: Optional<string>;
}>, {
    private_key: string;
    public_key: string;
}, never, false, false>, Typed<"register", InputOf<{
    v: Optional<number>;
    aud: Optional<string>;
    nonce: Optional<string>;
    ts: Optional<number>;
    name: Field<string>;
    public_key: Field<string>;
    operator: Field<string>;
    identity: Optional<string>;
    rotate: Optional<boolean>;
    v2_only: {
        check: (value: unknown) => Checked<boolean>;
        about: string;
        kind: "text" | "number" | "flag" | "json" | "list";
        schema?: FieldSchema;
        given?: "file" | "text";
        httpMilliseconds?: true;
        wireOnly?: true;
        callerOnly?: true;
        neverEmpty?: true;
        mostBytes?: number;
        optional: true;
        flag: string;
    };
    operator_signature: Optional<string>;
    operator_key: Optional<string>;
}>, {
    ok: boolean;
    message: string;
    duplicate?: boolean;
}, never, false, false>, Typed<"revoke", InputOf<{
    v: Optional<number>;
    aud: Optional<string>;
    nonce: Optional<string>;
    ts: Optional<number>;
    name: Field<string>;
    operator: Field<string>;
    public_key: Optional<string>;
    operator_signature: Optional<string>;
}>, {
    ok: boolean;
    message: string;
    duplicate?: boolean;
}, never, false, false>, Typed<"agents", InputOf<{
    keys: Optional<boolean>;
}>, {
    name: string;
    identity: string;
    role: Role;
    registered_by: string | null;
    created_at: number;
    public_key?: string;
}[], never, false, false>, Typed<"token", InputOf<{
    agent: Field<string>;
    seconds: Optional<number>;
    token: Optional<string>;
}>, {
    agent: string;
    token: string;
}, "agent", false, false>, Typed<"agent-card", InputOf<{}>, {
    name: string;
    description: string;
    url: string;
    version: string;
    capabilities: {
        streaming: boolean;
        pushNotifications: boolean;
    };
    authentication: {
        schemes: string[];
    };
    defaultInputModes: string[];
    defaultOutputModes: string[];
    skills: {
        id: string;
        name: string;
        description: string;
        tags: string[];
    }[];
    did?: string;
}, never, false, false>, Typed<"health", InputOf<{
    channel: Optional<string>;
    agent: Optional<string>;
}>, {
    status: string;
    pending: number;
    secure_mode: boolean;
    did?: string;
}, "agent", false, false>, Typed<"rights", InputOf<{}>, {
    secure_mode: boolean;
    agent: string | null;
    operator: boolean;
    expires: number | null;
    may: readonly Access[];
    ok: boolean;
}, never, false, false>, Typed<"post", InputOf<{
    v: Optional<number>;
    aud: Optional<string>;
    nonce: Optional<string>;
    ts: Optional<number>;
    to: Field<string>;
    message: Field<string>;
    from: Field<string>;
    signature: Optional<string>;
}>, {
    ok: boolean;
    id: number;
    duplicate?: true;
}, "from", false, false>, Typed<"fetch", InputOf<{
    mailbox: Field<string>;
    limit: Optional<number>;
    ack: Optional<"auto" | "manual">;
}>, {
    ok: boolean;
    messages: readonly Message[];
}, "mailbox", false, false>, Typed<"wait", InputOf<{
    mailbox: Field<string>;
    timeout: Optional<number>;
    ack: Optional<"auto" | "manual">;
}>, {
    ok: boolean;
    message: Message;
} | null, "mailbox", false, false>, Typed<"inbox", InputOf<{
    mailbox: Field<string>;
}>, {
    ok: boolean;
    unread: number;
    messages: readonly Message[];
}, "mailbox", false, false>, Typed<"mailbox settle", InputOf<{
    mailbox: Field<string>;
    ids: Field<readonly number[]>;
}>, {
    ok: boolean;
}, "mailbox", false, false>, Typed<"mailboxes", InputOf<{}>, {
    ok: boolean;
    mailboxes: readonly MailboxSummary[];
}, never, false, false>, Typed<"peers", InputOf<{}>, {
    ok: boolean;
    peers: PublicSession[];
}, never, false, false>, Typed<"discover", InputOf<{}>, {
    ok: boolean;
    peers: PublicSession[];
    suggestions: string[];
}, never, false, false>, Typed<"connect", InputOf<{
    role: Field<string>;
    capabilities: Optional<readonly string[]>;
}>, {
    ok: boolean;
    id: string;
    peer: PublicSession;
}, never, false, false>, Typed<"whoami", InputOf<{
    id: Field<string>;
}>, {
    ok: boolean;
    peer: PublicSession;
}, never, false, false>, Typed<"heartbeat", InputOf<{
    id: Field<string>;
}>, {
    ok: boolean;
    peer: PublicSession;
}, never, false, false>, Typed<"role", InputOf<{
    id: Field<string>;
    role: Field<string>;
}>, {
    ok: boolean;
    peer: PublicSession;
}, never, false, false>, Typed<"leave", InputOf<{
    id: Field<string>;
}>, {
    ok: boolean;
}, never, false, false>, Typed<"online", InputOf<{
    name: Field<string>;
}>, {
    ok: boolean;
    name: string;
    online: boolean;
    last_seen: number | null;
}, "name", false, false>, Typed<"command send", InputOf<{
    readonly target: Field<string>;
    readonly action: Field<string>;
    readonly params: Optional<unknown>;
    readonly from: Optional<string>;
    readonly lease: Optional<number>;
    readonly any: Optional<boolean>;
    readonly expires: Optional<number>;
}>, {
    ok: boolean;
    command: PublicCommand | undefined;
    commands: PublicCommand[];
}, "from", false, false>, Typed<"ask", InputOf<{
    target: Field<string>;
    action: Field<string>;
    params: Optional<unknown>;
    from: Optional<string>;
    lease: Optional<number>;
    any: Optional<boolean>;
    expires: Optional<number>;
    timeout: {
        check: (value: unknown) => Checked<number>;
        about: string;
        kind: "text" | "number" | "flag" | "json" | "list";
        schema?: FieldSchema;
        flag?: string;
        given?: "file" | "text";
        httpMilliseconds?: true;
        wireOnly?: true;
        neverEmpty?: true;
        mostBytes?: number;
        optional: true;
        callerOnly: true;
    };
}>, unknown, "from", false, false>, Typed<"command wait", InputOf<{
    peer: Field<string>;
    timeout: Optional<number>;
}>, {
    ok: boolean;
    command: PublicCommand;
    agent?: string;
} | null, never, false, false>, Typed<"command ack", InputOf<{
    id: Field<string>;
    result: Optional<unknown>;
}>, {
    ok: boolean;
    command: PublicCommand;
}, never, false, false>, Typed<"command fail", InputOf<{
    id: Field<string>;
    error: Optional<string>;
}>, {
    ok: boolean;
    command: PublicCommand;
}, never, false, false>, Typed<"command result", InputOf<{
    id: Field<string>;
    timeout: Optional<number>;
}>, {
    ok: boolean;
    command: PublicCommand;
}, never, false, false>, Typed<"command list", InputOf<{
    peer: Optional<string>;
    status: Optional<"acked" | "dead" | "expired" | "failed" | "leased" | "pending">;
    limit: Optional<number>;
}>, {
    ok: boolean;
    commands: PublicCommand[];
}, never, false, false>, Typed<"command pending", InputOf<{
    peer: Field<string>;
}>, {
    ok: boolean;
    commands: PublicCommand[];
}, never, false, false>, Typed<"command retry", InputOf<{
    id: Field<string>;
}>, {
    ok: boolean;
    command: PublicCommand;
}, never, false, false>, Typed<"signal set", InputOf<{
    name: Field<string>;
    data: Optional<unknown>;
    from: Optional<string>;
}>, {
    ok: boolean;
    signal: PublicSignal;
}, "from", false, false>, Typed<"signal wait", InputOf<{
    name: Field<string>;
    timeout: Optional<number>;
}>, {
    ok: boolean;
    signal: PublicSignal;
    agent?: string;
} | null, never, false, false>, Typed<"signal get", InputOf<{
    name: Field<string>;
}>, {
    ok: boolean;
    signal: PublicSignal;
}, never, false, false>, Typed<"signal list", InputOf<{}>, {
    ok: boolean;
    signals: PublicSignal[];
}, never, false, false>, Typed<"signal clear", InputOf<{
    name: Field<string>;
}>, {
    ok: boolean;
}, never, false, false>, Typed<"channel send", InputOf<{
    v: Optional<number>;
    aud: Optional<string>;
    nonce: Optional<string>;
    ts: Optional<number>;
    channel: Field<string>;
    data: Field<unknown>;
    from: Optional<string>;
    signature: Optional<string>;
}>, {
    ok: boolean;
    id: number;
}, "from", false, false>, Typed<"channel messages", InputOf<{
    channel: Field<string>;
    since: Optional<number>;
    before: Optional<number>;
    limit: Optional<number>;
    timeout: {
        check: (value: unknown) => Checked<number>;
        about: string;
        kind: "text" | "number" | "flag" | "json" | "list";
        schema?: FieldSchema;
        flag?: string;
        given?: "file" | "text";
        wireOnly?: true;
        callerOnly?: true;
        neverEmpty?: true;
        mostBytes?: number;
        optional: true;
        httpMilliseconds: true;
    };
}>, {
    ok: boolean;
    messages: PublicMessage[];
}, never, false, false>, Typed<"status", InputOf<{}>, {
    ok: boolean;
    secure_mode: boolean;
    now: number;
    peers: PublicSession[];
    commands: PublicCommand[];
    signals: PublicSignal[];
    channels: {
        channel: string;
        count: number;
        last_message: number;
    }[];
}, never, false, false>, Typed<"traffic", InputOf<{
    minutes: Optional<number>;
}>, {
    up_to: number;
    minutes: readonly MinuteCount[];
    flows: readonly Flow[];
    ok: boolean;
}, never, false, false>, Typed<"events", InputOf<{
    since: Optional<string>;
}>, {
    id: string;
    ts: number;
    type: string;
    data: {
        ok: boolean;
        secure_mode: boolean;
        now: number;
        peers: PublicSession[];
        commands: PublicCommand[];
        signals: PublicSignal[];
        channels: {
            channel: string;
            count: number;
            last_message: number;
        }[];
        readings: {
            channel: string;
            agent: string;
            last_id: number;
            unread: number;
        }[];
        id?: never;
        name?: never;
    };
} | {
    id: string;
    ts: number;
    type: string;
    data: PublicSession[];
} | {
    id: string;
    ts: number;
    type: string;
    data: {
        channel: string;
        count: number;
        last_message: number;
    }[];
} | {
    id: string;
    ts: number;
    type: string;
    data: {
        channel: string;
        agent: string;
        last_id: number;
        unread: number;
    }[];
} | {
    id: string;
    ts: number;
    type: string;
    data: PublicSession | {
        id: string;
        name?: never;
    };
} | {
    id: string;
    ts: number;
    type: string;
    data: PublicCommand | {
        id: string;
        name?: never;
    };
} | {
    id: string;
    ts: number;
    type: string;
    data: PublicSignal | {
        id?: never;
        name: string;
    };
} | {
    id: string;
    ts: number;
    type: string;
    data: PublicMessage;
}, never, true, false>, Typed<"tcp send", InputOf<{
    host: Field<string>;
    message: Field<string>;
    timeout: Optional<number>;
}>, {
    host: string;
    port: number;
    ok: boolean;
}, never, false, false>, Typed<"tcp receive", InputOf<{
    port: Optional<number>;
    timeout: Optional<number>;
    bind: Optional<string>;
}>, {
    ok: boolean;
    message: string;
    from: string;
    receipt: number;
} | null, never, false, false>, Typed<"tcp ping", InputOf<{
    host: Field<string>;
    timeout: Optional<number>;
}>, {
    host: string;
    port: number;
    ok: boolean;
    ms: number;
}, never, false, false>, Typed<"ipc", InputOf<{
    readonly operation: Field<"broker_start" | "broker_status" | "broker_stop" | "fetch" | "ping" | "post" | "receive" | "send" | "wait">;
    readonly host: Optional<string>;
    readonly port: Optional<number>;
    readonly bind: Optional<string>;
    readonly to: Optional<string>;
    readonly from: Optional<string>;
    readonly message: Optional<string>;
    readonly mailbox: Optional<string>;
    readonly timeout: Optional<number>;
}>, Done, never, false, true>, Typed<"prune", InputOf<{
    channel: Optional<string>;
    older_than: Optional<number>;
    keep: Optional<number>;
    consumed: Optional<boolean>;
    dry_run: Optional<boolean>;
}>, PruningProgress, never, true, false>, Typed<"reset", InputOf<{}>, {
    ok: boolean;
    removed: number;
    backup: string;
}, never, false, false>];
/** One of them, with its own types, for who names it. */
type TypedOperation = (typeof table)[number];
interface MailboxSummary {
    readonly mailbox: string;
    readonly unread: number;
}
/** A peer as the world sees it. */
interface PublicSession {
    readonly id: string;
    readonly role: string;
    readonly capabilities: readonly string[];
    readonly status: "online" | "gone";
    readonly waiting_for: string | null;
    readonly agent: string | null;
    readonly connected_at: number;
    readonly last_seen: number;
}
/** A signal as the world sees it. */
interface PublicSignal {
    readonly name: string;
    readonly data: Json;
    readonly from: string;
    readonly ts: number;
}
/** A message whose content is JSON as that JSON, any other as its text. */
interface PublicMessage {
    readonly id: number;
    readonly channel: string;
    readonly from: string;
    readonly data: Json;
    readonly ts: number;
    readonly proof?: Proof | undefined;
}
interface MinuteCount {
    /** The beginning of the minute, in seconds since 1970. */
    readonly ts: number;
    readonly count: number;
}
interface Flow {
    readonly from: string;
    readonly channel: string;
    readonly count: number;
}
/** What came of it: a sentence, what others wrote, and what follows once that has arrived or got lost. */
interface Done {
    readonly text: string;
    readonly words?: readonly {
        readonly from: string;
        readonly text: string;
    }[];
    readonly arrived?: FollowUp | undefined;
    readonly lost?: FollowUp | undefined;
}
interface ChannelPruning {
    readonly channel: string;
    readonly messages: number;
    /** Those that some reader of the channel hasn't consumed. */
    readonly unconsumed: number;
}
interface PruningProgress {
    readonly removed: number;
    readonly of: number;
    readonly channels: readonly ChannelPruning[];
    /** True once, at the end. */
    readonly done: boolean;
}
/**
 * The messenger class of agent-msg, over `~/.agent-msg` and the bus. `send` and `checkInbox` return without a promise, as in
 * the original, so they block on a worker where they need the bus.
 */
declare class AgentMessenger {
    #private;
    readonly agentName: string;
    readonly inboxDir: string;
    readonly outboxDir: string;
    constructor(agentName: string);
    /**
     * Sends a message and returns its id: by file to a name registered in the folder, on the bus to a name known there. For
     * any other name the message is put into a new inbox.
     */
    send(to: string, message: string): string;
    /** Returns the messages in the folder and then those on the bus, oldest first, and removes them unless told not to. */
    checkInbox(deleteAfterRead?: boolean): Letter[];
    /** Connects to a server under this agent's name. Messages go to `handleMessage` from then on. */
    connectWebSocket(url: string): Promise<void>;
    /** Prints a message from the WebSocket; replace it. The message is consumed once this has returned. */
    handleMessage(message: Letter): unknown;
    sendWebSocket(to: string, message: string): void;
    closeWebSocket(): Promise<void>;
}
/** A message that has no id yet. */
interface NewLetter {
    readonly from: string;
    readonly to: string;
    readonly message: string;
    readonly status?: string;
}
/** A message with its id and time, as its file has it. A field that another program left out is an empty text. */
interface Letter extends NewLetter {
    readonly id: string;
    readonly timestamp: string;
}
export { AgentMessenger, CallOptions, ConnectOptions, ConnectedBus, IpcError, Letter, Message, Methods, connect, isIpcError };
