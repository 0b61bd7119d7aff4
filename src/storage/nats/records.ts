import { nuid } from "@nats-io/transport-node";
import { type Fields, fieldsOf, jsonOf } from "./fields.ts";
import type { StreamKind } from "./names.ts";
import type { Stored, Streams } from "./streams.ts";

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

/** An event's sequence in the log of sessions, and its id: a server that has lost its last gives their sequences again. */
export interface Place {
  readonly seq: number;
  readonly id: string;
}

export const BEGINNING: Place = { seq: 0, id: "" };

export function isSame(one: Place, other: Place): boolean {
  return one.seq === other.seq && one.id === other.id;
}

/** Where the log ends. */
export async function endOfLog(streams: Streams): Promise<Place> {
  return placeOf(await streams.last("sessions", streams.names.sessions));
}

/** Whether the log still has this event. */
export async function isInLog(streams: Streams, place: Place): Promise<boolean> {
  return place.seq === 0 || isSame(placeOf(await streams.at("sessions", place.seq)), place);
}

function placeOf(found: Stored | undefined): Place {
  return found === undefined ? BEGINNING : { seq: found.seq, id: found.id };
}
