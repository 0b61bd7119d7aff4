import { type Caller, isSecure, notYoursError, ownsSession } from "./access.ts";
import type { Bus } from "./bus.ts";
import { conflict, invalid, notFound } from "./errors.ts";
import { nodeCrypto } from "./keys.ts";
import { KEPT_SECONDS } from "./limits.ts";
import { reportEnds } from "./outcomes.ts";
import { setSignal } from "./signals.ts";
import type { ExclusiveRole, Session } from "./store.ts";
import { commandsTopic } from "./waiting.ts";

/** A session unseen for this long is gone. A waiting one is marked as seen every HEARTBEAT_SECONDS. */
export const ALIVE_SECONDS = 90;
export const HEARTBEAT_SECONDS = 20;

export const ORCHESTRATOR = "orchestrator";

/** The role of a connection that gets messages and takes no commands. */
export const LISTENER = "listener";

/** Targets that mean everybody, so they can't be roles. */
export const BROADCAST_TARGETS: readonly string[] = ["*", "all"];

/** A session seen this recently isn't marked as seen again. */
const RECENT_SECONDS = 5;

/** Long-gone sessions removed per connect, at most. */
const MAX_EVICTED = 10;

export async function openSession(
  bus: Bus,
  { role, capabilities }: { role: string; capabilities: readonly string[] },
  caller: Caller,
): Promise<Session> {
  const now = bus.now();
  await evictForRole(bus, role, now);
  const session: Session = {
    id: await newSessionId(bus, role),
    role,
    capabilities,
    agent: caller.identity?.agent ?? null,
    connectedAt: now,
    lastSeen: now,
    waitingFor: null,
  };
  if ((await bus.store.sessions.connect(session, exclusiveRole(role, now))) === "taken")
    throw await roleTakenError(bus, role);
  bus.notify();
  await setSignal(bus, { name: `${role}_ready`, data: { id: session.id, role }, sender: session.id });
  return session;
}

/** Removes gone sessions before another takes the role: the holder of an exclusive role, and a few long-gone ones. */
async function evictForRole(bus: Bus, role: string, now: number): Promise<void> {
  if (BROADCAST_TARGETS.includes(role)) throw invalid(`${role} means everybody, and is nobody's role`);
  const gone = (await bus.store.sessions.list()).filter((session) => !isAlive(session, now));
  const longGone = gone.filter(({ lastSeen }) => lastSeen < now - KEPT_SECONDS).slice(0, MAX_EVICTED);
  const holders = exclusiveRole(role, now) === undefined ? [] : gone.filter((session) => session.role === role);
  for (const { id } of new Set([...longGone, ...holders])) await removeSession(bus, id);
}

/**
 * The role's first letters and random hex digits, which need no escaping in a URL. Three bytes suffice unless thousands
 * connect at once: two of them could then find the same id free.
 */
async function newSessionId(bus: Bus, role: string, bytes = 3): Promise<string> {
  const letters = [...role].slice(0, 3).map((letter) => (/[A-Za-z0-9_]/.test(letter) ? letter : "x"));
  for (;;) {
    const id = `${letters.join("")}-${nodeCrypto().randomBytes(bytes).toString("hex")}`;
    if ((await bus.store.sessions.find(id)) === undefined) return id;
  }
}

export function getSessions(bus: Bus): Promise<readonly Session[]> {
  return bus.store.sessions.list();
}

export async function getSession(bus: Bus, id: string): Promise<Session> {
  const session = await bus.store.sessions.find(id);
  if (session === undefined) throw sessionNotFound(id);
  return session;
}

/** The session, if the caller may speak for it: in secure mode it belongs to the agent that opened it. */
export async function requireOwnSession(bus: Bus, id: string, caller: Caller): Promise<Session> {
  const session = await getSession(bus, id);
  if (ownsSession(session, caller) || !(await isSecure(bus))) return session;
  const whose = session.agent === null ? "was connected without a token: connect again" : "is another agent's";
  throw notYoursError(`the session ${id} ${whose}`);
}

/** The name to act under: the id of the caller's session, its token's agent, or the name it gives. */
export async function resolveAsker(bus: Bus, from: string | undefined, caller: Caller): Promise<string> {
  if (from !== undefined && (await bus.store.sessions.find(from)) !== undefined)
    return (await actAsSession(bus, from, caller)).id;
  return caller.identity?.agent ?? from ?? "human";
}

/** The registered agent behind a session, if it connected with a token. */
export async function agentOfSession(bus: Bus, id: string | null): Promise<string | undefined> {
  const session = id === null ? undefined : await bus.store.sessions.find(id);
  return session?.agent ?? undefined;
}

