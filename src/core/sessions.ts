import { type Caller, isSecure, notYoursError } from "./access.ts";
import type { Bus } from "./bus.ts";
import { conflict, invalid, notFound, unauthorized } from "./errors.ts";
import { nodeCrypto } from "./keys.ts";
import { KEPT_SECONDS } from "./limits.ts";
import { reportEnds } from "./outcomes.ts";
import { setSignal } from "./signals.ts";
import type { ExclusiveRole, Session } from "./store.ts";
import { ANY_CHANGE, commandsTopic } from "./waiting.ts";

/** A peer that wasn't heard of for so long is shown as gone. A waiting one is heard of more often than this. */
export const ALIVE_SECONDS = 90;
export const HEARTBEAT_SECONDS = 20;

/** There is one, and it orders the others. */
export const ORCHESTRATOR = "orchestrator";

/** It is connected to be sent messages, and takes no orders. */
export const LISTENER = "listener";

/** What an order to everybody names, and so nobody's role. */
export const BROADCAST_TARGETS: readonly string[] = ["*", "all"];

/** One that was heard of so lately isn't noted again. */
const LATELY_SECONDS = 5;

/** So many of those that are gone for good leave with each that comes. */
const MAX_LEAVING = 10;

export async function openSession(
  bus: Bus,
  { role, capabilities }: { role: string; capabilities: readonly string[] },
  caller: Caller,
): Promise<Session> {
  const now = bus.now();
  await evictForRole(bus, role, now);
  const peer: Session = {
    id: await newSessionId(bus, role),
    role,
    capabilities,
    agent: caller.identity?.agent ?? null,
    connectedAt: now,
    lastSeen: now,
    waitingFor: null,
  };
  if ((await bus.store.sessions.connect(peer, exclusiveRole(role, now))) === "taken")
    throw await roleTakenError(bus, role);
  bus.wakeup.ring(ANY_CHANGE);
  await setSignal(bus, { name: `${role}_ready`, data: { id: peer.id, role }, sender: peer.id });
  return peer;
}

/**
 * Before somebody takes a role: whoever had a sole one and is gone leaves, so that there are never two, and so do a few of
 * those that have been gone for long.
 */
async function evictForRole(bus: Bus, role: string, now: number): Promise<void> {
  if (BROADCAST_TARGETS.includes(role)) throw invalid(`${role} means everybody, and is nobody's role`);
  const gone = (await bus.store.sessions.list()).filter((peer) => !isAlive(peer, now));
  const longGone = gone.filter(({ lastSeen }) => lastSeen < now - KEPT_SECONDS).slice(0, MAX_LEAVING);
  const before = exclusiveRole(role, now) === undefined ? [] : gone.filter((peer) => peer.role === role);
  for (const { id } of new Set([...longGone, ...before])) await removeSession(bus, id);
}

/**
 * The role's first letters and six digits: in an address it stands as it is. More digits for those of whom thousands come
 * at the same moment, and two of them would find the same six free.
 */
export async function newSessionId(bus: Bus, role: string, bytes = 3): Promise<string> {
  const letters = [...role].slice(0, 3).map((letter) => (/[A-Za-z0-9_]/.test(letter) ? letter : "x"));
  for (;;) {
    const id = `${letters.join("")}-${nodeCrypto().randomBytes(bytes).toString("hex")}`;
    if ((await bus.store.sessions.find(id)) === undefined) return id;
  }
}

/** The peer of this id, which the caller may speak for: in secure mode it belongs to the token that made it. */
export async function requireOwnSession(bus: Bus, id: string, caller: Caller): Promise<Session> {
  const peer = await getSession(bus, id);
  if (ownsSession(peer, caller) || !(await isSecure(bus))) return peer;
  const whose = peer.agent === null ? "was connected without a token: connect again" : "is another agent's";
  throw unauthorized(`not allowed: the peer ${id} ${whose}`, "not_yours");
}

/** Whether the caller may speak for a peer in secure mode. */
export function ownsSession(peer: Session, { from, identity }: Caller): boolean {
  if (from === "process" || identity?.operator) return true;
  return peer.agent !== null && peer.agent === identity?.agent;
}

export async function getSession(bus: Bus, id: string): Promise<Session> {
  const peer = await bus.store.sessions.find(id);
  if (peer === undefined) throw sessionNotFound(id);
  return peer;
}

/** It lives and is at work: what it was ordered and does stays its own. */
export async function heartbeat(bus: Bus, id: string, caller: Caller): Promise<Session> {
  await requireOwnSession(bus, id, caller);
  await bus.store.sessions.renew(id, bus.now());
  bus.wakeup.ring(ANY_CHANGE);
  return getSession(bus, id);
}

