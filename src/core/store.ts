/**
 * Where the bus is kept. Every method is one atomic step; what each promises beyond its signature is in
 * test/contracts/store.ts, which every engine passes unchanged.
 */
export interface Store extends AsyncDisposable {
  readonly messages: MessageStore;
  readonly agents: AgentStore;

  /**
   * The channels written to by anyone since this was last asked, for waiters that heard no bell.
   * Costs next to nothing while nobody writes. Undefined when it can't tell, as the first time: then it may be any.
   */
  changedChannels(): Promise<readonly string[] | undefined>;
}

export interface NewMessage {
  readonly channel: string;
  readonly sender: string;
  readonly content: string;
  /** Seconds since 1970, with a fraction. */
  readonly timestamp: number;
  /** Base64, or empty where the sender didn't sign. */
  readonly signature: string;
}

export interface StoredMessage extends NewMessage {
  /** Grows in commit order, over all channels; never used twice. */
  readonly id: number;
}

export interface Unread {
  readonly limit: number;
  /** Leave out what the agent sent itself. */
  readonly others: boolean;
}

export interface ChannelSummary {
  readonly channel: string;
  readonly count: number;
  readonly lastMessage: number;
}

export interface MessageStore {
  /** Answers with the id once the message is durable. */
  append(message: NewMessage): Promise<number>;

  /** The first messages after the agent's watermark, oldest first. Moves nothing. */
  unread(channel: string, agent: string, options: Unread): Promise<readonly StoredMessage[]>;

  /** The first messages after `id`, oldest first. */
  after(channel: string, id: number, limit: number): Promise<readonly StoredMessage[]>;

  /** The last id that the agent has consumed; 0 where it has none. */
  watermark(channel: string, agent: string): Promise<number>;

  /**
   * Moves the agent's watermark to `id`, never back and never past the newest message of the store.
   * Answers with where it then stands.
   */
  advance(channel: string, agent: string, id: number): Promise<number>;

  /** Moves the agent's watermark over its own messages, up to the first unread one by somebody else. */
  skipOwn(channel: string, agent: string): Promise<void>;

  /** How many messages the agent hasn't consumed. */
  pending(channel: string, agent: string): Promise<number>;

  /** Newest first; costs what there are channels, not what there are messages. */
  channels(): Promise<readonly ChannelSummary[]>;
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
}

export interface AgentStore {
  find(name: string): Promise<Agent | undefined>;

  /** In the order in which they came. */
  list(): Promise<readonly Agent[]>;

  /** The first operator ever seeded; undefined in open mode. */
  firstOperator(): Promise<Agent | undefined>;

  /** Adds an agent of a new name; false, and nothing done, where the name is taken. */
  add(agent: Agent): Promise<boolean>;

  /** Replaces an agent that the same operator registered; false, and nothing done, for any other. */
  replace(agent: Agent): Promise<boolean>;
}
