import { isSecure } from "./agents.ts";
import type { Bus } from "./bus.ts";
import type { Caller } from "./caller.ts";
import { conflict, notFound, unauthorized } from "./errors.ts";
import { cryptography } from "./keys.ts";
import type { Peer, SoleRole } from "./session-store.ts";
import { setSignal } from "./signals.ts";
import { EVERYTHING, ordersFor } from "./wakeup.ts";

/** A peer that wasn't heard of for so long is shown as gone. A waiting one is heard of more often than this. */
export const ALIVE_SECONDS = 90;
export const HEARTBEAT_SECONDS = 20;

/** There is one, and it orders the others. */
export const ORCHESTRATOR = "orchestrator";

export async function connect(
  bus: Bus,
  { role, capabilities }: { role: string; capabilities: readonly string[] },
  caller: Caller,
): Promise<Peer> {
  const now = bus.now();
  const peer: Peer = {
    id: `${role.slice(0, 3)}-${cryptography().randomBytes(3).toString("hex")}`,
    role,
    capabilities,
    agent: caller.identity?.agent ?? null,
    connectedAt: now,
    lastSeen: now,
    waitingFor: null,
  };
  if ((await bus.store.peers.connect(peer, soleRole(role, now))) === "taken") throw roleTaken(role);
  bus.wakeup.ring(EVERYTHING);
  await setSignal(bus, { name: `${role}_ready`, data: { id: peer.id, role }, sender: peer.id });
  return peer;
}

/** The peer of this id, which the caller may speak for: in secure mode it belongs to the token that made it. */
export async function ownPeer(bus: Bus, id: string, caller: Caller): Promise<Peer> {
  const peer = await peerOf(bus, id);
  const { identity, from } = caller;
  if (from === "process" || peer.agent === null || identity?.operator || identity?.agent === peer.agent) return peer;
  if (!(await isSecure(bus))) return peer;
  throw unauthorized(`not allowed: the peer ${id} is another agent's`, "not_yours");
}

export async function peerOf(bus: Bus, id: string): Promise<Peer> {
  const peer = await bus.store.peers.find(id);
  if (peer === undefined) throw notFound(`There is no peer ${id}: connect first`);
  return peer;
}

export async function heartbeat(bus: Bus, id: string, caller: Caller): Promise<Peer> {
  const peer = await ownPeer(bus, id, caller);
  await bus.store.peers.seen(id, bus.now(), peer.waitingFor);
  return { ...peer, lastSeen: bus.now() };
}

export async function setRole(bus: Bus, id: string, role: string, caller: Caller): Promise<Peer> {
  await ownPeer(bus, id, caller);
  if ((await bus.store.peers.setRole(id, role, soleRole(role, bus.now()))) === "taken") throw roleTaken(role);
  bus.wakeup.ring(EVERYTHING);
  bus.wakeup.ring(ordersFor(id));
  return peerOf(bus, id);
}

export async function leave(bus: Bus, id: string, caller: Caller): Promise<void> {
  const { role } = await ownPeer(bus, id, caller);
  await bus.store.peers.leave(id);
  bus.wakeup.ring(EVERYTHING);
  for (const other of await bus.store.peers.list()) if (other.role === role) bus.wakeup.ring(ordersFor(other.id));
}

export function isAlive(peer: Peer, now: number): boolean {
  return now - peer.lastSeen < ALIVE_SECONDS;
}

function soleRole(role: string, now: number): SoleRole | undefined {
  return role === ORCHESTRATOR ? { role, aliveSince: now - ALIVE_SECONDS } : undefined;
}

function roleTaken(role: string): Error {
  return conflict(`There is an ${role} already`);
}
