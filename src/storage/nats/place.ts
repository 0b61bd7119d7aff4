import type { Stored, Streams } from "./streams.ts";

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
