import { type Caller, isSecure } from "./access.ts";
import type { Bus } from "./bus.ts";
import { conflict, invalid, notFound, unauthorized } from "./errors.ts";
import { KEPT_SECONDS } from "./limits.ts";
import { consequencesOf, endLapsed, lapsesAt, MAX_ATTEMPTS, newCommandId, ringCommandEnd } from "./outcomes.ts";
import {
  BROADCAST_TARGETS,
  getSession,
  HEARTBEAT_SECONDS,
  isAlive,
  LISTENER,
  ownsSession,
  requireOwnSession,
} from "./sessions.ts";
import type { Command, CommandEnd, CommandFilter, Json, NewCommand, Session } from "./store.ts";
import { ANY_CHANGE, commandEndTopic, commandsTopic, waiting } from "./waiting.ts";

export interface CommandRequest {
  /** Who orders: a peer's id, or the name of a human or a program that is none. */
  readonly from: string;
  /** A peer's id, a role, or `*` for everybody. */
  readonly target: string;
  readonly action: string;
  readonly params: Json;
  readonly leaseSeconds: number;
  /** Of a role: one order for whoever is first, instead of one for each. */
  readonly any: boolean;
  /** How long it may be taken at all; for ever where it doesn't say. */
  readonly expiresIn: number | undefined;
}

export async function issueCommands(
  bus: Bus,
  ordering: CommandRequest,
  caller: Caller,
): Promise<readonly NewCommand[]> {
  const peers = await bus.store.sessions.list();
  const sender = peers.find(({ id }) => id === ordering.from);
  if (sender !== undefined) await requireOwnSession(bus, sender.id, caller);
  const now = bus.now();
  const make = (target: string | null, targetRole: string): NewCommand => ({
    id: newCommandId(),
    kind: "command",
    from: sender?.role ?? ordering.from,
    fromId: sender?.id ?? null,
    target,
    targetRole,
    action: ordering.action,
    params: ordering.params,
    createdAt: now,
    leaseSeconds: ordering.leaseSeconds,
    expiresAt: ordering.expiresIn === undefined ? null : now + ordering.expiresIn,
  });
  const targets = targetsOf(peers, ordering, sender?.id, now);
  const orders = ordering.any ? [make(null, ordering.target)] : targets.map(({ id, role }) => make(id, role));
  await bus.store.commands.add(orders);
  for (const one of orders) await wakeTakers(bus, one);
  bus.wakeup.ring(ANY_CHANGE);
  await bus.store.commands.forget(now - KEPT_SECONDS, 2 * orders.length + 10);
  return orders;
}

/** Whom an order is for. Of a role or of everybody only those who are there; of one by id, also when it is away. */
function targetsOf(
  peers: readonly Session[],
  { target, any }: CommandRequest,
  sender: string | undefined,
  now: number,
): readonly Session[] {
  const one = peers.find(({ id }) => id === target);
  if (one !== undefined && any) throw invalid("any is for a role: a peer is one already");
  if (one !== undefined) return [one];
  const everybody = BROADCAST_TARGETS.includes(target);
  if (everybody && any) throw invalid("any is for a role: say which");
  const named = peers.filter(({ role, id }) => (everybody ? id !== sender && role !== LISTENER : role === target));
  const there = named.filter((peer) => isAlive(peer, now));
  if (there.length > 0 || (any && named.length > 0)) return there;
  const gone = named.map(({ id }) => id).join(", ");
  if (everybody) throw notFound(gone === "" ? "Nobody else is connected" : `Everybody else is gone: ${gone}`);
  throw notFound(
    gone === "" ? `There is no peer and no role ${target}` : `Everybody who is ${target} is gone: ${gone}`,
  );
}

/** Wakes whoever may take this order. Only now is looked who that is: somebody may have come since it was sent. */
async function wakeTakers(bus: Bus, { target, targetRole }: NewCommand): Promise<void> {
  if (target !== null) return bus.wakeup.ring(commandsTopic(target));
  for (const { id, role } of await bus.store.sessions.list())
    if (role === targetRole) bus.wakeup.ring(commandsTopic(id));
}

/**
 * The next order for a peer, leased to it; undefined when the time is up. While it waits, it is seen to live, but not to
 * work: what it took before and didn't end is offered again in time.
 */
export async function waitForCommand(
  bus: Bus,
  { peer, seconds }: { peer: string; seconds: number | undefined },
  caller: Caller,
  signal: AbortSignal,
): Promise<Command | undefined> {
  await requireOwnSession(bus, peer, caller);
  const { sessions: peers, commands: orders } = bus.store;
  let seen = Number.NEGATIVE_INFINITY;
  // Kept here, so that one taken in the moment in which the wait is given up can be put back.
  let taken: Command | undefined;
  const look = async () => {
    if (signal.aborted) return undefined;
    await getSession(bus, peer);
    await endLapsed(bus);
    const now = bus.now();
    taken = await orders.take(peer, now, MAX_ATTEMPTS);
    if (taken === undefined && now - seen >= HEARTBEAT_SECONDS) {
      seen = now;
      await peers.seen(peer, now, "commands");
      bus.wakeup.ring(ANY_CHANGE);
    }
    return taken;
  };
  const pause = async () => {
    const next = await orders.nextFree(peer);
    return Math.min(HEARTBEAT_SECONDS, next === undefined ? HEARTBEAT_SECONDS : next - bus.now()) * 1_000 + 1;
  };
  const milliseconds = seconds === undefined ? undefined : seconds * 1_000;
  const wait = { wakeup: bus.wakeup, topic: commandsTopic(peer), signal, milliseconds, pause };
  for await (const _ of waiting(wait, look)) break;
  await peers.seen(peer, bus.now(), null);
  bus.wakeup.ring(ANY_CHANGE);
  return taken;
}

