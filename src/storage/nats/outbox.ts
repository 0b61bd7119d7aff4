import { nuid } from "@nats-io/transport-node";
import type { Log, Transaction } from "./log.ts";
import { appendMessage } from "./messages.ts";
import { namesIn, type Payloads } from "./payloads.ts";
import { fieldsOf } from "./records.ts";
import { scan } from "./scan.ts";
import type { OutboxEntry, OutboxMessage, OutboxPurge } from "./state.ts";
import type { Streams } from "./streams.ts";

/** Shared by the stores of sessions, commands and signals. */
export interface Context {
  readonly log: Log;
  readonly payloads: Payloads;
  readonly outbox: Outbox;
}

export type Outbox = ReturnType<typeof createOutbox>;

/** After this time, retries included, the process that added an entry counts as dead. */
const ABANDONED_SECONDS = 15;
const SPARE_SECONDS = 0.1;

/**
 * Work that a step on the sessions causes in another stream: a message, or the removal of many. The step itself stores
 * an entry for the work; then the work is done, and the entry removed. If the process is killed in between, another one
 * does the work: it may run twice, and takes effect once.
 */
export function createOutbox(streams: Streams, log: Log, payloads: Payloads) {
  const { names } = streams;

  const send = async (id: string, { channel, sender, content, timestamp }: OutboxMessage): Promise<void> => {
    const text = await payloads.load(content);
    // Another process has sent the message and dropped its content.
    if (text === undefined) return;
    const message = { channel, sender, content: String(text.value), timestamp, signature: "" };
    await appendMessage(streams, message, `errand ${id}`, { errand: id });
  };

  /** The stream recognises the message's id for a while only; later, the message's header shows that it was sent. */
  const isSent = async (id: string, { channel, after }: OutboxMessage): Promise<boolean> => {
    const range = { subject: names.message(channel), from: after + 1, headersOnly: true };
    for await (const { fields } of scan(streams, "messages", range)) if (fieldsOf(fields).errand === id) return true;
    return false;
  };

  const purge = async ({ upTo, keptChannel }: OutboxPurge): Promise<number> => {
    const kept = names.message(keptChannel);
    const subjects = Object.keys(await streams.counts("messages", names.everyMessage));
    let removed = 0;
    for (const subject of subjects) if (subject !== kept) removed += await streams.purge("messages", subject, upTo);
    return removed;
  };

  const finish = async ({ id, message, purge: range }: OutboxEntry, isAbandoned: boolean): Promise<number> => {
    if (message !== undefined && !(isAbandoned && (await isSent(id, message)))) await send(id, message);
    const removed = range === undefined ? 0 : await purge(range);
    await log.step(({ state, put }) => state.outbox.has(id) && put({ of: "errand", key: id, to: null }));
    if (message !== undefined) log.inBackground(payloads.drop(namesIn(message.content)));
    return removed;
  };

  let isFinishing = false;
  const finishAbandoned = async (entries: readonly OutboxEntry[]): Promise<void> => {
    if (entries.length === 0 || isFinishing) return;
    isFinishing = true;
    try {
      // Purges first: they make room for messages. An entry that fails doesn't hold up the others.
      const [purges, messages] = [entries.filter(({ purge }) => purge), entries.filter(({ purge }) => !purge)];
      for (const entry of [...purges, ...messages]) await finish(entry, true).catch(() => {});
    } finally {
      isFinishing = false;
    }
  };

  log.onStep(({ outbox }) => {
    const now = log.now();
    const entries = [...outbox.values()];
    const isAbandoned = ({ at }: OutboxEntry) => Math.abs(now - at) > ABANDONED_SECONDS;
    log.inBackground(finishAbandoned(entries.filter(isAbandoned)));
    const dueIn = entries.filter((entry) => !isAbandoned(entry)).map(({ at }) => at + ABANDONED_SECONDS - now);
    if (entries.length > 0) log.lookIn(Math.min(ABANDONED_SECONDS, ...dueIn) + SPARE_SECONDS);
  });

  return {
    async prepare({ content, ...message }: Omit<OutboxMessage, "content" | "after"> & { content: string }) {
      const [payload, after] = await Promise.all([payloads.store(content), streams.lastSeq("messages")]);
      return { ...message, content: payload, after };
    },

    /** Adds an entry, as a part of a step. */
    add({ state, at, put }: Transaction, work: Pick<OutboxEntry, "message" | "purge">): OutboxEntry {
      const entry = { id: nuid.next(), at, entry: state.entry, ...work };
      put({ of: "errand", key: entry.id, to: entry });
      return entry;
    },

    /** Does the work; returns how many messages it removed. Where it fails, a later process tries again. */
    run: (entry: OutboxEntry) => finish(entry, false),
  };
}
