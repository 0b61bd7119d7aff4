import type { Bus } from "./bus.ts";
import { elapsed } from "./clock.ts";
import { isAlive } from "./peers.ts";
import { createReadings, type Reading } from "./readings.ts";
import type { Peer } from "./session-store.ts";
import type { ChannelSummary } from "./store.ts";

/** What changes too often to be written down each time is looked at now and then. */
export type Sample =
  | { readonly kind: "peers"; readonly peers: readonly Peer[] }
  /** Those with fewer messages than before; none of all that are left out. */
  | { readonly kind: "pruned"; readonly channels: readonly ChannelSummary[] }
  | { readonly kind: "readings"; readonly readings: readonly Reading[] };

export interface Samples {
  /** What is otherwise than it was told last, as far as it is time to look. `upTo`: the last message that was told. */
  take(upTo: number): Promise<readonly Sample[]>;
  /** Milliseconds until it is time again. */
  pause(): number;
}

const SLOW_MS = 15_000;
const READINGS_MS = 1_000;

export function createSamples(bus: Bus): Samples {
  const readings = createReadings(bus);
  let seen = new Map<string, string>();
  let counts = new Map<string, number>();
  let slowDue = 0;
  let readingsDue = 0;
  let early = false;

  const peersSeen = async (): Promise<readonly Peer[]> => {
    const peers = await bus.store.peers.list();
    const states = new Map(peers.map((peer) => [peer.id, `${peer.lastSeen} ${isAlive(peer, bus.now())}`]));
    const changed = peers.filter(({ id }) => seen.get(id) !== states.get(id));
    seen = states;
    return changed;
  };

  /** Undefined where a message has come that wasn't told yet: it is counted already. */
  const pruned = async (upTo: number): Promise<readonly ChannelSummary[] | undefined> => {
    const channels = await bus.store.messages.channels();
    if ((await bus.store.messages.lastId()) > upTo) return undefined;
    const before = counts;
    counts = new Map(channels.map(({ channel, count }) => [channel, count]));
    const fewer = channels.filter(({ channel, count }) => count < (before.get(channel) ?? 0));
    const gone = [...before.keys()].filter((channel) => !counts.has(channel));
    return [...fewer, ...gone.map((channel) => ({ channel, count: 0, lastMessage: 0 }))];
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
      if (now >= slowDue) {
        slowDue = now + SLOW_MS;
        const peers = await peersSeen();
        if (peers.length > 0) taken.push({ kind: "peers", peers });
        const channels = await pruned(upTo);
        if (channels === undefined) slowDue = now + READINGS_MS;
        else if (channels.length > 0) taken.push({ kind: "pruned", channels });
      }
      return taken;
    },
    pause: () => Math.max(1, (early ? Math.min(readingsDue, slowDue) : slowDue) - elapsed()),
  };
}