/** A handed-out order didn't reach the peer: it is offered again at once. */
export async function releaseCommand(bus: Bus, id: string, peer: string): Promise<void> {
  const released = await bus.store.commands.release(id, peer);
  if (released === undefined) return;
  await wakeTakers(bus, released);
  bus.wakeup.ring(ANY_CHANGE);
}

/** Ends an order, and tells who sent it: by an order back, a signal, and an entry in the channel of activity. */
export async function endCommand(
  bus: Bus,
  id: string,
  { status, result }: Pick<CommandEnd, "status" | "result">,
  caller: Caller,
): Promise<Command> {
  const ended = await getCommand(bus, id);
  await checkEnder(bus, ended, caller);
  const ending = { status, result, at: bus.now() };
  const consequences = consequencesOf(ended, ending);
  const by = ended.holder ?? ended.target;
  const [outcome] = await Promise.all([
    bus.store.commands.end(id, ending, consequences),
    by === null ? undefined : bus.store.sessions.renew(by, ending.at),
  ]);
  if (outcome === "missing") throw commandNotFound(id);
  if (outcome === "different") throw conflict(`The command ${id} has ended otherwise already`);
  if (outcome === "done") ringCommandEnd(bus, ended, consequences);
  return getCommand(bus, id);
}

/** In secure mode an order is ended by who holds it or, while nobody does, by one who could take it. */
async function checkEnder(bus: Bus, { id, holder, target, targetRole }: Command, caller: Caller): Promise<void> {
  if (!(await isSecure(bus)) || caller.from === "process" || caller.identity?.operator) return;
  const by = holder ?? target;
  const peers = await bus.store.sessions.list();
  const may = peers.filter((peer) => (by === null ? peer.role === targetRole : peer.id === by));
  if (!may.some((peer) => ownsSession(peer, caller))) throw notYourCommand(id);
}

/** In secure mode an order is sent again by who sent it. */
async function checkSender(bus: Bus, { id, from, fromId }: Command, caller: Caller): Promise<void> {
  if (!(await isSecure(bus)) || caller.from === "process" || caller.identity?.operator) return;
  const sender = fromId === null ? undefined : await bus.store.sessions.find(fromId);
  if (sender === undefined ? caller.identity?.agent !== from : !ownsSession(sender, caller)) throw notYourCommand(id);
}

export async function getCommand(bus: Bus, id: string): Promise<Command> {
  const found = await bus.store.commands.find(id);
  if (found === undefined) throw commandNotFound(id);
  return found;
}

export async function findCommands(bus: Bus, list: CommandFilter): Promise<readonly Command[]> {
  await endLapsed(bus);
  return bus.store.commands.list(list);
}

/** The order once it has ended; as it is when the time is up. */
export async function waitForCommandEnd(
  bus: Bus,
  { id, seconds }: { id: string; seconds: number | undefined },
  signal: AbortSignal,
): Promise<Command> {
  let current = await getCommand(bus, id);
  const look = async () => {
    await endLapsed(bus);
    current = await getCommand(bus, id);
    return current.endedAt === null ? undefined : current;
  };
  const pause = async () => {
    const lapses = lapsesAt(current);
    return lapses === undefined ? undefined : (lapses - bus.now()) * 1_000 + 1;
  };
  const milliseconds = seconds === undefined ? undefined : seconds * 1_000;
  const wait = { wakeup: bus.wakeup, topic: commandEndTopic(id), signal, milliseconds, pause };
  for await (const ended of waiting(wait, look)) return ended;
  return getCommand(bus, id);
}

/** Offers an order that came to nothing once more. */
export async function offerCommandAgain(bus: Bus, id: string, caller: Caller): Promise<Command> {
  const again = await getCommand(bus, id);
  await checkSender(bus, again, caller);
  if (!(await bus.store.commands.retry(id))) {
    const { target } = again;
    if (target === null || (await bus.store.sessions.find(target)) !== undefined) {
      throw conflict(`The command ${id} is on its way, or was acknowledged`);
    }
    throw notFound(`Nobody can take the command ${id} any more: ${target} has left`);
  }
  await wakeTakers(bus, again);
  bus.wakeup.ring(ANY_CHANGE);
  return getCommand(bus, id);
}

function commandNotFound(id: string): Error {
  return notFound(`There is no command ${id}`);
}

function notYourCommand(id: string): Error {
  return unauthorized(`not allowed: the command ${id} is another agent's`, "not_yours");
}
