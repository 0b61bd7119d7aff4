import { nuid } from "@nats-io/transport-node";
import { numberIn } from "./fields.ts";
import { pack, unpack } from "./log-events.ts";
import { getRecord, putRecord } from "./records.ts";
import type { Snapshot } from "./state.ts";
import type { Streams } from "./streams.ts";

/**
 * All that the log came to at a position, so that who comes doesn't read it from its beginning. One is made by whoever
 * notices that the log behind the last is longer than that was, so both stay in proportion.
 */
export interface Snapshots {
  latest(): Promise<{ readonly position: number; readonly snapshot: Snapshot } | undefined>;
  /** Counts an event's bytes; answers whether a snapshot is due. */
  count(bytes: number): boolean;
  take(snapshot: Snapshot, position: number): Promise<void>;
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

  return {
    async latest() {
      for (;;) {
        const { value } = await getRecord(streams, "bodies", head);
        since = 0;
        if (value === undefined) return undefined;
        size = Math.max(LEAST_BYTES, numberIn(value, "bytes"));
        const snapshot = await read(partsIn(value.parts));
        // Where a part is gone, there is a later one.
        if (snapshot !== undefined) return { position: numberIn(value, "position"), snapshot };
      }
    },

    count(bytes) {
      since += bytes;
      return since > size && !taking;
    },

    async take(snapshot, position) {
      taking = true;
      since = 0;
      try {
        const bytes = pack(JSON.stringify(snapshot));
        const parts: string[] = [];
        for (let at = 0; at < bytes.length; at += PART_BYTES) {
          const name = nuid.next();
          await streams.publish("bodies", names.body(name), { id: name, data: bytes.subarray(at, at + PART_BYTES) });
          parts.push(name);
        }
        const found = await getRecord(streams, "bodies", head);
        const later = found.value !== undefined && numberIn(found.value, "position") >= position;
        const value = { position, parts, bytes: bytes.length };
        const put = later ? "conflict" : await putRecord(streams, "bodies", head, value, found);
        const useless = put === "conflict" ? parts : partsIn(found.value?.parts);
        size = Math.max(LEAST_BYTES, bytes.length);
        await Promise.all(useless.map((name) => streams.purge("bodies", names.body(name))));
        if (put !== "conflict") await streams.purge("sessions", names.sessions, position - KEPT_EVENTS);
      } finally {
        taking = false;
      }
    },
  };
}

function partsIn(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

/** As with an event: what is inside is our own. */
function isSnapshot(value: unknown): value is Snapshot {
  return typeof value === "object" && value !== null && "orders" in value && Array.isArray(value.orders);
}
