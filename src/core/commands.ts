import { type Caller, isSecure, notYoursError, ownsSession } from "./access.ts";
import { type Bus, millisecondsUntil } from "./bus.ts";
import { conflict, invalid, notFound } from "./errors.ts";
import { KEPT_SECONDS } from "./limits.ts";
import { endLapsed, getCommand, MAX_ATTEMPTS, newCommandId } from "./outcomes.ts";
import { BROADCAST_TARGETS, getSession, HEARTBEAT_SECONDS, isAlive, LISTENER, requireOwnSession } from "./sessions.ts";
import type { Command, CommandFilter, Json, NewCommand, Session } from "./store.ts";
import { commandsTopic, waitFor } from "./waiting.ts";

export interface CommandRequest {
  /** The sender: a session's id, or the name of a person or program without one. */
  readonly from: string;
  /** A session's id, a role, or `*` for everybody. */
  readonly target: string;
  readonly action: string;
  readonly params: Json;
  readonly leaseSeconds: number;
  /** For a role: one command for its first free session, instead of one for each. */
  readonly any: boolean;
  /** Seconds until it can no longer be taken; unbounded without it. */
  readonly expiresIn: number | undefined;
}

export async function issueCommands(bus: Bus, request: CommandRequest, caller: Caller): Promise<readonly NewCommand[]> {
  const sessions = await bus.store.sessions.list();
  const sender = sessions.find(({ id }) => id === request.from);
  if (sender !== undefined) await requireOwnSession(bus, sender.id, caller);
  const now = bus.now();
  const make = (target: string | null, targetRole: string): NewCommand => ({
    id: newCommandId(),
    kind: "command",
    from: sender?.role ?? request.from,
    fromId: sender?.id ?? null,
    target,
    targetRole,
    action: request.action,
    params: request.params,
    createdAt: now,
    leaseSeconds: request.leaseSeconds,
    expiresAt: request.expiresIn === undefined ? null : now + request.expiresIn,
  });
  const targets = targetsOf(sessions, request, sender?.id, now);
  const commands = request.any ? [make(null, request.target)] : targets.map(({ id, role }) => make(id, role));
  await bus.store.commands.add(commands);
  await wakeTakers(bus, commands);
  await bus.store.commands.forget(now - KEPT_SECONDS, 2 * commands.length + 10);
  return commands;
}

/** The sessions a command goes to. Roles and `*` reach only those alive; an id also reaches a session that is gone. */
function targetsOf(
  sessions: readonly Session[],
  { target, any }: CommandRequest,
  sender: string | undefined,
  now: number,
): readonly Session[] {
  const one = sessions.find(({ id }) => id === target);
  if (one !== undefined && any) throw invalid("any is for a role: a session is one already");
  if (one !== undefined) return [one];
  const everybody = BROADCAST_TARGETS.includes(target);
  if (everybody && any) throw invalid("any is for a role: say which");
  const named = sessions.filter(({ role, id }) => (everybody ? id !== sender && role !== LISTENER : role === target));
  const alive = named.filter((session) => isAlive(session, now));
  if (alive.length > 0 || (any && named.length > 0)) return alive;
  const gone = named.map(({ id }) => id).join(", ");
  if (everybody) throw notFound(gone === "" ? "Nobody else is connected" : `Everybody else is gone: ${gone}`);
  throw notFound(gone === "" ? `There is no session and no role ${target}` : `Every ${target} is gone: ${gone}`);
}

/** Wakes the sessions that may take these commands, including those that connected later. */
async function wakeTakers(bus: Bus, commands: readonly NewCommand[]): Promise<void> {
  const roles = new Set(commands.filter(({ target }) => target === null).map(({ targetRole }) => targetRole));
  const targets = new Set(commands.flatMap(({ target }) => target ?? []));
  if (roles.size > 0) {
    for (const { id, role } of await bus.store.sessions.list()) if (roles.has(role)) targets.add(id);
  }
  bus.notify([...targets].map(commandsTopic));
}

/**
 * Leases the next command to a session; undefined once the time is up. Waiting keeps the session alive but renews no lease:
 * commands that it took and didn't end are offered again.
 */
export async function waitForCommand(
  bus: Bus,
  { sessionId, seconds }: { sessionId: string; seconds: number | undefined },
  caller: Caller,
  signal: AbortSignal,
): Promise<Command | undefined> {
  await requireOwnSession(bus, sessionId, caller);
  const { sessions, commands } = bus.store;
  let seenAt = Number.NEGATIVE_INFINITY;
  // Returned even where `waitFor` drops it, as when the signal aborts just then: the caller releases it.
  let leased: Command | undefined;
  const look = async () => {
    if (signal.aborted) return undefined;
    await getSession(bus, sessionId);
    await endLapsed(bus);
    const now = bus.now();
    leased = await commands.take(sessionId, now, MAX_ATTEMPTS);
    if (leased === undefined && now - seenAt >= HEARTBEAT_SECONDS) {
      seenAt = now;
      await sessions.seen(sessionId, now, "commands");
      bus.notify();
    }
    return leased;
  };
  const heartbeatMs = HEARTBEAT_SECONDS * 1_000;
  const pause = async () =>
    Math.min(heartbeatMs, millisecondsUntil(bus, await commands.nextFree(sessionId)) ?? heartbeatMs);
  await waitFor(bus, { topic: commandsTopic(sessionId), seconds, signal, pause }, look);
  await sessions.seen(sessionId, bus.now(), null);
  bus.notify();
  return leased;
}

/** Offers a command that didn't reach its session again at once. */
export async function releaseCommand(bus: Bus, id: string, sessionId: string): Promise<void> {
  const released = await bus.store.commands.release(id, sessionId);
  if (released !== undefined) await wakeTakers(bus, [released]);
}

export async function getCommands(bus: Bus, filter: CommandFilter): Promise<readonly Command[]> {
  await endLapsed(bus);
  return bus.store.commands.list(filter);
}

export async function offerCommandAgain(bus: Bus, id: string, caller: Caller): Promise<Command> {
  const command = await getCommand(bus, id);
  await checkSender(bus, command, caller);
  if (!(await bus.store.commands.retry(id))) {
    const { target } = command;
    if (target === null || (await bus.store.sessions.find(target)) !== undefined) {
      throw conflict(`The command ${id} is on its way, or was acknowledged`);
    }
    throw notFound(`Nobody can take the command ${id} any more: ${target} has left`);
  }
  await wakeTakers(bus, [command]);
  return getCommand(bus, id);
}

/** In secure mode only its sender may send a command again. */
async function checkSender(bus: Bus, { id, from, fromId }: Command, caller: Caller): Promise<void> {
  if (!(await isSecure(bus)) || caller.from === "process" || caller.identity?.operator) return;
  const sender = fromId === null ? undefined : await bus.store.sessions.find(fromId);
  if (sender === undefined ? caller.identity?.agent !== from : !ownsSession(sender, caller))
    throw notYoursError(`the command ${id} is another agent's`);
}
