import type { Bus } from "./bus.ts";
import type { Caller } from "./caller.ts";
import { conflict, invalid, notFound } from "./errors.ts";
import { cryptography } from "./keys.ts";
import { HEARTBEAT_SECONDS, isAlive, ownPeer } from "./peers.ts";
import type { Consequences, Ending, Json, NewOrder, Order, Peer } from "./session-store.ts";
import { waiting } from "./waiting.ts";
import { EVERYTHING, endOf, ordersFor, settingOf } from "./wakeup.ts";

/** An order that was handed out so often and never came to an end is dead: visible, and to be sent again by hand. */
const MOST_ATTEMPTS = 5;

const ACTIVITY_CHANNEL = "activity";

const EVERYBODY: readonly string[] = ["*", "all"];

export interface Ordering {
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

export async function order(bus: Bus, ordering: Ordering, caller: Caller): Promise<readonly NewOrder[]> {
  const peers = await bus.store.peers.list();
  const sender = peers.find(({ id }) => id === ordering.from);
  if (sender !== undefined) await ownPeer(bus, sender.id, caller);
  const now = bus.now();
  const make = (target: string | null, targetRole: string): NewOrder => ({
    id: newId(),
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
  await bus.store.orders.add(orders);
  for (const { id } of targets) bus.wakeup.ring(ordersFor(id));
  bus.wakeup.ring(EVERYTHING);
  return orders;
}

/** Whom an order is for. Of a role or of everybody only those who are there; of one by id, also when it is away. */
function targetsOf(
  peers: readonly Peer[],
  { target, any }: Ordering,
  sender: string | undefined,
  now: number,
): readonly Peer[] {
  const one = peers.find(({ id }) => id === target);
  if (one !== undefined && any) throw invalid("any is for a role: a peer is one already");
  if (one !== undefined) return [one];
  const everybody = EVERYBODY.includes(target);
  if (everybody && any) throw invalid("any is for a role: say which");
  const named = peers.filter(({ role, id }) => (everybody ? id !== sender : role === target));
  const there = named.filter((peer) => isAlive(peer, now));
  if (there.length > 0 || (any && named.length > 0)) return there;
  if (named.length > 0)
    throw notFound(`Everybody in the role ${target} is gone: ${named.map(({ id }) => id).join(", ")}`);
  throw notFound(everybody ? "Nobody else is connected" : `There is no peer and no role ${target}`);
}

/** The next order for a peer, leased to it; undefined when the time is up. While it waits, it is seen to live. */
export async function waitForOrder(
  bus: Bus,
  { peer, seconds }: { peer: string; seconds: number | undefined },
  caller: Caller,
  signal: AbortSignal,
): Promise<Order | undefined> {
  await ownPeer(bus, peer, caller);
  const { peers, orders } = bus.store;
  let seen = 0;
  const look = async () => {
    if (signal.aborted) return undefined;
    const now = bus.now();
    const taken = await orders.take(peer, now, MOST_ATTEMPTS);
    if (taken === undefined && now - seen >= HEARTBEAT_SECONDS) {
      seen = now;
      await peers.seen(peer, now, "commands");
      bus.wakeup.ring(EVERYTHING);
    }
    return taken;
  };
  const pause = async () => {
    const next = await orders.nextFree(peer);
    return Math.min(HEARTBEAT_SECONDS, next === undefined ? HEARTBEAT_SECONDS : next - bus.now()) * 1_000 + 1;
  };
  const milliseconds = seconds === undefined ? undefined : seconds * 1_000;
  let taken: Order | undefined;
  for await (const found of waiting(
    { wakeup: bus.wakeup, topic: ordersFor(peer), signal, milliseconds, pause },
    look,
  )) {
    taken = found;
    break;
  }
  await peers.seen(peer, bus.now(), null);
  bus.wakeup.ring(EVERYTHING);
  return taken;
}

/** A handed-out order didn't reach the peer: it is offered again at once. */
export async function putBack(bus: Bus, id: string, peer: string): Promise<void> {
  await bus.store.orders.release(id, peer);
  bus.wakeup.ring(ordersFor(peer));
  bus.wakeup.ring(EVERYTHING);
}

/** Ends an order, and tells who sent it: by an order back, a signal, and an entry in the channel of activity. */
export async function end(
  bus: Bus,
  id: string,
  { status, result }: Pick<Ending, "status" | "result">,
  caller: Caller,
): Promise<Order> {
  const ended = await orderOf(bus, id);
  const by = ended.holder ?? ended.target;
  if (by !== null && (await bus.store.peers.find(by)) !== undefined) await ownPeer(bus, by, caller);
  const at = bus.now();
  const outcome = await bus.store.orders.end(id, { status, result, at }, consequencesOf(ended, status, result, at));
  if (outcome === "missing") throw noOrder(id);
  if (outcome === "different") throw conflict(`The command ${id} has ended otherwise already`);
  if (outcome === "done") {
    bus.wakeup.ring(endOf(id));
    bus.wakeup.ring(settingOf(signalOf(ended.action)));
    bus.wakeup.ring(ACTIVITY_CHANNEL);
    if (ended.fromId !== null) bus.wakeup.ring(ordersFor(ended.fromId));
    bus.wakeup.ring(EVERYTHING);
  }
  return orderOf(bus, id);
}

function consequencesOf(ended: Order, status: Ending["status"], result: Json, at: number): Consequences {
  const by = ended.holder ?? ended.target ?? ended.targetRole;
  const told = { command_id: ended.id, action: ended.action, status, result, by };
  const tells = ended.kind === "command" && ended.fromId !== null;
  return {
    signal: { name: signalOf(ended.action), data: told, sender: by, setAt: at },
    activity: {
      channel: ACTIVITY_CHANNEL,
      sender: by,
      content: JSON.stringify({ type: `command_${status}`, ...told }),
    },
    response: tells
      ? {
          id: newId(),
          kind: "command_response",
          from: ended.targetRole,
          fromId: ended.holder ?? ended.target,
          target: ended.fromId,
          targetRole: ended.from,
          action: "command_response",
          params: told,
          createdAt: at,
          leaseSeconds: ended.leaseSeconds,
          expiresAt: null,
        }
      : undefined,
  };
}

function signalOf(action: string): string {
  return `${action}_done`;
}

export async function orderOf(bus: Bus, id: string): Promise<Order> {
  const found = await bus.store.orders.find(id);
  if (found === undefined) throw noOrder(id);
  return found;
}

/** The order once it has ended; as it is when the time is up. */
export async function waitForEnd(
  bus: Bus,
  { id, seconds }: { id: string; seconds: number | undefined },
  signal: AbortSignal,
): Promise<Order> {
  const look = async () => {
    const now = await orderOf(bus, id);
    return now.endedAt === null ? undefined : now;
  };
  const milliseconds = seconds === undefined ? undefined : seconds * 1_000;
  for await (const ended of waiting({ wakeup: bus.wakeup, topic: endOf(id), signal, milliseconds }, look)) return ended;
  return orderOf(bus, id);
}

/** Offers an order that came to nothing once more. */
export async function orderAgain(bus: Bus, id: string): Promise<Order> {
  const { target, targetRole } = await orderOf(bus, id);
  if (!(await bus.store.orders.offerAgain(id))) throw conflict(`The command ${id} is on its way, or was acknowledged`);
  const peers = await bus.store.peers.list();
  for (const peer of peers) if (peer.id === target || peer.role === targetRole) bus.wakeup.ring(ordersFor(peer.id));
  bus.wakeup.ring(EVERYTHING);
  return orderOf(bus, id);
}

function newId(): string {
  return `cmd-${cryptography().randomBytes(6).toString("hex")}`;
}

function noOrder(id: string): Error {
  return notFound(`There is no command ${id}`);
}
