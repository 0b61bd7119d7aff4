import { nuid } from "@nats-io/transport-node";
import { type Fields, fieldsOf, jsonOf } from "./fields.ts";
import type { StreamKind } from "./names.ts";
import type { Streams } from "./streams.ts";

/** What a subject holds, and its sequence, by which a change is only made to what was looked at; 0 where there is nothing. */
export interface Found {
  readonly seq: number;
  readonly value: Fields | undefined;
}

export async function getRecord(streams: Streams, kind: StreamKind, subject: string): Promise<Found> {
  const found = await streams.last(kind, subject);
  return found === undefined ? { seq: 0, value: undefined } : { seq: found.seq, value: fieldsOf(jsonOf(found.data)) };
}

/** Stores the value where there still is what was found; answers with its sequence. */
export async function putRecord(
  streams: Streams,
  kind: StreamKind,
  subject: string,
  value: object,
  { seq }: Pick<Found, "seq">,
): Promise<number | "conflict"> {
  const expect = { lastSubjectSequence: seq };
  const put = await streams.publish(kind, subject, { id: nuid.next(), data: JSON.stringify(value), expect });
  return put === "conflict" ? put : put.seq;
}
