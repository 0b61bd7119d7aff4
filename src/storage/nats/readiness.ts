import type { Connection } from "./connection.ts";
import type { Names, StreamKind } from "./names.ts";
import type { Share } from "./sharing.ts";

/** How often a stream is asked whether it has begun. One that stays silent was made by somebody without direct reading. */
const MOST_TRIES = 10;
const TRY_MS = 50;

export interface Readiness {
  /** Whether there is such a stream, and it may be asked. */
  isReady(kind: StreamKind): Promise<boolean>;
  /** Something was stored there, so it is. */
  nowReady(kind: StreamKind): void;
  /** It doesn't answer: somebody may have removed it. */
  notReady(kind: StreamKind): void;
  /** Whether there is such a stream, and it takes what is sent to this subject. */
  takes(kind: StreamKind, subject: string): Promise<boolean>;
  /** Whether that is known, without asking. */
  isKnown(kind: StreamKind): boolean;
}

/**
 * A server (2.9.10 does it) may end with all it serves when it is asked for a message of a stream that is just being made. A
 * stream that has begun answers direct reads; so that is asked first, once for each stream.
 */
export function createReadiness({ nats, jsm, apiPrefix, attempt }: Connection, names: Names, share: Share): Readiness {
  const ready = new Set<StreamKind>();

  const answers = (stream: string): Promise<boolean> =>
    nats.request(`${apiPrefix}.DIRECT.GET.${stream}`, JSON.stringify({ seq: 1 }), { timeout: TRY_MS }).then(
      () => true,
      () => false,
    );

  const isListed = async (stream: string, subject: string): Promise<boolean> => {
    for await (const name of jsm.streams.names(subject)) if (name === stream) return true;
    return false;
  };

  const takes = (kind: StreamKind, subject: string) => attempt(() => isListed(names.stream(kind), subject));

  const look = async (kind: StreamKind): Promise<boolean> => {
    const stream = names.stream(kind);
    if (!(await takes(kind, names.subjects(kind)[0] ?? ""))) return false;
    for (let tries = 0; tries < MOST_TRIES && !(await answers(stream)); tries++);
    ready.add(kind);
    return true;
  };

  return {
    isReady: async (kind) => ready.has(kind) || share(`whether ${kind} is ready`, () => look(kind)),
    nowReady: (kind) => void ready.add(kind),
    notReady: (kind) => void ready.delete(kind),
    takes,
    isKnown: (kind) => ready.has(kind),
  };
}