/** The same, for a peer that does something else. */
export async function actAsSession(bus: Bus, id: string, caller: Caller): Promise<Session> {
  const peer = await requireOwnSession(bus, id, caller);
  return bus.now() - peer.lastSeen < LATELY_SECONDS ? peer : heartbeat(bus, id, caller);
}

export async function setRole(bus: Bus, id: string, role: string, caller: Caller): Promise<Session> {
  const { role: before } = await actAsSession(bus, id, caller);
  const now = bus.now();
  if (role !== before) await evictForRole(bus, role, now);
  if ((await bus.store.sessions.setRole(id, role, exclusiveRole(role, now))) === "taken")
    throw await roleTakenError(bus, role);
  bus.wakeup.ring(ANY_CHANGE);
  bus.wakeup.ring(commandsTopic(id));
  return getSession(bus, id);
}

export async function leave(bus: Bus, id: string, caller: Caller): Promise<void> {
  await requireOwnSession(bus, id, caller);
  if (!(await removeSession(bus, id))) throw sessionNotFound(id);
}

/** What it held for its role goes to others, who are woken for it, and so is whoever waits as the one who left. */
async function removeSession(bus: Bus, id: string): Promise<boolean> {
  const dead = await bus.store.sessions.leave(id, bus.now());
  if (dead === undefined) return false;
  bus.wakeup.ring(ANY_CHANGE);
  for (const other of [id, ...(await bus.store.sessions.list()).map((peer) => peer.id)])
    bus.wakeup.ring(commandsTopic(other));
  await reportEnds(bus, dead);
  return true;
}

export function isAlive(peer: Session, now: number): boolean {
  return now - peer.lastSeen < ALIVE_SECONDS;
}

function exclusiveRole(role: string, now: number): ExclusiveRole | undefined {
  return role === ORCHESTRATOR ? { role, aliveSince: now - ALIVE_SECONDS } : undefined;
}

async function roleTakenError(bus: Bus, role: string): Promise<Error> {
  const holder = (await bus.store.sessions.list()).find((peer) => peer.role === role);
  if (holder === undefined) return conflict(`There is an ${role} already`);
  const seconds = Math.max(0, Math.round(bus.now() - holder.lastSeen));
  return conflict(`There is an ${role} already: ${holder.id}, seen ${seconds} s ago`);
}

function sessionNotFound(id: string): Error {
  return notFound(`There is no peer ${id}: connect first`);
}

/** Of a listener's id, which nobody types. */
const ID_BYTES = 8;

export interface Presence {
  readonly online: boolean;
  /** When it was last heard of, as far as that is known. */
  readonly lastSeen: number | undefined;
}

/** An agent listens on a connection: a session that takes no orders, and is shown among the others. */
export async function startListening(bus: Bus, agent: string, caller: Caller): Promise<Session> {
  const { identity } = caller;
  if ((await isSecure(bus)) && caller.from !== "process" && identity?.agent !== agent) {
    throw notYoursError(
      identity === undefined ? `connecting as ${agent} needs its token` : `this token is for ${identity.agent}`,
    );
  }
  const now = bus.now();
  for (const left of await bus.store.sessions.ofAgent(agent)) {
    if (left.role === LISTENER && !isAlive(left, now)) await bus.store.sessions.leave(left.id, now);
  }
  const peer: Session = {
    id: await newSessionId(bus, LISTENER, ID_BYTES),
    role: LISTENER,
    capabilities: [],
    agent,
    connectedAt: now,
    lastSeen: now,
    waitingFor: "messages",
  };
  await bus.store.sessions.connect(peer, undefined);
  bus.wakeup.ring(ANY_CHANGE);
  return peer;
}

/** It still does. False where it was forgotten meanwhile, as by a reset. */
export async function keepListening(bus: Bus, id: string): Promise<boolean> {
  return await bus.store.sessions.seen(id, bus.now(), "messages");
}

export async function stopListening(bus: Bus, id: string): Promise<void> {
  await bus.store.sessions.leave(id, bus.now());
  bus.wakeup.ring(ANY_CHANGE);
}

/** Whether some session is the agent's, and lives. */
export async function getPresence(bus: Bus, agent: string): Promise<Presence> {
  const now = bus.now();
  const own = await bus.store.sessions.ofAgent(agent);
  const seen = own.map(({ lastSeen }) => lastSeen);
  return {
    online: own.some((peer) => isAlive(peer, now)),
    lastSeen: seen.length === 0 ? undefined : Math.max(...seen),
  };
}
