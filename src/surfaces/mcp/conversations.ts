import { HEARTBEAT_SECONDS } from "../../core/sessions.ts";
import { monotonicMs } from "../../core/time.ts";
import { type Client, keepAlive, type Memory } from "./call.ts";

/** A session of the older protocol revisions. */
export interface Conversation {
  readonly memory: Memory;
  /** The agent that began it, and that alone may continue it. */
  readonly agent: string | undefined;
  /** Its open connections. */
  readonly open: Set<Client>;
  close(): Promise<void>;
}

export interface Conversations<T extends Conversation> extends AsyncDisposable {
  /** Returns false if there are too many. */
  add(id: string, conversation: T): boolean;
  find(id: string, agent: string | undefined): T | undefined;
  remove(id: string): void;
}

/** Beyond this, a new conversation replaces the one that was silent longest, if that was for BUSY_MS. */
const MAX_CONVERSATIONS = 1_000;
const BUSY_MS = 60_000;

/** A conversation without a connection ends after this. */
const IDLE_MS = 30 * 60_000;

/** Keeps conversations while they are used, and the sessions of connected ones alive on the bus. */
export function createConversations<T extends Conversation>(): Conversations<T> {
  const known = new Map<string, { conversation: T; used: number }>();

  const remove = (id: string): void => {
    const found = known.get(id);
    known.delete(id);
    void found?.conversation.close().catch(() => {});
  };

  const makePlace = (): boolean => {
    if (known.size < MAX_CONVERSATIONS) return true;
    const idle = [...known].filter(([, { conversation, used }]) => {
      return conversation.open.size === 0 && monotonicMs() - used > BUSY_MS;
    });
    const [longest] = idle.sort(([, a], [, b]) => a.used - b.used);
    if (longest !== undefined) remove(longest[0]);
    return longest !== undefined;
  };

  const beat = setInterval(() => {
    for (const [id, entry] of known) {
      const { open, memory } = entry.conversation;
      const [client] = open;
      if (client !== undefined) {
        entry.used = monotonicMs();
        // A connected client may be silent, and still work on commands.
        void keepAlive(client, memory.session);
      } else if (monotonicMs() - entry.used > IDLE_MS) remove(id);
    }
  }, HEARTBEAT_SECONDS * 1_000);
  beat.unref();

  return {
    add(id, conversation) {
      if (!makePlace()) return false;
      known.set(id, { conversation, used: monotonicMs() });
      return true;
    },
    find(id, agent) {
      const found = known.get(id);
      if (found === undefined || found.conversation.agent !== agent) return undefined;
      found.used = monotonicMs();
      return found.conversation;
    },
    remove,
    async [Symbol.asyncDispose]() {
      clearInterval(beat);
      await Promise.allSettled([...known.values()].map(({ conversation }) => conversation.close()));
      known.clear();
    },
  };
}
