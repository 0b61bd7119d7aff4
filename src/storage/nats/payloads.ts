import { nuid } from "@nats-io/transport-node";
import { canonical } from "../../core/json.ts";
import { nodeCrypto } from "../../core/keys.ts";
import { BATCH_BYTES } from "../../core/limits.ts";
import type { Json } from "../../core/store.ts";
import { parseJson } from "./records.ts";
import type { Streams } from "./streams.ts";

/** A value in a record: a small one inline, a large one by the name that it is stored under. */
export type Payload =
  | { readonly json: Json; readonly bytes: number }
  | { readonly name: string; readonly digest: string; readonly bytes: number };

export const NULL_PAYLOAD: Payload = { json: null, bytes: 4 };

/** A larger value isn't repeated in each event and snapshot that holds its record. */
const MAX_INLINE_BYTES = 512;

export type Payloads = ReturnType<typeof createPayloads>;

export function createPayloads(streams: Streams) {
  const { names } = streams;
  return {
    /** Stores a large value, before any record names it. */
    async store(value: Json): Promise<Payload> {
      const text = JSON.stringify(value ?? null);
      const bytes = Buffer.byteLength(text);
      if (bytes <= MAX_INLINE_BYTES) return { json: value ?? null, bytes };
      const name = nuid.next();
      await streams.publish("bodies", names.payload(name), { id: name, data: text });
      return { name, digest: digestOf(value), bytes };
    },

    /** Undefined where the value was removed. */
    async load(payload: Payload): Promise<{ readonly value: Json } | undefined> {
      if ("json" in payload) return { value: payload.json };
      const found = await streams.last("bodies", names.payload(payload.name));
      return found && { value: parseJson(found.data) };
    },

    async drop(dropped: readonly string[]): Promise<void> {
      await Promise.all(dropped.map((name) => streams.purge("bodies", names.payload(name))));
    },
  };
}

/** Compares values, not the order of their keys. */
export function isPayloadOf(payload: Payload, value: Json): boolean {
  return "json" in payload ? canonical(payload.json) === canonical(value) : payload.digest === digestOf(value);
}

export function namesIn(...payloads: readonly Payload[]): readonly string[] {
  return payloads.flatMap((payload) => ("name" in payload ? [payload.name] : []));
}

/** Reverses records, and leaves out the oldest whose payloads don't fit into one answer; keeps at least one. */
export function oldestFirst<T>(newestFirst: readonly T[], payloadsOf: (record: T) => readonly Payload[]): T[] {
  let bytes = 0;
  const tooMany = newestFirst.findIndex((record, index) => {
    for (const payload of payloadsOf(record)) bytes += payload.bytes;
    return index > 0 && bytes > BATCH_BYTES;
  });
  return newestFirst.slice(0, tooMany === -1 ? newestFirst.length : tooMany).reverse();
}

function digestOf(value: Json): string {
  return nodeCrypto().createHash("sha256").update(canonical(value)).digest("base64url");
}
