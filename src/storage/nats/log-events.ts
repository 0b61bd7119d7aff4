import type { JournalEntry } from "../../core/store.ts";
import { type Change, toldOf } from "./state.ts";

/** What one step, or several that came together, have changed. */
export interface LogEvent {
  readonly id: string;
  /** The sequence of the event before it; 0 for the first. */
  readonly after: number;
  /** The id of that: a server that has lost its last gives their sequences again. */
  readonly follows: string;
  /** The journal's number before it. */
  readonly entry: number;
  readonly at: number;
  readonly changes: readonly Change[];
}

/** From here on an event is packed: many orders at once are much the same. */
const LARGE_BYTES = 32 * 1024;
const OPENING_BRACE = 0x7b;

export function encodeEvent(event: LogEvent): Uint8Array {
  return pack(JSON.stringify(event));
}

export function decodeEvent(data: Uint8Array): LogEvent {
  const event = unpack(data);
  if (isEvent(event)) return event;
  throw new Error("the log of sessions holds what el-ipc didn't write");
}

/** The events are ours, and bound together by `after`: what is no event at all is told, what is inside is believed. */
function isEvent(value: unknown): value is LogEvent {
  return typeof value === "object" && value !== null && "changes" in value && Array.isArray(value.changes);
}

export function entriesIn({ entry, at, changes }: LogEvent): readonly JournalEntry[] {
  const told = changes.flatMap((change) => toldOf(change) ?? []);
  return told.map((one, index) => ({ seq: entry + index + 1, at, ...one }));
}

export function pack(json: string): Uint8Array {
  const bytes = Buffer.from(json);
  return bytes.length < LARGE_BYTES ? bytes : process.getBuiltinModule("node:zlib").deflateRawSync(bytes);
}

export function unpack(data: Uint8Array): unknown {
  const bytes = data[0] === OPENING_BRACE ? data : process.getBuiltinModule("node:zlib").inflateRawSync(data);
  return JSON.parse(Buffer.from(bytes).toString());
}
