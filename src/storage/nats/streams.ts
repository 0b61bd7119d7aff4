import { DiscardPolicy, type MsgRequest, RetentionPolicy, StorageType, type StoredMsg } from "@nats-io/jetstream";
import { monotonicMs } from "../../core/time.ts";
import { type Connection, isOverlap, isStreamThere, Unsettled } from "./connection.ts";
import { type Names, namesOf, type StreamKind } from "./names.ts";
import { createPublish, fieldsIn, idIn, type Publish } from "./publishing.ts";
import { type AnswerOf, createReadiness, createSharing } from "./readiness.ts";

/** A message as a stream keeps it. `fields` is what we say about it in a header of our own. */
export interface Stored {
  readonly seq: number;
  /** The one under which it was stored. */
  readonly id: string;
  readonly subject: string;
  readonly fields: unknown;
  readonly data: Uint8Array;
  /** How much it holds, where that was left out, too. */
  readonly bytes: number;
}

/** The streams of one bus. What isn't there reads as empty, and is made when something is first stored in it. */
export interface Streams {
  readonly connection: Connection;
  readonly names: Names;
  readonly bus: string;
  readonly publish: Publish;
  /** The last message of a subject, or of all that a wildcard names. */
  last(kind: StreamKind, subject: string): Promise<Stored | undefined>;
  /** The first message of a subject, or of all that a wildcard names, at a sequence or behind it. */
  next(kind: StreamKind, subject: string, seq: number): Promise<Stored | undefined>;
  at(kind: StreamKind, seq: number): Promise<Stored | undefined>;
  /** The last sequence that was given to any message; 0 where there was none. */
  lastSeq(kind: StreamKind): Promise<number>;
  counts(kind: StreamKind, subject: string): Promise<Readonly<Record<string, number>>>;
  /** Removes the messages of a subject up to a sequence, or all; answers with how many there were. */
  purge(kind: StreamKind, subject: string, upTo?: number): Promise<number>;
  /**
   * Whether the stream lies in a cluster of 2.9. A server of it that stood still, and goes on, has other messages under some
   * ids until it has caught up; so only leaders are read. And it doesn't compare what several expect at once.
   */
  isOldCluster(kind: StreamKind): Promise<boolean>;
  /** What the stream answers once it may be asked; undefined where there is none. */
  readonly answerOf: AnswerOf;
}

/**
 * How long a stream knows the ids of what it has stored. A signed request is taken for ten minutes at most, so one that
 * comes again after a crash between its steps is always known.
 */
const DUPLICATES_MS = 20 * 60_000;
/** Nonces leave after two hours; an hour is what is promised. */
const NONCES_MS = 2 * 3_600_000;
const MILLISECOND = 1_000_000;
const AGE_KNOWN_MS = 60_000;

export function createStreams(connection: Connection, bus: string, replicas: number): Streams {
  const { jsm, attempt } = connection;
  const names = namesOf(bus);
  const share = createSharing();
  const readiness = createReadiness(connection, names, share);
  const { answerOf, messageOf, infoOf } = readiness;

  /** Made with limits that leave nothing out by themselves; one that is there already stays as it is. */
  const make = async (kind: StreamKind): Promise<void> => {
    const one = kind !== "messages" && kind !== "sessions";
    try {
      await jsm.streams.add({
        name: names.stream(kind),
        description: `el-ipc: the ${kind} of the bus ${bus}`,
        subjects: [...names.subjects(kind)],
        allow_direct: true,
        retention: RetentionPolicy.Limits,
        storage: StorageType.File,
        // One that is full refuses what is new, and forgets nothing.
        discard: DiscardPolicy.New,
        num_replicas: replicas,
        max_msgs_per_subject: one ? 1 : -1,
        max_age: kind === "nonces" ? NONCES_MS * MILLISECOND : 0,
        duplicate_window: DUPLICATES_MS * MILLISECOND,
      });
    } catch (error) {
      if (isStreamThere(error)) return;
      if (!isOverlap(error)) throw error;
      await readiness.isThere(kind);
      throw new Unsettled("what was in the way has just been made, or removed");
    }
  };

  const message = (kind: StreamKind, query: MsgRequest) =>
    share(`${kind} ${JSON.stringify(query)}`, async () => {
      const found = await attempt(() => messageOf(kind, query));
      return found ? asStored(found) : undefined;
    });

  const info = (kind: StreamKind, subjects?: string) => attempt(() => infoOf(kind, subjects));

  const ages = new Map<StreamKind, { readonly isOld: boolean; readonly at: number }>();

  /** Servers tell the time with what they say of a stream from 2.10 on. A cluster may be renewed while this runs. */
  const isOldCluster = async (kind: StreamKind): Promise<boolean> => {
    if (connection.isAlone()) return false;
    const known = ages.get(kind);
    if (known !== undefined && monotonicMs() < known.at + AGE_KNOWN_MS) return known.isOld;
    const found = await info(kind);
    if (found === undefined) return false;
    const isOld = found.cluster !== undefined && !("ts" in found);
    ages.set(kind, { isOld, at: monotonicMs() });
    return isOld;
  };

  return {
    connection,
    names,
    bus,

    publish: createPublish(connection, names, readiness, isOldCluster, make),
    isOldCluster,
    answerOf,
    last: (kind, subject) => message(kind, { last_by_subj: subject }),
    next(kind, subject, seq) {
      // The client's types don't know that it may be asked like this.
      const query = { next_by_subj: subject, seq: Math.max(1, seq) };
      return message(kind, query);
    },
    at: (kind, seq) => message(kind, { seq }),
    lastSeq: async (kind) => (await info(kind))?.state.last_seq ?? 0,
    counts: async (kind, subject) => (await info(kind, subject))?.state.subjects ?? {},

    async purge(kind, subject, upTo) {
      // The server takes the first sequence for no limit at all.
      if (upTo !== undefined && upTo < 1) return 0;
      const what = { filter: subject, ...(upTo === undefined ? {} : { seq: upTo + 1 }) };
      const done = await attempt(() => answerOf(kind, () => jsm.streams.purge(names.stream(kind), what)));
      return done?.purged ?? 0;
    },
  };
}

function asStored({ seq, subject, header, data }: StoredMsg): Stored {
  return { seq, id: idIn(header), subject, fields: fieldsIn(header), data, bytes: data.byteLength };
}
