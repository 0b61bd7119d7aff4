import type { Bus } from "../core/bus.ts";
import type { Caller } from "../core/caller.ts";
import { actingPeer } from "../core/peers.ts";

/** Who does something: a peer by its id, if the caller may speak for it; the agent of a token; or whoever it says it is. */
export async function askerOf(bus: Bus, from: string | undefined, caller: Caller): Promise<string> {
  if (from !== undefined && (await bus.store.peers.find(from)) !== undefined)
    return (await actingPeer(bus, from, caller)).id;
  return caller.identity?.agent ?? from ?? "human";
}
