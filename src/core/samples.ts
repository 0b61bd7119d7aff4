import type { Bus } from "./bus.ts";
import { elapsed } from "./clock.ts";
import { isAlive } from "./peers.ts";
import { createReadings, type Reading } from "./readers.ts";
import type { Peer } from "./session-store.ts";

/** What changes too often to be written down each time is looked at now and then. */
export type Sample =
  | { readonly kind: "peers"; readonly peers: readonly Peer[] }
  | { readonly kind: "readings"; readonly readings: readonly Reading[] };

export interface Samples {
  /** What is otherwise than it was told last, as far as it is time to look. `upTo`: the last message that was told. */
  take(upTo: number): Promise<readonly Sample[]>;
  /** Milliseconds until it is time again. */
  pause(): number;
}

const PEERS_MS = 15_000;
const READINGS_MS = 1_000;

export function createSamples(bus: Bus): Samples {
  const readings = createReadings(bus);
  let seen = new Map<string, string>();
  let peersDue = 0;
  let readingsDue = 0;
  let early = false;

  const peersSeen = async (): Promise<readonly Peer[]> => {
    const peers = await bus.store.peers.list();
    const states = new Map(peers.map((peer) => [peer.id, `${peer.lastSeen} ${isAlive(peer, bus.now())}`]));
    const changed = peers.filter(({ id }) => seen.get(id) !== states.get(id));
    seen = states;
    return changed;
  };

  return {
    async take(upTo) {
      const now = elapsed();
      const taken: Sample[] = [];
      early = now < readingsDue;
      if (!early) {
        readingsDue = now + READINGS_MS;
        const moved = await readings(upTo);
        if (moved.length > 0) taken.push({ kind: "readings", readings: moved });
      }
      if (now >= peersDue) {
        peersDue = now + PEERS_MS;
        const peers = await peersSeen();
        if (peers.length > 0) taken.push({ kind: "peers", peers });
      }
      return taken;
    },
    pause: () => Math.max(1, (early ? Math.min(readingsDue, peersDue) : peersDue) - elapsed()),
  };
}
