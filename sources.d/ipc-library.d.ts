interface ConnectOptions {
    /** The asker, where a request doesn't name one (IPC_AGENT). */
    readonly agent?: string;
    /** The private key to sign with: its file's path (IPC_KEY), or the key itself, in PEM or as the file's bytes. */
    readonly key?: string | Uint8Array;
    /** The server's API key (IPC_API_KEY). */
    readonly apiKey?: string;
    /** A token to show to a server, instead of one made with the key (IPC_TOKEN). */
    readonly token?: string;
}
interface CallOptions {
    /** Ends the call: a promise rejects with the signal's reason, a stream just ends. */
    readonly signal?: AbortSignal;
}
/** Makes an editor show the resulting fields, one a line, instead of the type expression. */
type Plain<T> = {
    [Key in keyof T]: T[Key];
};
/** The asker may be left to `agent`. */
type MethodInput<Input, Self> = Plain<Omit<Input, Self & keyof Input> & Partial<Pick<Input, Self & keyof Input>>>;
/** `ask` answers with the command's result. */
type AnswerOf<O> = O extends Typed<"ask", infer _I, infer _A, infer _Self, infer _Stream> ? AnswerOf<typeof commandResult> : O extends Typed<string, infer _I, infer Answer, infer _Self, infer _Stream> ? Answer : never;
type Call<Input, Result> = Record<never, never> extends Input ? (input?: Input, options?: CallOptions) => Result : (input: Input, options?: CallOptions) => Result;
type Method<O> = O extends Typed<string, infer Input, infer _A, infer Self, infer Stream> ? Call<MethodInput<Input, Self>, Stream extends true ? AsyncGenerator<AnswerOf<O>, void, void> : Promise<AnswerOf<O>>> : never;
/** The command line's verbs as methods: `channel send` is `channelSend`. Inputs and answers are those of HTTP. */
type Methods = {
    readonly [O in TypedOperation as MethodName<O["name"]>]: Method<O>;
};
interface ConnectedBus extends Methods, AsyncDisposable {
    /**
     * Yields the mail in a mailbox as it arrives. A message is consumed when the next one is asked for. If the loop ends
     * before that, the message is offered again within 10 seconds.
     */
    mail(mailbox?: string, options?: CallOptions): AsyncGenerator<Message, void, void>;
    /** Ends pending calls, then closes the bus. */
    close(): Promise<void>;
}
/**
 * Connects to a bus: the server or the NATS server at `target`, if that is an address, else the database at that path.
 * The default is the command line's: IPC_URL, IPC_STORE or IPC_DB_PATH.
 */
declare function connect(target?: string, options?: ConnectOptions): Promise<ConnectedBus>;
/** A message as its readers get it. */
interface Message {
    readonly id: number;
    readonly sender: string;
    readonly content: string;
    readonly timestamp: number;
    /** Its signature was verified. In open mode: it has one, unverified. */
    readonly signed?: true;
    /** The sender showed a token instead of signing. */
    readonly attested?: true;
}
/** Proof of a message's author: a verified signature, or a token checked by the bus. */
type Proof = "verified" | "attested";
/** The readers that have consumed a message, by their watermarks. */
interface Receipts {
    readonly id: number;
    readonly channel: string;
    readonly sender: string;
    readonly read_by: readonly string[];
    /** Readers of the channel that haven't consumed it. */
    readonly unread_by: readonly string[];
}
/**
 * An operation's requirement of its caller. `anyone`: nothing. `signed`: a proof inside the request, which the operation
 * checks. `reader`: the right to look. `actor`: a known identity, in secure mode. `keeper`: the right to destroy.
 */
