import type { Connections } from "../../server/connections.ts";

/** Announces messages that reach recipients on this server to their senders at once. */
export interface Arrivals {
  announce(id: number): void;
  expect(id: number, onArrival: () => void): void;
  forget(id: number): void;
}

export function createArrivals(): Arrivals {
  const expected = new Map<number, () => void>();
  return {
    announce: (id) => expected.get(id)?.(),
    expect: (id, onArrival) => void expected.set(id, onArrival),
    forget: (id) => void expected.delete(id),
  };
}

/** The most messages of a connection whose arrival is awaited; beyond that, the oldest are forgotten. */
const MAX_EXPECTED = 1_000;

/** Notifies a sender when its messages have arrived. */
export interface Notices {
  /** Calls `onArrival` when a message arrives, whenever and wherever that is. */
  expect(to: string, id: number, onArrival: () => void): void;
  stop(): void;
}

export function createNotices(connections: Connections, signal: AbortSignal, arrivals: Arrivals): Notices {
  const expected = new Map<number, { readonly to: string; readonly onArrival: () => void }>();
  const watched = new Set<string>();

  const settle = (id: number, hasArrived: boolean): void => {
    const entry = expected.get(id);
    expected.delete(id);
    arrivals.forget(id);
    if (hasArrived) entry?.onArrival();
  };

  const oldestFor = (to: string): number | undefined => {
    for (const [id, entry] of expected) if (entry.to === to) return id;
    return undefined;
  };

  /** Watches a mailbox in message order, since its recipient may be on another server. */
  const watch = async (to: string): Promise<void> => {
    if (watched.has(to)) return;
    watched.add(to);
    try {
      for (let id = oldestFor(to); id !== undefined && !signal.aborted; id = oldestFor(to)) {
        if (await connections.waitUntilArrived(to, id, signal)) settle(id, true);
      }
    } finally {
      watched.delete(to);
    }
  };

  return {
    expect(to, id, onArrival) {
      expected.set(id, { to, onArrival });
      arrivals.expect(id, () => settle(id, true));
      const [oldest] = expected.keys();
      if (expected.size > MAX_EXPECTED && oldest !== undefined) settle(oldest, false);
      // The sender knows that the message is stored, and can do nothing about a failure here.
      watch(to).catch(() => {});
    },
    stop() {
      for (const id of [...expected.keys()]) settle(id, false);
    },
  };
}
