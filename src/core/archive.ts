import type { JournalEntry, Order, Peer, Signal } from "./session-store.ts";
import type { Agent, Once, Revoked, StoredMessage, Watermark } from "./store.ts";

/** All that a bus holds, to be written down somewhere else. Each in the order in which it came. */
export interface Archive {
  readonly agents: readonly Agent[];
  readonly revoked: readonly Revoked[];
  readonly nonces: AsyncIterable<Once & { readonly messageId: number }>;
  readonly messages: AsyncIterable<StoredMessage>;
  readonly watermarks: AsyncIterable<Watermark>;
  readonly arrived: AsyncIterable<Arrived>;
  readonly peers: readonly Peer[];
  readonly orders: AsyncIterable<Order>;
  readonly signals: AsyncIterable<Signal>;
  readonly journal: readonly JournalEntry[];
}

/** What has arrived of a mailbox beyond its watermark. */
export interface Arrived {
  readonly channel: string;
  readonly ids: readonly number[];
}

/** Writes an archive to a new file, for its owner alone; answers with where that is. */
export type WriteArchive = (archive: Archive) => Promise<string>;

export interface Reset {
  /** Where everything was copied to before, for its owner alone. */
  readonly backup: string;
  readonly removed: number;
}
