import { nuid } from "@nats-io/transport-node";
import { type Fields, numberIn, textIn } from "./fields.ts";
import { pack, unpack } from "./log-events.ts";
import { isInLog, type Place } from "./place.ts";
import { type Found, getRecord, putRecord } from "./records.ts";
import type { Snapshot } from "./state.ts";
import type { Streams } from "./streams.ts";

/**
 * All that the log came to at a position, so that who comes doesn't read it from its beginning. One is made by whoever
 * notices that the log behind the last is longer than that was, so both stay in proportion.
 */
export interface Snapshots {
  /** Where the latest one was made. */
  place(): Promise<Place | undefined>;
  latest(): Promise<{ readonly place: Place; readonly snapshot: Snapshot } | undefined>;
  /** Counts an event's bytes; answers whether a snapshot is due. */
  count(bytes: number): boolean;
  take(snapshot: Snapshot, place: Place): Promise<void>;
}

const LEAST_BYTES = 128 * 1024;
const PART_BYTES = 256 * 1024;

/** Events that stay behind a snapshot, for those who watch what changes. */
const KEPT_EVENTS = 20_000;

export function createSnapshots(streams: Streams): Snapshots {
  const { names } = streams;
  const head = names.body("snapshot");
  let since = 0;
  let size = LEAST_BYTES;
  let taking = false;

  const read = async (parts: readonly string[]): Promise<Snapshot | undefined> => {
    const found = await Promise.all(parts.map((name) => streams.last("bodies", names.body(name))));
    const chunks = found.flatMap((part) => (part === undefined ? [] : [part.data]));
    if (chunks.length < parts.length) return undefined;
    const snapshot = unpack(Buffer.concat(chunks));
    if (isSnapshot(snapshot)) return snapshot;
    throw new Error("the snapshot of the sessions is none of el-ipc's");
  };

  const drop = (parts: readonly string[]) =>
    Promise.all(parts.map((name) => streams.purge("bodies", names.body(name)))).then(() => {});

  /** Answers with the names of its parts. Where they can't all be stored, none of them stays. */
  const storeParts = async (bytes: Uint8Array): Promise<readonly string[]> => {
    const most = Math.max(1, Math.min(PART_BYTES, streams.connection.room()));
    const parts: string[] = [];
    try {
      for (let at = 0; at < bytes.length; at += most) {
        const name = nuid.next();
        parts.push(name);
        await streams.publish("bodies", names.body(name), { id: name, data: bytes.subarray(at, at + most) });
      }
    } catch (error) {
      await drop(parts);
      throw error;
    }
    return parts;
  };

  return {
    async place() {
      const { value } = await getRecord(streams, "bodies", head);
      return value && placeIn(value);
    },

    async latest() {
      for (let missed: Found | undefined; ; ) {
        const found = await getRecord(streams, "bodies", head);
        since = 0;
        // Where a part is gone, there is a later one; or else it is as if there were none.
        if (found.value === undefined || found.seq === missed?.seq) return undefined;
        size = Math.max(LEAST_BYTES, numberIn(found.value, "bytes"));
        const snapshot = await read(partsIn(found, "parts"));
        if (snapshot !== undefined) return { place: placeIn(found.value), snapshot };
        missed = found;
      }
    },

    count(bytes) {
      since += bytes;
      return since > size && !taking;
    },

    async take(snapshot, { seq, id }) {
      taking = true;
      since = 0;
      try {
        const bytes = pack(JSON.stringify(snapshot));
        size = Math.max(LEAST_BYTES, bytes.length);
        const parts = await storeParts(bytes);
        const before = await getRecord(streams, "bodies", head);
        const there = before.value && placeIn(before.value);
        // One of more than the log has is no later one.
        const isLater = there !== undefined && there.seq >= seq && (await isInLog(streams, there));
        const former = partsIn(before, "parts");
        const value = { position: seq, id, parts, former, bytes: bytes.length };
        // Where this gets no answer the parts stay: a head that names them may still come to be stored.
        const put = isLater ? "conflict" : await putRecord(streams, "bodies", head, value, before);
        if (put === "conflict") return await drop(parts);
        // Where the last one got no answer, those of the one before may still be there.
        await drop([...former, ...partsIn(before, "former")]);
        await streams.purge("sessions", names.sessions, seq - KEPT_EVENTS);
      } finally {
        taking = false;
      }
    },
  };
}

function placeIn(value: Fields): Place {
  return { seq: numberIn(value, "position"), id: textIn(value, "id") };
}

function partsIn({ value }: Found, which: "parts" | "former"): readonly string[] {
  const parts = value?.[which];
  return Array.isArray(parts) ? parts.map(String) : [];
}

/** As with an event: what is inside is our own. */
function isSnapshot(value: unknown): value is Snapshot {
  return typeof value === "object" && value !== null && "orders" in value && Array.isArray(value.orders);
}
