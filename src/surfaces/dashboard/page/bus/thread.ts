import type { Changes } from "./changes.ts";
import { type Client, sentenceOf } from "./connection.ts";
import { fieldsOf, listOf, type Message, messageOf } from "./records.ts";

interface ThreadState {
  channel: string | undefined;
  /** Oldest first. */
  messages: Message[];
  /** Changes whenever `messages` does. */
  version: number;
  loading: boolean;
  /** Whether no older message exists. */
  isComplete: boolean;
  /** Whether the page holds as many as it can. */
  isFull: boolean;
  error: string | undefined;
  /** The number of messages received since the channel was opened. */
  arrived: number;
}

export interface Thread extends Readonly<Omit<ThreadState, "messages">> {
  readonly messages: readonly Message[];
  open(channel: string): void;
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
  let characters = 0;
  let controller = new AbortController();

  const load = async (before: number, limit: number): Promise<void> => {
    const { signal } = controller;
    thread.loading = true;
    thread.error = undefined;
    changes.touch("thread");
    try {
      const answer = fieldsOf(await ask("channel messages", { channel: thread.channel, before, limit }, { signal }));
      const found = listOf(answer.messages).map(messageOf);
      if (signal.aborted) return;
      // Large messages fill an answer before it reaches the limit.
      thread.isComplete = found.length === 0 || (found.length < limit && charactersOf(found) < LARGE_ANSWER);
      // A message received during the request is in both lists.
      const first = thread.messages[0]?.id ?? Number.POSITIVE_INFINITY;
      keep([...found.filter(({ id }) => id < first), ...thread.messages]);
      thread.isFull = thread.messages.length >= MAX_MESSAGES || characters > MAX_CHARACTERS;
    } catch (reason) {
      if (!signal.aborted) thread.error = sentenceOf(reason);
    }
    if (signal.aborted) return;
    thread.loading = false;
    changes.touch("thread");
  };

  const keep = (kept: Message[]): void => {
    thread.messages = kept;
    thread.version++;
    characters = charactersOf(kept);
  };

  const begin = (): void => {
    controller.abort();
    controller = new AbortController();
    keep([]);
    thread.isComplete = false;
    thread.isFull = false;
    thread.arrived = 0;
    void load(Number.MAX_SAFE_INTEGER, FIRST);
  };

  const thread: ThreadState & Thread = {
    channel: undefined,
    messages: [],
    version: 0,
    loading: false,
    isComplete: false,
    isFull: false,
    error: undefined,
    arrived: 0,
    open(name) {
      if (name === thread.channel) return;
      thread.channel = name;
      begin();
    },
    async loadOlder() {
      if (thread.loading || thread.isComplete || thread.isFull || thread.channel === undefined) return;
      await load(thread.messages[0]?.id ?? Number.MAX_SAFE_INTEGER, MORE);
    },
    receive(message) {
      const { channel, messages } = thread;
      if (message.channel !== channel || message.id <= (messages.at(-1)?.id ?? 0)) return;
      thread.arrived++;
      thread.version++;
      messages.push(message);
      characters += message.data.length;
      if (messages.length > MAX_MESSAGES * 1.1 || characters > MAX_CHARACTERS * 1.1) {
        keep(messages.slice(Math.floor(messages.length / 2)));
        thread.isComplete = false;
        thread.isFull = false;
      }
      changes.touch("thread");
    },
    reload() {
      if (thread.channel !== undefined) begin();
    },
  };
  return thread;
}

function charactersOf(messages: readonly Message[]): number {
  return messages.reduce((sum, { data }) => sum + data.length, 0);
}
