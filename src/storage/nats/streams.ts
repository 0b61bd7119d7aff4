import { DiscardPolicy, type MsgRequest, RetentionPolicy, StorageType, type StreamInfo } from "@nats-io/jetstream";
import { headers, type MsgHdrs } from "@nats-io/transport-node";
import { invalid } from "../../core/errors.ts";
import { monotonicMs } from "../../core/time.ts";
import {
  type Connection,
  fault,
  isConflict,
  isNoResponders,
  isStreamNameInUse,
  isStreamNotFound,
  isSubjectsOverlap,
  isTemporary,
  oldClusterError,
  UnsettledError,
} from "./connection.ts";
import { type Names, namesOf, type StreamKind } from "./names.ts";

/** A message as a stream stores it. */
export interface Stored {
  readonly seq: number;
  /** The id that it was published under. */
  readonly id: string;
  readonly subject: string;
  /** The content of our own header. */
  readonly fields: unknown;
  readonly data: Uint8Array;
  /** Size of the data, even where it was left out. */
  readonly bytes: number;
}

export type Streams = ReturnType<typeof createStreams>;

/**
 * How long a stream recognises the ids of its messages. A signed request is valid for ten minutes at most, so one that
 * is repeated after a crash between its steps is always recognised.
 */
const DUPLICATES_MS = 20 * 60_000;
/** An hour is promised. */
const NONCES_MS = 2 * 3_600_000;
const MILLISECOND = 1_000_000;

/** The streams of one bus. A stream that doesn't exist yet reads as empty, and is made by the first message. */
export function createStreams(connection: Connection, bus: string, replicas: number) {
  const { jsm, retry } = connection;
  const names = namesOf(bus);
  const share = createSharing();
  const presence = createPresence(connection, names, share);
  const { ask, getMessage, getInfo } = presence;

  /** A stream that exists already stays as it is. */
  const make = async (kind: StreamKind): Promise<void> => {
    if (kind === "messages") await refuseOrphans(presence, names);
    try {
      const info = await jsm.streams.add({
        name: names.stream(kind),
        description: `el-ipc: the ${kind} of the bus ${bus}`,
        subjects: [...names.subjects(kind)],
        allow_direct: true,
        retention: RetentionPolicy.Limits,
        storage: StorageType.File,
        // A full stream refuses new messages, and forgets none.
        discard: DiscardPolicy.New,
        num_replicas: replicas,
        max_msgs_per_subject: kind === "messages" || kind === "sessions" ? -1 : 1,
        max_age: kind === "nonces" ? NONCES_MS * MILLISECOND : 0,
        duplicate_window: DUPLICATES_MS * MILLISECOND,
      });
      refuseOldCluster(info);
    } catch (error) {
      if (isStreamNameInUse(error)) return;
      if (!isSubjectsOverlap(error)) throw error;
      await presence.exists(kind);
      throw new UnsettledError("the stream that was in the way has just been made, or removed");
    }
  };

  const message = (kind: StreamKind, query: MsgRequest) =>
    share(`${kind} ${JSON.stringify(query)}`, async (): Promise<Stored | undefined> => {
      const found = await retry(() => getMessage(kind, query));
      if (!found) return undefined;
      const { seq, subject, header, data } = found;
      return { seq, id: idIn(header), subject, fields: fieldsIn(header), data, bytes: data.byteLength };
    });

  const info = (kind: StreamKind, subjects?: string) => retry(() => getInfo(kind, subjects));

  return {
    connection,
    names,
    publish: createPublish(connection, names, presence, make),
    ask,
    /** The last message of a subject, or of all that a wildcard matches. */
    last: (kind: StreamKind, subject: string) => message(kind, { last_by_subj: subject }),
    /** The first message of a subject, or of all that a wildcard matches, at a sequence or after it. */
    next(kind: StreamKind, subject: string, seq: number) {
      // The server takes this combination; the client's types don't have it.
      const query = { next_by_subj: subject, seq: Math.max(1, seq) };
      return message(kind, query);
    },
    at: (kind: StreamKind, seq: number) => message(kind, { seq }),
    /** The last sequence that any message was given; 0 where there was none. */
    lastSeq: async (kind: StreamKind) => (await info(kind))?.state.last_seq ?? 0,
    counts: async (kind: StreamKind, subject: string): Promise<Readonly<Record<string, number>>> =>
      (await info(kind, subject))?.state.subjects ?? {},

    /** Removes the messages of a subject up to a sequence, or all of them; returns how many it removed. */
    async purge(kind: StreamKind, subject: string, upTo?: number): Promise<number> {
      // To the server, sequence 1 would mean no limit.
      if (upTo !== undefined && upTo < 1) return 0;
      const what = { filter: subject, ...(upTo === undefined ? {} : { seq: upTo + 1 }) };
      const done = await retry(() => ask(kind, () => jsm.streams.purge(names.stream(kind), what)));
      return done?.purged ?? 0;
    },
  };
}

