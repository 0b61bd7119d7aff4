import { AckPolicy, type ConsumerInfo, DeliverPolicy } from "@nats-io/jetstream";
import { createInbox, errors, type Msg, nuid } from "@nats-io/transport-node";
import { isPassing } from "./connection.ts";
import type { StreamKind } from "./names.ts";
import { fieldsIn, idIn } from "./publishing.ts";
import type { Stored, Streams } from "./streams.ts";

export interface Range {
  readonly subject: string;
  /** The first sequence. */
  readonly from: number;
  /** Of each subject the last message alone. */
  readonly lastOnly?: boolean;
  /** For that, which there are, where it was asked before. */
  readonly subjects?: readonly string[];
  /** Without what the messages hold. */
  readonly headersOnly?: boolean;
  /** So many are likely to be enough: an old server takes half a millisecond for each, wanted or not. */
  readonly enough?: number;
}

/** So many are asked for one by one before a consumer is made for the rest. */
const FEW = 3;
/** So many, where a cluster had none for it: it may have put it on a server that is gone. */
const MANY = 50;
/** So many are asked for at the same time. */
const AT_ONCE = 50;
const CHUNK = { messages: 500, bytes: 4 * 1024 * 1024 };
const PULL_MS = 2_500;
const ABANDONED_MS = 10_000;
const MILLISECOND = 1_000_000;

/**
 * The messages of a range, in their order and without a gap: each is told by the stream's leader or by a consumer of its
 * own, and the end by the leader alone, since a consumer lies on any replica and that may be behind.
 */
export async function* scan(streams: Streams, kind: StreamKind, range: Range): AsyncGenerator<Stored, void, void> {
  if (range.lastOnly) {
    yield* lastOfEach(streams, kind, range);
    return;
  }
  let { from } = range;
  for (let singly = (await streams.isOldCluster(kind)) ? Number.POSITIVE_INFINITY : FEW; ; ) {
    for (let n = 0; n < singly; n++) {
      const found = await streams.next(kind, range.subject, from);
      if (found === undefined) return;
      yield found;
      from = found.seq + 1;
    }
    // One by one also what is too large to come in a batch, and what a server that went has left.
    singly = 1;
    try {
      for await (const found of delivered(streams, kind, { ...range, from })) {
        yield found;
        from = found.seq + 1;
      }
    } catch (error) {
      if (!isPassing(error)) throw error;
      singly = MANY;
    }
  }
}

/**
 * Which subjects there are is said by the leader. A consumer passes over one whose last message is replaced while it reads,
 * and may have come to what replaced it before it was asked for all it has: so none is told twice, and the leader is asked
 * for what is missing. That may be gone by then.
 */
async function* lastOfEach(streams: Streams, kind: StreamKind, range: Range): AsyncGenerator<Stored, void, void> {
  const subjects = range.subjects ?? Object.keys(await streams.counts(kind, range.subject));
  const singly = subjects.length <= FEW || (await streams.isOldCluster(kind));
  const found = singly ? new Map<string, Stored>() : await consumed(streams, kind, range);
  yield* found.values();
  const missing = subjects.filter((subject) => !found.has(subject));
  for (let from = 0; from < missing.length; from += AT_ONCE) {
    const lasts = missing.slice(from, from + AT_ONCE).map((subject) => streams.last(kind, subject));
    for (const last of await Promise.all(lasts)) if (last !== undefined) yield last;
  }
}

/** The last of each subject that a consumer has, which lies on a replica that isn't behind. */
function consumed(streams: Streams, kind: StreamKind, range: Range): Promise<ReadonlyMap<string, Stored>> {
  return streams.connection.attempt(async () => {
    const newest = (await streams.last(kind, range.subject))?.seq ?? 0;
    const found = new Map<string, Stored>();
    let upTo = 0;
    for await (const one of delivered(streams, kind, range)) {
      found.set(one.subject, one);
      upTo = one.seq;
    }
    // In the order of the stream: a replica that has the newest has all before it.
    if (upTo < newest) throw new errors.TimeoutError();
    return found;
  });
}

/** What a consumer of its own delivers; less than there is where one is too large, or was lost on its way. */
async function* delivered(streams: Streams, kind: StreamKind, range: Range): AsyncGenerator<Stored, void, void> {
  const consumer = await openConsumer(streams, kind, range);
  if (consumer === undefined) return;
  const most = Math.min(CHUNK.messages, range.enough ?? CHUNK.messages);
  try {
    for (let told = 0; told < consumer.num_pending; ) {
      const batch = await pull(streams, consumer, told, Math.min(consumer.num_pending - told, most));
      if (batch.length === 0) return;
      told += batch.length;
      yield* batch;
    }
  } finally {
    closeConsumer(streams, consumer);
  }
}

/**
 * How many messages a range holds. A replica that is behind may tell less: in an old cluster it isn't asked for the first few,
 * and so whether there are any is always told right.
 */
export async function countOf(streams: Streams, kind: StreamKind, range: Range): Promise<number> {
  let { from } = range;
  let count = 0;
  for (const singly = (await streams.isOldCluster(kind)) ? MANY : 0; count < singly; count++) {
    const found = await streams.next(kind, range.subject, from);
    if (found === undefined) return count;
    from = found.seq + 1;
  }
  const consumer = await streams.connection.attempt(() => openConsumer(streams, kind, { ...range, from }));
  if (consumer === undefined) return count;
  closeConsumer(streams, consumer);
  return count + consumer.num_pending;
}

function openConsumer(
  { connection, names, answerOf }: Streams,
  kind: StreamKind,
  { subject, from, lastOnly = false, headersOnly = false }: Range,
): Promise<ConsumerInfo | undefined> {
  const start = lastOnly
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
  return answerOf(kind, () => connection.jsm.consumers.add(names.stream(kind), config));
}

/** Nobody waits for it: one that stays behind leaves by itself. */
function closeConsumer({ connection }: Streams, { stream_name, name }: ConsumerInfo): void {
  if (connection.nats.isClosed()) return;
  connection.nats.publish(`${connection.apiPrefix}.CONSUMER.DELETE.${stream_name}.${name}`);
}

/** What the consumer has next after what it told, so many at most, and no more bytes than a batch should have. */
function pull({ connection }: Streams, consumer: ConsumerInfo, told: number, most: number): Promise<readonly Stored[]> {
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
        const { count, stored } = deliveredIn(message);
        // One got lost on its way: what is behind it is asked for anew.
        if (count !== told + found.length + 1) return done();
        found.push(stored);
        if (found.length === most) done();
      },
    });
    const timer = setTimeout(() => done(new errors.TimeoutError()), PULL_MS);
    const asked = { batch: most, no_wait: true, max_bytes: CHUNK.bytes };
    nats.publish(`${apiPrefix}.CONSUMER.MSG.NEXT.${stream_name}.${name}`, JSON.stringify(asked), { reply: inbox });
  });
}

/**
 * Where a message comes from stands in its subject for acknowledgements: the stream's sequence and the consumer's own, as
 * the sixth and the seventh part, or two parts later where domains are named too.
 */
function deliveredIn({ subject, reply = "", headers, data }: Msg): { count: number; stored: Stored } {
  const parts = reply.split(".");
  const at = parts.length > 9 ? 7 : 5;
  const bytes = Number(headers?.get("Nats-Msg-Size") || data.byteLength);
  const stored = { seq: Number(parts[at]), id: idIn(headers), subject, fields: fieldsIn(headers), data, bytes };
  return { count: Number(parts[at + 1]), stored };
}
