import type { Changes } from "./changes.ts";
import { type Client, sentenceOf } from "./connection.ts";
import { fieldsOf, listOf, type Message, messageOf } from "./records.ts";

/** The loaded messages of the open channel. */
export interface Thread {
  readonly channel: string | undefined;
  /** Oldest first. */
  readonly messages: readonly Message[];
  /** Changes whenever `messages` does. */
  readonly version: number;
  readonly loading: boolean;
  /** Whether no older message exists. */
  readonly isComplete: boolean;
  /** Whether the page holds as many as it can. */
  readonly isFull: boolean;
  readonly error: string | undefined;
  /** The number of messages received since the channel was opened. */
  readonly arrived: number;
  open(channel: string): void;
  /** Asks the server for older messages. */
  loadOlder(): Promise<void>;
  receive(message: Message): void;
  /** Loads the newest messages again, since some may have been missed. */
  reload(): void;
}

const FIRST = 200;
const MORE = 500;
const MAX_MESSAGES = 10_000;
const MAX_CHARACTERS = 32_000_000;
const LARGE_ANSWER = 2_000_000;

export function createThread({ ask }: Client, changes: Changes): Thread {
  let channel: string | undefined;
  let messages: Message[] = [];
  let characters = 0;
  let version = 0;
  let loading = false;
  let isComplete = false;
  let isFull = false;
  let error: string | undefined;
  let arrived = 0;
  let controller = new AbortController();

  const load = async (before: number, limit: number): Promise<void> => {
    const { signal } = controller;
    loading = true;
    error = undefined;
    changes.touch("thread");
    try {
      const answer = fieldsOf(await ask("channel messages", { channel, before, limit }, { signal }));
      const found = listOf(answer.messages).map(messageOf);
      if (signal.aborted) return;
      // Large messages fill an answer before it reaches the limit.
      isComplete = found.length === 0 || (found.length < limit && charactersOf(found) < LARGE_ANSWER);
      // A message received during the request is in both lists.
      const first = messages[0]?.id ?? Number.POSITIVE_INFINITY;
      keep([...found.filter(({ id }) => id < first), ...messages]);
      isFull = messages.length >= MAX_MESSAGES || characters > MAX_CHARACTERS;
    } catch (reason) {
      if (!signal.aborted) error = sentenceOf(reason);
    }
    if (signal.aborted) return;
    loading = false;
    changes.touch("thread");
  };

  const keep = (kept: Message[]): void => {
    messages = kept;
    characters = charactersOf(kept);
    version++;
  };

  const begin = (): void => {
    controller.abort();
    controller = new AbortController();
    keep([]);
    isComplete = false;
    isFull = false;
    arrived = 0;
    void load(Number.MAX_SAFE_INTEGER, FIRST);
  };

  return {
    get channel() {
      return channel;
    },
    get messages() {
      return messages;
    },
    get version() {
      return version;
    },
    get loading() {
      return loading;
    },
    get isComplete() {
      return isComplete;
    },
    get isFull() {
      return isFull;
    },
    get error() {
      return error;
    },
    get arrived() {
      return arrived;
    },
    open(name) {
      if (name === channel) return;
      channel = name;
      begin();
    },
    async loadOlder() {
      if (loading || isComplete || isFull || channel === undefined) return;
      await load(messages[0]?.id ?? Number.MAX_SAFE_INTEGER, MORE);
    },
    receive(message) {
      if (message.channel !== channel) return;
      const last = messages.at(-1)?.id ?? 0;
      if (message.id <= last) return;
      arrived++;
      version++;
      messages.push(message);
      characters += message.data.length;
      if (messages.length > MAX_MESSAGES * 1.1 || characters > MAX_CHARACTERS * 1.1) {
        keep(messages.slice(Math.floor(messages.length / 2)));
        isComplete = false;
        isFull = false;
      }
      changes.touch("thread");
    },
    reload() {
      if (channel !== undefined) begin();
    },
  };
}

function charactersOf(messages: readonly Message[]): number {
  return messages.reduce((sum, { data }) => sum + data.length, 0);
}