/**
 * A new stream of messages would give ids again that watermarks have passed, so its messages would never be read. No
 * watermark moves before there is a message: where one has moved and the messages don't exist, they were removed.
 */
async function refuseOrphans({ getMessage, exists }: Presence, names: Names): Promise<void> {
  const watermark = await getMessage("readers", { last_by_subj: names.everyRecord("watermarks") });
  if (!watermark || watermark.json<{ lastId?: unknown }>().lastId === 0 || (await exists("messages"))) return;
  const [messages, readers] = [names.stream("messages"), names.stream("readers")];
  throw fault(
    `the stream ${messages} was removed, and ${readers} still says how far each agent has read it: restore ${messages}, or remove ${readers} too`,
  );
}

/** Since 2.10 a server adds the time to a stream's info. Only a clustered server names its cluster. */
function refuseOldCluster(info: StreamInfo): void {
  if (info.cluster?.name && !("ts" in info)) throw oldClusterError(info.cluster.name);
}

/** Probes of a stream that is being made. One made without direct reads never answers. */
const MAX_PROBES = 10;
const PROBE_MS = 50;
/** A cluster may not list a stream for a moment while it elects a leader. */
const GRACE_MS = 5_000;

type Presence = ReturnType<typeof createPresence>;

/**
 * Knows which streams exist. Every request here is sent once: its caller retries it.
 *
 * A 2.9.10 server may crash when it is asked for a message of a stream that is just being made. A stream that answers
 * direct reads has begun, so each is asked for one first, once per process.
 */
function createPresence(connection: Connection, names: Names, share: Share) {
  const { nats, jsm, apiPrefix } = connection;
  const known = new Set<StreamKind>();
  const missingSince = new Map<StreamKind, number>();

  const probe = (stream: string): Promise<boolean> =>
    nats.request(`${apiPrefix}.DIRECT.GET.${stream}`, JSON.stringify({ seq: 1 }), { timeout: PROBE_MS }).then(
      () => true,
      () => false,
    );

  /** The streams that listen on this subject. */
  const storing = (subject: string) => Array.fromAsync(jsm.streams.names(subject));

  const isListed = async (kind: StreamKind): Promise<boolean> =>
    (await storing(names.subjects(kind)[0] ?? "")).includes(names.stream(kind));

  const markKnown = (kind: StreamKind): void => {
    known.add(kind);
    missingSince.delete(kind);
  };

  const look = async (kind: StreamKind): Promise<boolean> => {
    if (!(await isListed(kind))) return false;
    for (let probes = 0; probes < MAX_PROBES && !(await probe(names.stream(kind))); probes++);
    if (!connection.isSingleServer()) refuseOldCluster(await jsm.streams.info(names.stream(kind)));
    markKnown(kind);
    return true;
  };

  /** For a request that found no stream. Fails where this process has used the stream: then it was removed. */
  const refuseRemoved = async (kind: StreamKind): Promise<void> => {
    if (!known.has(kind)) return;
    const since = missingSince.get(kind) ?? monotonicMs();
    missingSince.set(kind, since);
    if (!connection.isSingleServer() && monotonicMs() < since + GRACE_MS) {
      throw new UnsettledError("the cluster doesn't list the stream");
    }
    throw fault(
      `the stream ${names.stream(kind)} was removed while el-ipc used it: restore it; or, to begin with an empty one, restart el-ipc`,
    );
  };

  /** Sends a request to a stream once it is safe to; undefined where the stream doesn't exist. */
  const ask = async <T>(kind: StreamKind, request: () => Promise<T>): Promise<T | undefined> => {
    try {
      if (!known.has(kind) && !(await share(`whether ${kind} exists`, () => look(kind)))) return undefined;
      const answer = await request();
      missingSince.delete(kind);
      return answer;
    } catch (error) {
      if (!isStreamNotFound(error)) throw error;
      if (await isListed(kind)) throw new UnsettledError("the server lists the stream, and says it doesn't exist");
      await refuseRemoved(kind);
      return undefined;
    }
  };

  return {
    ask,
    getMessage: (kind: StreamKind, query: MsgRequest) =>
      ask(kind, () => jsm.streams.getMessage(names.stream(kind), query)),
    /** `subjects`: counts the messages of each of these. */
    getInfo: (kind: StreamKind, subjects?: string) =>
      ask(kind, async () => {
        const options = subjects === undefined ? undefined : { subjects_filter: subjects };
        const info = await jsm.streams.info(names.stream(kind), options);
        refuseOldCluster(info);
        return info;
      }),
    storing,
    /** Fails where another stream has the subjects. */
    async exists(kind: StreamKind): Promise<boolean> {
      const stream = names.stream(kind);
      const listed = (await Promise.all(names.subjects(kind).map(storing))).flat();
      if (listed.includes(stream)) return true;
      if (listed[0] !== undefined) throw overlapError(listed[0], stream);
      return false;
    },
    /** Whether this process has used the stream. */
    isKnown: (kind: StreamKind) => known.has(kind),
    markKnown,
    refuseRemoved,
  };
}

