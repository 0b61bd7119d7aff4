import type { Changes } from "./changes.ts";
import { type Asker, sentenceOf } from "./connection.ts";
import { fieldsOf, listOf, type Message, messageOf } from "./records.ts";

/** The messages of one channel, as far as they were asked for. */
export interface Thread {
  readonly channel: string | undefined;
  /** Oldest first. */
  readonly messages: readonly Message[];
  /** Another number whenever there are others. */
  readonly version: number;
  readonly loading: boolean;
  /** There is nothing before the first of them. */
  readonly whole: boolean;
  /** As many as a page can hold. */
  readonly full: boolean;
  readonly error: string | undefined;
  /** How many came since it was opened. */
  readonly arrived: number;
  open(channel: string): void;
  /** Asks for what was before. */
  older(): Promise<void>;
  receive(message: Message): void;
  /** Asks for all of it anew: what came meanwhile is not known. */
  reload(): void;
}

const FIRST = 200;
const MORE = 500;
const MAX_MESSAGES = 10_000;
const MAX_CHARACTERS = 32_000_000;
const LARGE_ANSWER = 2_000_000;

export function createThread({ ask }: Asker, changes: Changes): Thread {
  let channel: string | undefined;
  let messages: Message[] = [];
  let characters = 0;
  let version = 0;
  let loading = false;
  let whole = false;
  let full = false;
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
      // A few large messages fill an answer before it holds as many as were asked for.
      whole = found.length === 0 || (found.length < limit && charactersOf(found) < LARGE_ANSWER);
      // What came by itself while this was asked for is in both.
      const first = messages[0]?.id ?? Number.POSITIVE_INFINITY;
      keep([...found.filter(({ id }) => id < first), ...messages]);
      full = messages.length >= MAX_MESSAGES || characters > MAX_CHARACTERS;
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
    whole = false;
    full = false;
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
    get whole() {
      return whole;
    },
    get full() {
      return full;
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
    async older() {
      if (loading || whole || full || channel === undefined) return;
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
        whole = false;
        full = false;
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
