import { notYours } from "./access.ts";
import { isSecure } from "./agents.ts";
import type { Bus } from "./bus.ts";
import type { Caller } from "./caller.ts";
import { isAlive, LISTENER, newPeerId } from "./peers.ts";
import type { Peer } from "./session-store.ts";
import { EVERYTHING } from "./wakeup.ts";

/** Of a listener's id, which nobody types. */
const ID_BYTES = 8;

export interface Presence {
  readonly online: boolean;
  /** When it was last heard of, as far as that is known. */
  readonly lastSeen: number | undefined;
}

/** An agent listens on a connection: a session that takes no orders, and is shown among the others. */
export async function arrive(bus: Bus, agent: string, caller: Caller): Promise<Peer> {
  const { identity } = caller;
  if ((await isSecure(bus)) && caller.from !== "process" && identity?.agent !== agent) {
    throw notYours(
      identity === undefined ? `connecting as ${agent} needs its token` : `this token is for ${identity.agent}`,
    );
  }
  const now = bus.now();
  for (const left of await bus.store.peers.ofAgent(agent)) {
    if (left.role === LISTENER && !isAlive(left, now)) await bus.store.peers.leave(left.id, now);
  }
  const peer: Peer = {
    id: await newPeerId(bus, LISTENER, ID_BYTES),
    role: LISTENER,
    capabilities: [],
    agent,
    connectedAt: now,
    lastSeen: now,
    waitingFor: "messages",
  };
  await bus.store.peers.connect(peer, undefined);
  bus.wakeup.ring(EVERYTHING);
  return peer;
}

/** It still does. False where it was forgotten meanwhile, as by a reset. */
export async function stay(bus: Bus, id: string): Promise<boolean> {
  return await bus.store.peers.seen(id, bus.now(), "messages");
}

export async function depart(bus: Bus, id: string): Promise<void> {
  await bus.store.peers.leave(id, bus.now());
  bus.wakeup.ring(EVERYTHING);
}

/** Whether some session is the agent's, and lives. */
export async function presenceOf(bus: Bus, agent: string): Promise<Presence> {
  const now = bus.now();
  const own = await bus.store.peers.ofAgent(agent);
  const seen = own.map(({ lastSeen }) => lastSeen);
  return {
    online: own.some((peer) => isAlive(peer, now)),
    lastSeen: seen.length === 0 ? undefined : Math.max(...seen),
  };
}
