import { LONGEST_WAIT_SECONDS } from "../../core/limits.ts";
import type { Perform } from "../../operations/deliver.ts";
import type { Context } from "../../operations/operation.ts";
import { connections } from "../../operations/presence.ts";

/** What arrives at recipients that are connected here, for their senders to hear of at once. */
export interface Arrivals {
  tell(id: number): void;
  expect(id: number, heard: () => void): void;
  forget(id: number): void;
}

export function createArrivals(): Arrivals {
  const expected = new Map<number, () => void>();
  return {
    tell: (id) => expected.get(id)?.(),
    expect: (id, heard) => void expected.set(id, heard),
    forget: (id) => void expected.delete(id),
  };
}

/** Of so many messages a connection hears that they arrived; of more, those that were sent last. */
const MOST_EXPECTED = 1_000;

export interface Deliveries {
  /** Hears of a message's arrival, whenever and wherever it is. */
  expect(to: string, id: number, heard: () => void): void;
  stop(): void;
}

export function createDeliveries(perform: Perform, context: Context, arrivals: Arrivals): Deliveries {
  const awaited = new Map<number, { readonly to: string; readonly heard: () => void }>();
  const watched = new Set<string>();

  const settle = (id: number, heard: boolean): void => {
    const one = awaited.get(id);
    awaited.delete(id);
    arrivals.forget(id);
    if (heard) one?.heard();
  };

  /** A recipient may be anywhere: its mailbox tells, in order. */
  const watch = async (to: string): Promise<void> => {
    if (watched.has(to)) return;
    watched.add(to);
    try {
      for (let id = oldest(to); id !== undefined && !context.signal.aborted; id = oldest(to)) {
        const arrived = await perform(connections.arrival, { to, id, timeout: LONGEST_WAIT_SECONDS }, context);
        if (arrived === true) settle(id, true);
      }
    } finally {
      watched.delete(to);
    }
  };

  const oldest = (to: string): number | undefined => {
    for (const [id, one] of awaited) if (one.to === to) return id;
    return undefined;
  };

  return {
    expect(to, id, heard) {
      awaited.set(id, { to, heard });
      arrivals.expect(id, () => settle(id, true));
      const [first] = awaited.keys();
      if (awaited.size > MOST_EXPECTED && first !== undefined) settle(first, false);
      // Without a word to whoever could do nothing about it: that it was stored has been said.
      watch(to).catch(() => {});
    },
    stop() {
      for (const id of [...awaited.keys()]) settle(id, false);
    },
  };
}
