import type { MsgRequest, StoredMsg, StreamInfo } from "@nats-io/jetstream";
import { type Connection, isNoStream, takenBy, Unsettled } from "./connection.ts";
import type { Names, StreamKind } from "./names.ts";

/** How often a stream is asked whether it has begun. One that stays silent was made by somebody without direct reading. */
const MAX_TRIES = 10;
const TRY_MS = 50;

export type AnswerOf = <T>(kind: StreamKind, ask: () => Promise<T>) => Promise<T | undefined>;

/** Asks once: who waits for a server that is away asks again. */
export interface Readiness {
  /** Something was stored there, so it is. */
  nowReady(kind: StreamKind): void;
  /** It doesn't answer: somebody may have removed it. */
  notReady(kind: StreamKind): void;
  /** What the stream answers once it may be asked; undefined where there is none. */
  answerOf: AnswerOf;
  messageOf(kind: StreamKind, query: MsgRequest): Promise<StoredMsg | null | undefined>;
  /** `subjects`: with how many messages each of these has. */
  infoOf(kind: StreamKind, subjects?: string): Promise<StreamInfo | undefined>;
  /** The streams that take what is sent to this subject. */
  takers(subject: string): Promise<readonly string[]>;
  /** Whether there is such a stream; fails where another takes what it is for. */
  isThere(kind: StreamKind): Promise<boolean>;
  /** Whether that is known, without asking. */
  isKnown(kind: StreamKind): boolean;
}

/**
 * A server (2.9.10 does it) may end with all it serves when it is asked for a message of a stream that is just being made. A
 * stream that has begun answers direct reads; so that is asked first, once for each stream.
 */
export function createReadiness({ nats, jsm, apiPrefix }: Connection, names: Names, share: Share): Readiness {
  const ready = new Set<StreamKind>();

  const answers = (stream: string): Promise<boolean> =>
    nats.request(`${apiPrefix}.DIRECT.GET.${stream}`, JSON.stringify({ seq: 1 }), { timeout: TRY_MS }).then(
      () => true,
      () => false,
    );

  const takers = (subject: string) => Array.fromAsync(jsm.streams.names(subject));

  const isListed = async (kind: StreamKind): Promise<boolean> =>
    (await takers(names.subjects(kind)[0] ?? "")).includes(names.stream(kind));

  const look = async (kind: StreamKind): Promise<boolean> => {
    const stream = names.stream(kind);
    if (!(await isListed(kind))) return false;
    for (let tries = 0; tries < MAX_TRIES && !(await answers(stream)); tries++);
    ready.add(kind);
    return true;
  };

  const isReady = async (kind: StreamKind) => ready.has(kind) || share(`whether ${kind} is ready`, () => look(kind));

  const answerOf: AnswerOf = async (kind, ask) => {
    if (!(await isReady(kind))) return undefined;
    try {
      return await ask();
    } catch (error) {
      if (!isNoStream(error)) throw error;
      if (await isListed(kind)) throw new Unsettled("the server says that there is no such stream, and lists it");
      ready.delete(kind);
      return undefined;
    }
  };

  return {
    nowReady: (kind) => void ready.add(kind),
    notReady: (kind) => void ready.delete(kind),
    answerOf,
    messageOf: (kind, query) => answerOf(kind, () => jsm.streams.getMessage(names.stream(kind), query)),
    infoOf: (kind, subjects) =>
      answerOf(kind, () => jsm.streams.info(names.stream(kind), subjects ? { subjects_filter: subjects } : undefined)),
    takers,
    async isThere(kind) {
      const stream = names.stream(kind);
      const listed = (await Promise.all(names.subjects(kind).map(takers))).flat();
      if (listed.includes(stream)) return true;
      if (listed[0] !== undefined) throw takenBy(listed[0], stream);
      return false;
    },
    isKnown: (kind) => ready.has(kind),
  };
}

interface Reads {
  going: Promise<unknown>;
  next: Promise<unknown> | undefined;
}

export type Share = <T>(what: string, read: () => Promise<T>) => Promise<T>;

/**
 * Who asks for what is being read already shares the next read with all who do: each is told what was so after it asked,
 * and in its turn. So of two who ask for the same things nobody overtakes the other.
 */
export function createSharing(): Share {
  const known = new Map<string, Reads>();

  const settled = async (what: string, reads: Reads, read: Promise<unknown>): Promise<void> => {
    await read.catch(() => {});
    if (reads.going === read && reads.next === undefined) known.delete(what);
  };

  return <T>(what: string, read: () => Promise<T>): Promise<T> => {
    const reads = known.get(what);
    if (reads === undefined) {
      const going = read();
      const first: Reads = { going, next: undefined };
      known.set(what, first);
      void settled(what, first, going);
      return going;
    }
    reads.next ??= reads.going
      .catch(() => {})
      .then(() => {
        const going = read();
        reads.going = going;
        reads.next = undefined;
        void settled(what, reads, going);
        return going;
      });
    return reads.next as Promise<T>;
  };
}