/** With two streams on one subject a message may be stored in the wrong one, or never be acknowledged. */
function overlapError(other: string, stream: string): Error {
  return fault(`the stream ${other} takes what ${stream} is for: docs/nats.md lists what each stream takes`);
}

type Share = <T>(key: string, read: () => Promise<T>) => Promise<T>;

/**
 * Shares reads of the same key: callers that arrive during a read share the one after it. So each gets an answer from
 * after its call, and in order: no caller of a key overtakes another.
 */
function createSharing(): Share {
  const reading = new Map<string, { readonly current: Promise<unknown>; next?: Promise<unknown> }>();

  const start = <T>(key: string, read: () => Promise<T>): Promise<T> => {
    const current = read();
    const reads = { current };
    reading.set(key, reads);
    const end = () => !("next" in reads) && reading.delete(key);
    current.then(end, end);
    return current;
  };

  return <T>(key: string, read: () => Promise<T>): Promise<T> => {
    const reads = reading.get(key);
    if (reads === undefined) return start(key, read);
    reads.next ??= reads.current.catch(() => {}).then(() => start(key, read));
    return reads.next as Promise<T>;
  };
}

interface Publication {
  /** A second message under the same id is not stored. */
  readonly id: string;
  readonly fields?: object;
  readonly data?: Uint8Array | string;
  /** Stores only while this is the last message of the subject, or of the stream; 0: while there is none. */
  readonly expect?: { readonly lastSubjectSequence: number } | { readonly lastSequence: number };
}

/** `repeated`: another process had stored a message under this id before. */
export type Published = { readonly seq: number; readonly repeated: boolean } | "conflict";

/** One message over all its tries. */
interface Delivery extends Publication {
  readonly kind: StreamKind;
  readonly subject: string;
  readonly head: MsgHdrs;
  /** A try got no answer, so the message may be stored already. */
  isUnsure: boolean;
}

const FIELDS = "El-Ipc";
const MESSAGE_ID = "Nats-Msg-Id";

/**
 * Stores messages, each once. A message waits or is tried again for four reasons, each in a function of its own:
 *
 * - `retry` (connection): no answer came, or the server says to ask again. The try is repeated under the same id.
 * - `publishFirst`: the stream doesn't exist. `make` makes it, and it is asked again at once.
 * - `inOrder`: the stream isn't known yet, and another message is being tried. This one waits for it, so that messages
 *   keep their order and the stream is made once.
 * - `store`: the answer doesn't show whether the message is stored. The stream itself is read; where that doesn't show
 *   it either, the whole try is repeated.
 */
