import type { PubAck } from "@nats-io/jetstream";
import { headers } from "@nats-io/transport-node";
import { invalid } from "../../core/errors.ts";
import { monotonicMs } from "../../core/time.ts";
import {
  anotherStream,
  type Connection,
  isConflict,
  isForNow,
  isNobodyThere,
  takenBy,
  Unsettled,
} from "./connection.ts";
import type { Names, StreamKind } from "./names.ts";
import type { Readiness } from "./readiness.ts";

export interface Publication {
  /** Under the same one nothing is stored twice. */
  readonly id: string;
  readonly fields?: object;
  readonly data?: Uint8Array | string;
  /** Only where this is the last message of its subject, or of the stream; 0 where there is to be none. */
  readonly expect?: Expected;
}

type Expected = { readonly lastSubjectSequence: number } | { readonly lastSequence: number };

/** `repeated`: something was stored under its id before, by somebody else unless one's own first try got no answer. */
export type Published = { readonly seq: number; readonly repeated: boolean } | "conflict";

export type Publish = (kind: StreamKind, subject: string, publication: Publication) => Promise<Published>;

const FIELDS = "El-Ipc";
const MESSAGE_ID = "Nats-Msg-Id";

/** `make` makes a stream that isn't there. */
export function createPublish(
  { js, attempt, patience, largest, room }: Connection,
  names: Names,
  { takers, isThere, messageOf, infoOf, nowReady, notReady, isKnown }: Readiness,
  isOldCluster: (kind: StreamKind) => Promise<boolean>,
  make: (kind: StreamKind) => Promise<void>,
): Publish {
  const beginning = new Map<StreamKind, Promise<unknown>>();

  /**
   * What is first stored in a stream may have to make it: what comes meanwhile waits for that, and stays in order. Where it
   * fails, so does what has waited long enough; the next is then the first.
   */
  const inOrder = async <T>(kind: StreamKind, store: () => Promise<T>): Promise<T> => {
    const begun = monotonicMs();
    while (!isKnown(kind)) {
      const first = beginning.get(kind);
      if (first !== undefined) {
        await first.catch((error: unknown) => {
          if (monotonicMs() > begun + patience) throw error;
        });
        continue;
      }
      const stored = store();
      beginning.set(kind, stored);
      return stored.finally(() => beginning.delete(kind));
    }
    return store();
  };

  /**
   * A leader tells of what it has stored under an id by heart, also while that is still to be agreed on: then it may say 0
   * (2.10 does), or a place where something else came to lie. What has left since was there.
   */
  const liesAt = async (kind: StreamKind, seq: number, id: string): Promise<boolean> => {
    if (seq === 0) return false;
    const found = await messageOf(kind, { seq });
    if (found) return idIn(found.header) === id;
    return seq <= ((await infoOf(kind))?.state.last_seq ?? 0);
  };

  /**
   * An old cluster compares what is expected of a subject with what has arrived by then, so of several at once each may be
   * right. What is expected of the whole stream it compares when the message's turn comes, and that a subject is new, too.
   */
  const comparable = async (kind: StreamKind, subject: string, expect: Expected | undefined) => {
    if (expect === undefined || !("lastSubjectSequence" in expect) || expect.lastSubjectSequence === 0) return expect;
    if (!(await isOldCluster(kind))) return expect;
    const info = await infoOf(kind);
    const last = await messageOf(kind, { last_by_subj: subject });
    return info && last?.seq === expect.lastSubjectSequence ? { lastSequence: info.state.last_seq } : expect;
  };

  /** What is in the way may be an own try that got no answer: up to 2.10 clusters compare before they look at the id. */
  const ownAt = async (kind: StreamKind, subject: string, id: string): Promise<number | undefined> => {
    const last = await messageOf(kind, { last_by_subj: subject });
    return last && idIn(last.header) === id ? last.seq : undefined;
  };

  return async (kind, subject, { id, fields, data = "", expect }) => {
    const head = headers();
    if (fields !== undefined) head.set(FIELDS, ascii(JSON.stringify(fields)));
    checkSize(room(), largest(), data);
    let unsure = false;
    const ask = async (compared: Expected | undefined): Promise<PubAck | "conflict"> => {
      try {
        const options = { msgID: id, headers: head, ...(compared && { expect: compared }) };
        const answer = await js.publish(subject, data, options);
        if (answer.stream !== names.stream(kind)) throw takenBy(answer.stream, names.stream(kind));
        return answer;
      } catch (error) {
        if (isConflict(error)) {
          if (!isKnown(kind)) await isThere(kind);
          return "conflict";
        }
        unsure ||= !isNobodyThere(error) && !isForNow(error);
        if (!isNobodyThere(error)) throw error;
        notReady(kind);
        const isOurs = async () => (await takers(subject)).includes(names.stream(kind));
        if (await isOurs()) throw error;
        await make(kind);
        if (!(await isOurs())) throw anotherStream(names.stream(kind), subject);
        return ask(compared);
      }
    };
    const store = async (): Promise<Published> => {
      // A stream of somebody's may take it and never answer; and where somebody listens to all, nobody says that there is none.
      if (unsure && !isKnown(kind) && !(await isThere(kind))) await make(kind);
      const compared = await comparable(kind, subject, expect);
      const answer = await ask(compared);
      nowReady(kind);
      if (answer === "conflict") {
        const own = unsure ? await ownAt(kind, subject, id) : undefined;
        if (own !== undefined) return { seq: own, repeated: false };
        if (compared === expect) return answer;
        throw new Unsettled("something else came into the stream");
      }
      const { seq, duplicate } = answer;
      if (duplicate && !(await liesAt(kind, seq, id))) throw new Unsettled("it isn't stored yet");
      return { seq, repeated: duplicate && !unsure };
    };
    return inOrder(kind, () => attempt(store));
  };
}

/** The id under which a message was stored. */
export function idIn(head: { get(name: string): string } | undefined): string {
  return head?.get(MESSAGE_ID) ?? "";
}

/** What a header says of a message, as a value; undefined where it says nothing of ours. */
export function fieldsIn(head: { get(name: string): string } | undefined): unknown {
  const text = head?.get(FIELDS);
  return text ? JSON.parse(text) : undefined;
}

/** A header's value is ASCII, and keeps no spaces at its ends. */
function ascii(json: string): string {
  return json.replace(/[\u007f-\uffff]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

function checkSize(most: number, largest: number, data: Uint8Array | string): void {
  const bytes = Buffer.byteLength(data);
  if (bytes <= most) return;
  throw invalid(
    `this NATS server takes ${most} bytes at most (its max_payload is ${largest}), not ${bytes}`,
    "too_large",
  );
}
