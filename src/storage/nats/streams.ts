import { DiscardPolicy, RetentionPolicy, StorageType, type StoredMsg } from "@nats-io/jetstream";
import { headers } from "@nats-io/transport-node";
import { invalid } from "../../core/errors.ts";
import type { Connection } from "./connection.ts";
import { isConflict, isNobodyThere, isNoStream, isStreamThere } from "./faults.ts";
import { type Names, namesOf, type StreamKind } from "./names.ts";
import { createReadiness } from "./readiness.ts";
import { createSharing } from "./sharing.ts";

/** A message as a stream keeps it. `fields` is what we say about it in a header of our own. */
export interface Stored {
  readonly seq: number;
  readonly subject: string;
  readonly fields: unknown;
  readonly data: Uint8Array;
  /** How much it holds, where that was left out, too. */
  readonly bytes: number;
}

export interface Publication {
  /** Under the same one nothing is stored twice. */
  readonly id: string;
  readonly fields?: object;
  readonly data?: Uint8Array | string;
  /** Only where this is the last message of its subject, or of the stream; 0 where there is to be none. */
  readonly expect?: { readonly lastSubjectSequence: number } | { readonly lastSequence: number };
}

/** `repeated`: something was stored under its id before, by somebody else unless one's own first try got no answer. */
export type Published = { readonly seq: number; readonly repeated: boolean } | "conflict";

/** The streams of one bus. What isn't there reads as empty, and is made when something is first stored in it. */
export interface Streams {
  readonly connection: Connection;
  readonly names: Names;
  readonly bus: string;
  publish(kind: StreamKind, subject: string, publication: Publication): Promise<Published>;
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
  /** Whether there is such a stream, and it may be asked. */
  isReady(kind: StreamKind): Promise<boolean>;
}

const FIELDS = "El-Ipc";

/**
 * How long a stream knows the ids of what it has stored. A signed request is taken for ten minutes at most, so one that
 * comes again after a crash between its steps is always known.
 */
const DUPLICATES_MS = 20 * 60_000;
/** Nonces leave after two hours; an hour is what is promised. */
const NONCES_MS = 2 * 3_600_000;
const MILLISECOND = 1_000_000;

/** Room that a message's subject, its headers and their names take at most. */
const HEAD_BYTES = 8 * 1024;

export function createStreams(connection: Connection, bus: string, replicas: number): Streams {
  const { js, jsm, attempt } = connection;
  const names = namesOf(bus);
  const share = createSharing();
  const { isReady, nowReady, isKnown } = createReadiness(connection, names, share);
  const beginning = new Map<StreamKind, Promise<unknown>>();

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
      if (!isStreamThere(error)) throw error;
    }
  };

  /** Undefined where there is no such stream, and so nothing in it. */
  const ifThere = async <T>(kind: StreamKind, step: () => Promise<T>): Promise<T | undefined> => {
    if (!(await isReady(kind))) return undefined;
    return attempt(async () => {
      try {
        return await step();
      } catch (error) {
        if (isNoStream(error)) return undefined;
        throw error;
      }
    });
  };

  const message = (kind: StreamKind, query: Parameters<typeof jsm.streams.getMessage>[1]) =>
    share(`${kind} ${JSON.stringify(query)}`, async () => {
      const found = await ifThere(kind, () => jsm.streams.getMessage(names.stream(kind), query));
      return found ? asStored(found) : undefined;
    });

  /** What is first stored in a stream may have to make it: what comes meanwhile waits for that, and stays in order. */
  const inOrder = async <T>(kind: StreamKind, store: () => Promise<T>): Promise<T> => {
    while (!isKnown(kind)) {
      const first = beginning.get(kind);
      if (first !== undefined) {
        await first.catch(() => {});
        continue;
      }
      const stored = store();
      beginning.set(kind, stored);
      return stored.finally(() => beginning.delete(kind));
    }
    return store();
  };

  const info = (kind: StreamKind, subjects?: string) =>
    ifThere(kind, () => jsm.streams.info(names.stream(kind), subjects ? { subjects_filter: subjects } : undefined));

  return {
    connection,
    names,
    bus,

    async publish(kind, subject, { id, fields, data = "", expect }) {
      const head = headers();
      if (fields !== undefined) head.set(FIELDS, ascii(JSON.stringify(fields)));
      checkSize(connection.largest(), data);
      let unsure = false;
      const store = async (): Promise<Published> => {
        try {
          const options = { msgID: id, headers: head, ...(expect && { expect }) };
          const { seq, duplicate } = await js.publish(subject, data, options);
          nowReady(kind);
          return { seq, repeated: duplicate && !unsure };
        } catch (error) {
          if (isConflict(error)) {
            nowReady(kind);
            return "conflict";
          }
          if (isNobodyThere(error)) {
            if (!(await isReady(kind))) {
              await make(kind);
              return store();
            }
          } else unsure = true;
          throw error;
        }
      };
      return inOrder(kind, () => attempt(store));
    },

    isReady,
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
      const done = await ifThere(kind, () => jsm.streams.purge(names.stream(kind), what));
      return done?.purged ?? 0;
    },
  };
}

/** What a header says of a message, as a value; undefined where it says nothing of ours. */
export function fieldsIn(head: { get(name: string): string } | undefined): unknown {
  const text = head?.get(FIELDS);
  return text ? JSON.parse(text) : undefined;
}

function asStored({ seq, subject, header, data }: StoredMsg): Stored {
  return { seq, subject, fields: fieldsIn(header), data, bytes: data.byteLength };
}

/** A header's value is ASCII, and keeps no spaces at its ends. */
function ascii(json: string): string {
  return json.replace(/[\u007f-\uffff]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

function checkSize(largest: number, data: Uint8Array | string): void {
  const most = largest - HEAD_BYTES;
  const bytes = Buffer.byteLength(data);
  if (bytes <= most) return;
  throw invalid(
    `this NATS server takes ${most} bytes at most (its max_payload is ${largest}), not ${bytes}`,
    "too_large",
  );
}
