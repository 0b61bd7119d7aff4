import { AckPolicy, type ConsumerInfo, DeliverPolicy } from "@nats-io/jetstream";
import { createInbox, errors, type Msg, nuid } from "@nats-io/transport-node";
import { isTransient } from "./connection.ts";
import type { StreamKind } from "./names.ts";
import { fieldsIn, idIn, type Stored, type Streams } from "./streams.ts";

export interface Range {
  readonly subject: string;
  readonly from: number;
  readonly headersOnly?: boolean;
  /** How many messages the caller probably needs: 2.9 takes half a millisecond for each, needed or not. */
  readonly enough?: number;
}

/** Messages read one by one before a consumer is made for the rest. */
const SINGLY_FIRST = 3;
/** The same after a consumer failed: a cluster may have put it on a server that is gone. */
const SINGLY_AFTER_FAILURE = 50;
const PARALLEL_REQUESTS = 50;
const BATCH = { messages: 500, bytes: 4 * 1024 * 1024 };
const PULL_MS = 2_500;
const ABANDONED_MS = 10_000;
const MILLISECOND = 1_000_000;

/**
 * Reads the messages of a range in their order, without gaps. A consumer may be on a replica that is behind, so only
 * the stream's leader says where the range ends.
 */
export async function* scan(streams: Streams, kind: StreamKind, range: Range): AsyncGenerator<Stored, void, void> {
  let { from } = range;
  for (let singly = SINGLY_FIRST; ; ) {
    for (let n = 0; n < singly; n++) {
      const found = await streams.next(kind, range.subject, from);
      if (found === undefined) return;
      yield found;
      from = found.seq + 1;
    }
    // A message too large for a batch ends it, and is read singly. So is the rest of a lost consumer.
    singly = 1;
    try {
      for await (const found of consume(streams, kind, { ...range, from })) {
        yield found;
        from = found.seq + 1;
      }
    } catch (error) {
      if (!isTransient(error)) throw error;
      singly = SINGLY_AFTER_FAILURE;
    }
  }
}

/**
 * Reads the last message of each subject that a wildcard matches, each once. The leader says which subjects there are. A
 * consumer skips a subject whose last message is replaced while it reads, or delivers both messages; so the leader is
 * asked for the missing ones.
 */
export async function* scanLast(
  streams: Streams,
  kind: StreamKind,
  subject: string,
  { subjects, headersOnly = false }: { subjects?: readonly string[]; headersOnly?: boolean } = {},
): AsyncGenerator<Stored, void, void> {
  const all = subjects ?? Object.keys(await streams.counts(kind, subject));
  const range = { subject, from: "last" as const, headersOnly };
  const found = all.length <= SINGLY_FIRST ? new Map<string, Stored>() : await consumeLast(streams, kind, range);
  yield* found.values();
  const missing = all.filter((one) => !found.has(one));
  for (let from = 0; from < missing.length; from += PARALLEL_REQUESTS) {
    const lasts = missing.slice(from, from + PARALLEL_REQUESTS).map((one) => streams.last(kind, one));
    for (const last of await Promise.all(lasts)) if (last !== undefined) yield last;
  }
}

/** Retries until the consumer isn't behind. */
function consumeLast(streams: Streams, kind: StreamKind, range: ConsumerRange): Promise<ReadonlyMap<string, Stored>> {
  return streams.connection.retry(async () => {
    const newest = (await streams.last(kind, range.subject))?.seq ?? 0;
    const found = new Map<string, Stored>();
    let upTo = 0;
    for await (const message of consume(streams, kind, range)) {
      found.set(message.subject, message);
      upTo = message.seq;
    }
    // They come in the stream's order, so a replica that has the newest has all before it.
    if (upTo < newest) throw new errors.TimeoutError();
    return found;
  });
}

/** From `last`: only the last message of each subject. */
type ConsumerRange = Omit<Range, "from"> & { readonly from: number | "last" };

