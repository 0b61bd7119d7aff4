import type { JournalEntry, Order, Peer, Signal } from "./session-store.ts";
import type { Agent, Once, Revoked, StoredMessage, Watermark } from "./store.ts";

/** All that a bus holds, to be written down somewhere else. Orders come in the order in which they were sent. */
export interface Archive {
  readonly messages: AsyncIterable<StoredMessage>;
  readonly watermarks: AsyncIterable<Watermark>;
  readonly nonces: AsyncIterable<Once & { readonly messageId: number }>;
  readonly agents: readonly Agent[];
  readonly revoked: readonly Revoked[];
  readonly peers: readonly Peer[];
  readonly orders: AsyncIterable<Order>;
  readonly signals: AsyncIterable<Signal>;
  readonly journal: readonly JournalEntry[];
}

/** Writes an archive to a new file, for its owner alone; answers with where that is. */
export type WriteArchive = (archive: Archive) => Promise<string>;