type Access = "anyone" | "signed" | "reader" | "actor" | "keeper";
/** The kinds of failure. Each surface translates them once. */
declare const errorCodes: readonly ["invalid", "unauthorized", "not_found", "conflict", "internal"];
type ErrorCode = (typeof errorCodes)[number];
/** Details of a code that a client or an operator may want to tell apart. */
declare const reasons: readonly ["too_large", "busy", "unauthenticated", "unsigned_message", "unknown_sender", "invalid_signature", "wrong_audience", "stale", "replay", "revoked", "unauthorized_registration", "invalid_token", "not_yours", "from_beyond"];
type Reason = (typeof reasons)[number];
declare const BRAND: unique symbol;
/** A sentence about fields, under the names that `nameOf` gives them. */
type FieldSentence = (nameOf: (field: string) => string) => string;
/** An expected failure; its message is a sentence for the user. Anything else thrown is a bug. */
declare class IpcError extends Error {
    readonly code: ErrorCode;
    readonly reason: Reason | undefined;
    /** The message for a surface with its own names for fields, such as a command line's flags. */
    readonly sentence: FieldSentence | undefined;
    readonly [BRAND] = true;
    constructor(code: ErrorCode, message: string, reason?: Reason, { sentence, ...options }?: ErrorOptions & {
        readonly sentence?: FieldSentence;
    });
}
/** Checks a brand, since each built file holds its own copy of the class. */
declare function isIpcError(error: unknown): error is IpcError;
type Role = "agent" | "operator";
/** Any JSON value. */
type Json = unknown;
type CommandStatus = "pending" | "leased" | "acked" | "failed" | "dead" | "expired";
interface PublicCommand {
    readonly id: string;
    /** A `command_response` reports a command's end to its sender. */
    readonly kind: "command" | "command_response";
    readonly from: string;
    /** The sender's session; null for a person or program without one. */
    readonly fromId: string | null;
    /** A session's id, or the role whose first free session takes it. */
    readonly target: string;
    readonly targetRole: string;
    readonly action: string;
    readonly params: Json;
    readonly ts: number;
    readonly status: CommandStatus;
    /** How many times it was handed out. */
    readonly attempts: number;
    readonly holder: string | null;
    readonly leaseUntil: number | null;
    readonly result: Json;
    /** When it ended, acknowledged or not. */
    readonly ackedAt: number | null;
}
declare const commandResult: Typed<"command result", InputOf<{
    id: Field<string>;
    timeout: Optional<number>;
}>, {
    ok: boolean;
    command: PublicCommand;
}, never, false>;
declare const TYPES: unique symbol;
/** An operation's types, for callers that name the operation. */
interface Typed<Name extends string, Input, Answer, Self, Stream> {
    readonly name: Name;
    readonly [TYPES]?: {
        readonly input: Input;
        readonly answer: Answer;
        readonly self: Self;
        readonly stream: Stream;
    };
}
type MethodName<Verb extends string> = Verb extends `${infer First} ${infer Rest}` ? `${MethodName<First>}${Capitalize<MethodName<Rest>>}` : Verb extends `${infer First}-${infer Rest}` ? `${First}${Capitalize<MethodName<Rest>>}` : Verb;
/** A valid value, or its fault, worded to follow the field's name. */
type Checked<T> = {
    readonly value: T;
} | {
    readonly fault: string;
};
interface Field<T = unknown> {
    readonly check: (value: unknown) => Checked<T>;
    readonly description: string;
    readonly kind: "text" | "number" | "flag" | "json" | "list";
    readonly optional: boolean;
    /** Its JSON Schema, where that says more than its kind. */
    readonly schema?: FieldSchema;
    /** Its flag, where that differs from the field's name. */
    readonly flag?: string;
    /** `file`: a command line names a file that holds it. `text`: it may also come from --file or standard input. */
    readonly given?: "file" | "text";
    /** In seconds, but over HTTP in milliseconds, as the broker's clients expect. */
    readonly httpMilliseconds?: true;
    /** Without a flag on a command line. */
    readonly wireOnly?: true;
    /** Never sent to a server. */
    readonly callerOnly?: true;
    /** An empty text is an error, instead of the same as none. */
    readonly neverEmpty?: true;
    /** A longer value is refused as `too_large`, which HTTP answers with 413. */
    readonly maxBytes?: number;
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
/** Help, documents and tools keep this order. */
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
        description: string;
        kind: "text" | "number" | "flag" | "json" | "list";
        schema?: FieldSchema;
        flag?: string;
        given?: "file" | "text";
        httpMilliseconds?: true;
        wireOnly?: true;
        neverEmpty?: true;
        maxBytes?: number;
        optional: true;
        callerOnly: true;
    };
    timeout: {
        check: (value: unknown) => Checked<number>;
        description: string;
        kind: "text" | "number" | "flag" | "json" | "list";
        schema?: FieldSchema;
        flag?: string;
        given?: "file" | "text";
        httpMilliseconds?: true;
        wireOnly?: true;
        neverEmpty?: true;
        maxBytes?: number;
        optional: true;
        callerOnly: true;
    };
}>, {
    ok: boolean;
    id: number;
    duplicate?: true;
}, "sender", false>, Typed<"read", InputOf<{
    channel: Field<string>;
    agent: Field<string>;
    wait: Optional<boolean>;
    timeout: Optional<number>;
    burst: Optional<number>;
    peek: Optional<boolean>;
    limit: Optional<number>;
    others: Optional<boolean>;
    ack: Optional<"auto" | "manual">;
}>, readonly Message[], "agent", false>, Typed<"ack", InputOf<{
    channel: Field<string>;
    agent: Field<string>;
    id: {
        check: (value: unknown) => Checked<number>;
        description: string;
        kind: "text" | "number" | "flag" | "json" | "list";
        optional: boolean;
        flag?: string;
        given?: "file" | "text";
        httpMilliseconds?: true;
        wireOnly?: true;
        callerOnly?: true;
        neverEmpty?: true;
        maxBytes?: number;
        schema: {
            type: string;
            minimum: number;
            maximum: number;
        };
    };
}>, {
    ok: boolean;
    watermark: number;
}, "agent", false>, Typed<"follow", InputOf<{
    channel: Field<string>;
    agent: Field<string>;
    since: Optional<number>;
    peek: Optional<boolean>;
    others: Optional<boolean>;
}>, Message, "agent", true>, Typed<"receipts", InputOf<{
    id: {
        check: (value: unknown) => Checked<number>;
        description: string;
        kind: "text" | "number" | "flag" | "json" | "list";
        optional: boolean;
        flag?: string;
        given?: "file" | "text";
        httpMilliseconds?: true;
        wireOnly?: true;
        callerOnly?: true;
        neverEmpty?: true;
        maxBytes?: number;
        schema: {
            type: string;
            minimum: number;
            maximum: number;
        };
    };
    wait_for: Optional<string>;
    timeout: Optional<number>;
}>, Receipts, never, false>, Typed<"channels", InputOf<{}>, {
    channel: string;
    count: number;
    last_message: number;
}[], never, false>, Typed<"seed", InputOf<{
    name: Field<string>;
}>, {
    name: string;
    public_key: string;
    private_key: string;
}, never, false>, Typed<"keygen", InputOf<{
    out: Optional<string>;
}>, {
    private_key: string;
    public_key: string;
}, never, false>, Typed<"register", InputOf<{
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
        description: string;
        kind: "text" | "number" | "flag" | "json" | "list";
        schema?: FieldSchema;
        given?: "file" | "text";
        httpMilliseconds?: true;
        wireOnly?: true;
        callerOnly?: true;
        neverEmpty?: true;
        maxBytes?: number;
        optional: true;
        flag: string;
    };
    operator_signature: Optional<string>;
    operator_key: Optional<string>;
}>, {
    ok: boolean;
    message: string;
    duplicate?: boolean;
}, never, false>, Typed<"revoke", InputOf<{
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
}, never, false>, Typed<"agents", InputOf<{
    keys: Optional<boolean>;
}>, {
    name: string;
    identity: string;
    role: Role;
    registered_by: string | null;
    created_at: number;
    public_key?: string;
}[], never, false>, Typed<"token", InputOf<{
    agent: Field<string>;
    seconds: Optional<number>;
    token: Optional<string>;
}>, {
    agent: string;
    token: string;
}, "agent", false>, Typed<"agent-card", InputOf<{}>, {
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
}, never, false>, Typed<"health", InputOf<{
    channel: Optional<string>;
    agent: Optional<string>;
}>, {
    status: string;
    pending: number;
    secure_mode: boolean;
    did?: string;
}, "agent", false>, Typed<"rights", InputOf<{}>, {
    secure_mode: boolean;
    agent: string | null;
    operator: boolean;
    expires: number | null;
    may: readonly Access[];
    ok: boolean;
}, never, false>, Typed<"post", InputOf<{
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
}, "from", false>, Typed<"fetch", InputOf<{
    mailbox: Field<string>;
    limit: Optional<number>;
    ack: Optional<"auto" | "manual">;
}>, {
    ok: boolean;
    messages: readonly Message[];
}, "mailbox", false>, Typed<"wait", InputOf<{
    mailbox: Field<string>;
    timeout: Optional<number>;
    ack: Optional<"auto" | "manual">;
}>, {
    ok: boolean;
    message: Message;
} | null, "mailbox", false>, Typed<"inbox", InputOf<{
    mailbox: Field<string>;
}>, {
    unread: number;
    messages: readonly Message[];
    ok: boolean;
}, "mailbox", false>, Typed<"mailbox settle", InputOf<{
    mailbox: Field<string>;
    ids: Field<readonly number[]>;
}>, {
    ok: boolean;
}, "mailbox", false>, Typed<"mailboxes", InputOf<{}>, {
    ok: boolean;
    mailboxes: readonly MailboxSummary[];
}, never, false>, Typed<"peers", InputOf<{}>, {
    ok: boolean;
    peers: PublicSession[];
}, never, false>, Typed<"discover", InputOf<{}>, {
    ok: boolean;
    peers: PublicSession[];
    suggestions: string[];
}, never, false>, Typed<"connect", InputOf<{
    role: Field<string>;
    capabilities: Optional<readonly string[]>;
}>, {
    ok: boolean;
    id: string;
    peer: PublicSession;
}, never, false>, Typed<"whoami", InputOf<{
    id: Field<string>;
}>, {
    ok: boolean;
    peer: PublicSession;
}, never, false>, Typed<"heartbeat", InputOf<{
    id: Field<string>;
}>, {
    ok: boolean;
    peer: PublicSession;
}, never, false>, Typed<"role", InputOf<{
    id: Field<string>;
    role: Field<string>;
}>, {
    ok: boolean;
    peer: PublicSession;
}, never, false>, Typed<"leave", InputOf<{
    id: Field<string>;
}>, {
    ok: boolean;
}, never, false>, Typed<"online", InputOf<{
    name: Field<string>;
}>, {
    ok: boolean;
    name: string;
    online: boolean;
    last_seen: number | null;
}, "name", false>, Typed<"command send", InputOf<{
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
}, "from", false>, Typed<"ask", InputOf<{
    target: Field<string>;
    action: Field<string>;
    params: Optional<unknown>;
    from: Optional<string>;
    lease: Optional<number>;
    any: Optional<boolean>;
    expires: Optional<number>;
    timeout: {
        check: (value: unknown) => Checked<number>;
        description: string;
        kind: "text" | "number" | "flag" | "json" | "list";
        schema?: FieldSchema;
        flag?: string;
        given?: "file" | "text";
        httpMilliseconds?: true;
        wireOnly?: true;
        neverEmpty?: true;
        maxBytes?: number;
        optional: true;
        callerOnly: true;
    };
}>, unknown, "from", false>, Typed<"command wait", InputOf<{
    peer: Field<string>;
    timeout: Optional<number>;
}>, {
    ok: boolean;
    command: PublicCommand;
    agent?: string;
} | null, never, false>, Typed<"command ack", InputOf<{
    id: Field<string>;
    result: Optional<unknown>;
}>, {
    ok: boolean;
    command: PublicCommand;
}, never, false>, Typed<"command fail", InputOf<{
    id: Field<string>;
    error: Optional<string>;
}>, {
    ok: boolean;
    command: PublicCommand;
}, never, false>, Typed<"command result", InputOf<{
    id: Field<string>;
    timeout: Optional<number>;
}>, {
    ok: boolean;
    command: PublicCommand;
}, never, false>, Typed<"command list", InputOf<{
    peer: Optional<string>;
    status: Optional<"acked" | "dead" | "expired" | "failed" | "leased" | "pending">;
    limit: Optional<number>;
}>, {
    ok: boolean;
    commands: PublicCommand[];
}, never, false>, Typed<"command pending", InputOf<{
    peer: Field<string>;
}>, {
    ok: boolean;
    commands: PublicCommand[];
}, never, false>, Typed<"command retry", InputOf<{
    id: Field<string>;
}>, {
    ok: boolean;
    command: PublicCommand;
}, never, false>, Typed<"signal set", InputOf<{
    name: Field<string>;
    data: Optional<unknown>;
    from: Optional<string>;
}>, {
    ok: boolean;
    signal: PublicSignal;
}, "from", false>, Typed<"signal wait", InputOf<{
    name: Field<string>;
    timeout: Optional<number>;
}>, {
    ok: boolean;
    signal: PublicSignal;
    agent?: string;
} | null, never, false>, Typed<"signal get", InputOf<{
    name: Field<string>;
}>, {
    ok: boolean;
    signal: PublicSignal;
}, never, false>, Typed<"signal list", InputOf<{}>, {
    ok: boolean;
    signals: PublicSignal[];
}, never, false>, Typed<"signal clear", InputOf<{
    name: Field<string>;
}>, {
    ok: boolean;
}, never, false>, Typed<"channel send", InputOf<{
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
}, "from", false>, Typed<"channel messages", InputOf<{
    channel: Field<string>;
    since: Optional<number>;
    before: Optional<number>;
    limit: Optional<number>;
    timeout: {
        check: (value: unknown) => Checked<number>;
        description: string;
        kind: "text" | "number" | "flag" | "json" | "list";
        schema?: FieldSchema;
        flag?: string;
        given?: "file" | "text";
        wireOnly?: true;
        callerOnly?: true;
        neverEmpty?: true;
        maxBytes?: number;
        optional: true;
        httpMilliseconds: true;
    };
}>, {
    ok: boolean;
    messages: PublicMessage[];
}, never, false>, Typed<"status", InputOf<{}>, {
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
}, never, false>, Typed<"traffic", InputOf<{
    minutes: Optional<number>;
}>, {
    up_to: number;
    minutes: readonly {
        readonly ts: number;
        readonly count: number;
    }[];
    flows: readonly {
        readonly from: string;
        readonly channel: string;
        readonly count: number;
    }[];
    ok: boolean;
}, never, false>, Typed<"events", InputOf<{
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
}, never, true>, Typed<"tcp send", InputOf<{
    host: Field<string>;
    message: Field<string>;
    timeout: Optional<number>;
}>, {
    host: string;
    port: number;
    ok: boolean;
}, never, false>, Typed<"tcp receive", InputOf<{
    port: Optional<number>;
    timeout: Optional<number>;
    bind: Optional<string>;
}>, {
    ok: boolean;
    message: string;
    from: string;
    receipt: number;
} | null, never, false>, Typed<"tcp ping", InputOf<{
    host: Field<string>;
    timeout: Optional<number>;
}>, {
    host: string;
    port: number;
    ok: boolean;
    ms: number;
}, never, false>, Typed<"prune", InputOf<{
    channel: Optional<string>;
    older_than: Optional<number>;
    keep: Optional<number>;
    consumed: Optional<boolean>;
    dry_run: Optional<boolean>;
}>, PruningProgress, never, true>, Typed<"reset", InputOf<{}>, {
    ok: boolean;
    removed: number;
    backup: string;
}, never, false>];
/** An operation of the table with its own types. */
type TypedOperation = (typeof table)[number];
interface MailboxSummary {
    readonly mailbox: string;
    readonly unread: number;
}
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
interface PublicSignal {
    readonly name: string;
    readonly data: Json;
    readonly from: string;
    readonly ts: number;
}
/** A message as clients see it; content that is JSON becomes a value. */
interface PublicMessage {
    readonly id: number;
    readonly channel: string;
    readonly from: string;
    readonly data: Json;
    readonly ts: number;
    readonly proof?: Proof | undefined;
}
interface ChannelPruning {
    readonly channel: string;
    readonly messages: number;
    /** Not consumed by every reader of the channel. */
    readonly unconsumed: number;
}
interface PruningProgress {
    readonly removed: number;
    readonly of: number;
    readonly channels: readonly ChannelPruning[];
    /** True in the last report only. */
    readonly done: boolean;
}
/**
 * The messenger class of agent-msg, over `~/.agent-msg` and the bus. `send` and `checkInbox` are synchronous, as in the
 * original, so they block on a worker when they need the bus.
 */
declare class AgentMessenger {
    #private;
    readonly agentName: string;
    readonly inboxDir: string;
    readonly outboxDir: string;
    constructor(agentName: string);
    /**
     * Sends a message and returns its id: through the folder to a name registered there, over the bus to a name known there,
     * and else into a new inbox.
     */
    send(to: string, message: string): string;
    /** Returns the messages in the folder and then those on the bus, oldest first, and by default removes them. */
    checkInbox(deleteAfterRead?: boolean): Letter[];
    /** Connects to a server under this agent's name. `handleMessage` gets the messages. */
    connectWebSocket(url: string): Promise<void>;
    /** Prints a message from the WebSocket; override it. The message is consumed once this returns. */
    handleMessage(message: Letter): unknown;
    sendWebSocket(to: string, message: string): void;
    closeWebSocket(): Promise<void>;
}
interface NewLetter {
    readonly from: string;
    readonly to: string;
    readonly message: string;
    readonly status?: string;
}
/** A message as stored in its file. A field that another program left out is an empty string. */
interface Letter extends NewLetter {
    readonly id: string;
    readonly timestamp: string;
}
export { AgentMessenger, CallOptions, ConnectOptions, ConnectedBus, IpcError, Letter, Message, Methods, connect, isIpcError };