function createPublish(
  connection: Connection,
  names: Names,
  presence: Presence,
  make: (kind: StreamKind) => Promise<void>,
) {
  const { js, retry, patience, maxPayload, maxData } = connection;
  const beginning = new Map<StreamKind, Promise<unknown>>();

  const inOrder = async <T>(kind: StreamKind, store: () => Promise<T>): Promise<T> => {
    const begun = monotonicMs();
    while (!presence.isKnown(kind)) {
      const first = beginning.get(kind);
      if (first === undefined) {
        const stored = store();
        beginning.set(kind, stored);
        return stored.finally(() => beginning.delete(kind));
      }
      // After a failure the next message is the first; messages that have waited too long fail with it.
      await first.catch((error: unknown) => {
        if (monotonicMs() > begun + patience) throw error;
      });
    }
    return store();
  };

  const publishOnce = async (delivery: Delivery) => {
    const { kind, subject, id, data = "", head, expect } = delivery;
    try {
      const answer = await js.publish(subject, data, { msgID: id, headers: head, ...(expect && { expect }) });
      if (answer.stream !== names.stream(kind)) throw overlapError(answer.stream, names.stream(kind));
      return answer;
    } catch (error) {
      if (isConflict(error)) {
        if (!presence.isKnown(kind)) await presence.exists(kind);
        return "conflict";
      }
      delivery.isUnsure ||= !isNoResponders(error) && !isTemporary(error);
      throw error;
    }
  };

  const publishFirst = async (delivery: Delivery) => {
    const { kind, subject } = delivery;
    const isStored = async () => (await presence.storing(subject)).includes(names.stream(kind));
    // A stream that never acknowledges may have the subject; and a subscriber to everything hides that no stream has it.
    if (delivery.isUnsure && !presence.isKnown(kind) && !(await presence.exists(kind))) await make(kind);
    for (;;) {
      try {
        return await publishOnce(delivery);
      } catch (error) {
        if (!isNoResponders(error) || (await isStored())) throw error;
        await presence.refuseRemoved(kind);
        await make(kind);
        if (await isStored()) continue;
        const what = `there is a stream ${names.stream(kind)}, but it doesn't take ${subject}`;
        throw fault(`${what}: docs/nats.md lists what each stream takes`);
      }
    }
  };

  const store = async (delivery: Delivery): Promise<Published> => {
    const { kind, subject, id } = delivery;
    const answer = await publishFirst(delivery);
    presence.markKnown(kind);
    if (answer === "conflict") {
      // Clusters up to 2.10 compare before they look at the id, so an earlier try of ours may be in the way.
      const last = delivery.isUnsure ? await presence.getMessage(kind, { last_by_subj: subject }) : undefined;
      return last && idIn(last.header) === id ? { seq: last.seq, repeated: false } : "conflict";
    }
    const { seq, duplicate } = answer;
    if (duplicate && !(await holds(presence, delivery, seq))) throw new UnsettledError("it isn't stored yet");
    return { seq, repeated: duplicate && !delivery.isUnsure };
  };

  return async (kind: StreamKind, subject: string, publication: Publication): Promise<Published> => {
    const { fields, data = "" } = publication;
    checkSize(data, maxData(), maxPayload());
    const head = headers();
    if (fields !== undefined) head.set(FIELDS, toAscii(JSON.stringify(fields)));
    const delivery = { ...publication, kind, subject, head, isUnsure: false };
    return inOrder(kind, () => retry(() => store(delivery)));
  };
}

/**
 * Checks that the stream has the message where it says so. A leader answers a repeated id from memory, even while the
 * cluster hasn't agreed on the first message: then it may name sequence 0 (2.10 does), or another message's sequence. A
 * message that was removed since counts as stored.
 */
async function holds({ getMessage, getInfo }: Presence, { kind, id }: Delivery, seq: number): Promise<boolean> {
  if (seq === 0) return false;
  const found = await getMessage(kind, { seq });
  if (found) return idIn(found.header) === id;
  return seq <= ((await getInfo(kind))?.state.last_seq ?? 0);
}

export function idIn(head: { get(name: string): string } | undefined): string {
  return head?.get(MESSAGE_ID) ?? "";
}

export function fieldsIn(head: { get(name: string): string } | undefined): unknown {
  const text = head?.get(FIELDS);
  return text ? JSON.parse(text) : undefined;
}

/** Header values are ASCII, and lose spaces at their ends. */
function toAscii(json: string): string {
  return json.replace(/[\u007f-\uffff]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

function checkSize(data: Uint8Array | string, maxData: number, maxPayload: number): void {
  const bytes = Buffer.byteLength(data);
  if (bytes <= maxData) return;
  const words = `this NATS server takes ${maxData} bytes at most (its max_payload is ${maxPayload}), not ${bytes}`;
  throw invalid(words, "too_large");
}