/** Reads a range through a consumer; ends early at a message that is too large, or where one was lost on its way. */
async function* consume(streams: Streams, kind: StreamKind, range: ConsumerRange): AsyncGenerator<Stored, void, void> {
  const consumer = await openConsumer(streams, kind, range);
  if (consumer === undefined) return;
  const size = Math.min(BATCH.messages, range.enough ?? BATCH.messages);
  try {
    for (let count = 0; count < consumer.num_pending; ) {
      const batch = await pull(streams, consumer, count, Math.min(consumer.num_pending - count, size));
      if (batch.length === 0) return;
      count += batch.length;
      yield* batch;
    }
  } finally {
    closeConsumer(streams, consumer);
  }
}

/** Counts the messages of a range. A replica that is behind may count fewer. */
export async function countMessages(streams: Streams, kind: StreamKind, range: Range): Promise<number> {
  const consumer = await streams.connection.retry(() => openConsumer(streams, kind, range));
  if (consumer === undefined) return 0;
  closeConsumer(streams, consumer);
  return consumer.num_pending;
}

function openConsumer(
  { connection, names, ask }: Streams,
  kind: StreamKind,
  { subject, from, headersOnly = false }: ConsumerRange,
): Promise<ConsumerInfo | undefined> {
  const start =
    from === "last"
      ? { deliver_policy: DeliverPolicy.LastPerSubject }
      : { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: Math.max(1, from) };
  const config = {
    ...start,
    name: nuid.next(),
    filter_subject: subject,
    headers_only: headersOnly,
    ack_policy: AckPolicy.None,
    // It lives as long as one read, on one server.
    mem_storage: true,
    num_replicas: 1,
    inactive_threshold: ABANDONED_MS * MILLISECOND,
  };
  return ask(kind, () => connection.jsm.consumers.add(names.stream(kind), config));
}

/** Not waited for: an abandoned consumer expires. */
function closeConsumer({ connection }: Streams, { stream_name, name }: ConsumerInfo): void {
  if (connection.nats.isClosed()) return;
  connection.nats.publish(`${connection.apiPrefix}.CONSUMER.DELETE.${stream_name}.${name}`);
}

/** The consumer's messages after the first `count`, up to a batch's limits. */
function pull({ connection }: Streams, consumer: ConsumerInfo, count: number, limit: number): Promise<Stored[]> {
  const { nats, apiPrefix } = connection;
  const { stream_name, name } = consumer;
  const inbox = createInbox();
  const found: Stored[] = [];
  return new Promise((resolve, reject) => {
    const done = (error?: unknown) => {
      clearTimeout(timer);
      subscription.unsubscribe();
      if (error === undefined || found.length > 0) resolve(found);
      else reject(error);
    };
    const subscription = nats.subscribe(inbox, {
      callback: (error, message) => {
        if (error !== null) return done(error);
        if (message.headers !== undefined && message.headers.code !== 0) return done();
        const { delivery, stored } = readDelivery(message);
        // A message was lost on its way: the next pull or consumer begins there.
        if (delivery !== count + found.length + 1) return done();
        found.push(stored);
        if (found.length === limit) done();
      },
    });
    const timer = setTimeout(() => done(new errors.TimeoutError()), PULL_MS);
    const asked = { batch: limit, no_wait: true, max_bytes: BATCH.bytes };
    nats.publish(`${apiPrefix}.CONSUMER.MSG.NEXT.${stream_name}.${name}`, JSON.stringify(asked), { reply: inbox });
  });
}

/**
 * A message's reply subject holds the stream's sequence and the consumer's count, as its sixth and seventh part, or two
 * parts later where it names a domain.
 */
function readDelivery({ subject, reply = "", headers, data }: Msg): { delivery: number; stored: Stored } {
  const parts = reply.split(".");
  const at = parts.length > 9 ? 7 : 5;
  const bytes = Number(headers?.get("Nats-Msg-Size") || data.byteLength);
  const stored = { seq: Number(parts[at]), id: idIn(headers), subject, fields: fieldsIn(headers), data, bytes };
  return { delivery: Number(parts[at + 1]), stored };
}
