import { type Fields, fieldsOf } from "./fields.ts";
import { type Found, getRecord } from "./records.ts";
import type { Streams } from "./streams.ts";

/** Of the messages that were handed out and that the watermark hasn't passed: until when, or that they have arrived. */
export interface Taken {
  readonly leases: ReadonlyMap<number, number>;
  readonly settled: ReadonlySet<number>;
}

/**
 * What a mailbox's record says. Whoever needs the watermark too looks at it afterwards: it moves behind the record, so what
 * this doesn't know to have arrived isn't passed by it.
 */
export async function findTaken(streams: Streams, channel: string): Promise<Found & { readonly taken: Taken }> {
  const found = await getRecord(streams, "readers", streams.names.mailbox(channel));
  return { ...found, taken: takenIn(found.value) };
}

/** Without what the watermark has passed. */
export function since({ leases, settled }: Taken, from: number): Taken {
  return {
    leases: new Map([...leases].filter(([id]) => id > from)),
    settled: new Set([...settled].filter((id) => id > from)),
  };
}

export function takenIn(value: Fields | undefined): Taken {
  const { leases, settled } = fieldsOf(value);
  const pairs = Array.isArray(leases) ? leases.flatMap((pair) => (isPair(pair) ? [pair] : [])) : [];
  return { leases: new Map(pairs), settled: new Set(Array.isArray(settled) ? settled.map(Number) : []) };
}

function isPair(value: unknown): value is readonly [number, number] {
  return Array.isArray(value) && typeof value[0] === "number" && typeof value[1] === "number";
}