/** Marks a session as alive and working, which renews the leases of its commands. */
export async function heartbeat(bus: Bus, id: string, caller: Caller): Promise<Session> {
  await requireOwnSession(bus, id, caller);
  await bus.store.sessions.renew(id, bus.now());
  bus.notify();
  return getSession(bus, id);
}

/** Any act of a session counts as a heartbeat. */
async function actAsSession(bus: Bus, id: string, caller: Caller): Promise<Session> {
  const session = await requireOwnSession(bus, id, caller);
  return bus.now() - session.lastSeen < RECENT_SECONDS ? session : heartbeat(bus, id, caller);
}

export async function setRole(bus: Bus, id: string, role: string, caller: Caller): Promise<Session> {
  const { role: before } = await actAsSession(bus, id, caller);
  const now = bus.now();
  if (role !== before) await evictForRole(bus, role, now);
  if ((await bus.store.sessions.setRole(id, role, exclusiveRole(role, now))) === "taken")
    throw await roleTakenError(bus, role);
  bus.notify(commandsTopic(id));
  return getSession(bus, id);
}

export async function leave(bus: Bus, id: string, caller: Caller): Promise<void> {
  await requireOwnSession(bus, id, caller);
  if (!(await removeSession(bus, id))) throw sessionNotFound(id);
}

/** Wakes the other sessions, which may take its role's commands, and any process that still waits as this session. */
async function removeSession(bus: Bus, id: string): Promise<boolean> {
  const dead = await bus.store.sessions.leave(id, bus.now());
  if (dead === undefined) return false;
  const others = await bus.store.sessions.list();
  bus.notify([commandsTopic(id), ...others.map((session) => commandsTopic(session.id))]);
  await reportEnds(bus, dead);
  return true;
}

export function isAlive(session: Session, now: number): boolean {
  return now - session.lastSeen < ALIVE_SECONDS;
}

function exclusiveRole(role: string, now: number): ExclusiveRole | undefined {
  return role === ORCHESTRATOR ? { role, aliveSince: now - ALIVE_SECONDS } : undefined;
}

async function roleTakenError(bus: Bus, role: string): Promise<Error> {
  const holder = (await bus.store.sessions.list()).find((session) => session.role === role);
  if (holder === undefined) return conflict(`There is already an ${role}`);
  const seconds = Math.max(0, Math.round(bus.now() - holder.lastSeen));
  return conflict(`There is already an ${role}: ${holder.id}, seen ${seconds} s ago`);
}

function sessionNotFound(id: string): Error {
  return notFound(`There is no session ${id}: connect first`);
}

/** Random bytes of a listener's id: thousands may connect at once, and nobody types it. */
const LISTENER_ID_BYTES = 8;

/** Opens a session for an agent's connection. It is listed like any other, but takes no commands. */
export async function startListening(bus: Bus, agent: string, caller: Caller): Promise<Session> {
  const { identity } = caller;
  if ((await isSecure(bus)) && caller.from !== "process" && identity?.agent !== agent) {
    const why =
      identity === undefined ? `connecting as ${agent} needs its token` : `this token is for ${identity.agent}`;
    throw notYoursError(why);
  }
  const now = bus.now();
  for (const left of await bus.store.sessions.ofAgent(agent)) {
    if (left.role === LISTENER && !isAlive(left, now)) await bus.store.sessions.leave(left.id, now);
  }
  const session: Session = {
    id: await newSessionId(bus, LISTENER, LISTENER_ID_BYTES),
    role: LISTENER,
    capabilities: [],
    agent,
    connectedAt: now,
    lastSeen: now,
    waitingFor: "messages",
  };
  await bus.store.sessions.connect(session, undefined);
  bus.notify();
  return session;
}

/** Marks a listener as alive. False if it was removed, as by a reset. */
export async function keepListening(bus: Bus, id: string): Promise<boolean> {
  return await bus.store.sessions.seen(id, bus.now(), "messages");
}

export async function stopListening(bus: Bus, id: string): Promise<void> {
  await bus.store.sessions.leave(id, bus.now());
  bus.notify();
}

export interface Presence {
  readonly online: boolean;
  /** When a session of the agent was last seen. */
  readonly lastSeen: number | undefined;
}

export async function getPresence(bus: Bus, agent: string): Promise<Presence> {
  const now = bus.now();
  const own = await bus.store.sessions.ofAgent(agent);
  const seen = own.map(({ lastSeen }) => lastSeen);
  return {
    online: own.some((session) => isAlive(session, now)),
    lastSeen: seen.length === 0 ? undefined : Math.max(...seen),
  };
}
