import type { Bus } from "./bus.ts";
import { nodeCrypto } from "./keys.ts";
import { KEPT_SECONDS } from "./limits.ts";
import type { Command, CommandEnd, Consequences, Json, NewCommand } from "./store.ts";
import { ANY_CHANGE, commandEndTopic, commandsTopic, signalTopic } from "./waiting.ts";

/** An order that was handed out so often and never came to an end is dead: visible, and to be sent again by hand. */
export const MAX_ATTEMPTS = 5;

const ACTIVITY_CHANNEL = "activity";

export function newCommandId(): string {
  return `cmd-${nodeCrypto().randomBytes(6).toString("hex")}`;
}

/** What becomes of an order's end, in the same step: an order back, a signal, and an entry in the channel of activity. */
export function consequencesOf(ended: Command, { status, result, at }: CommandEnd): Consequences {
  // That an answer arrived is no news to anybody.
  if (ended.kind === "command_response") return {};
  const by = enderOf(ended);
  const told = { command_id: ended.id, action: ended.action, status, result, by };
  return {
    signal: { name: signalOf(ended.action, status), data: told, sender: by, setAt: at },
    activity: {
      channel: ACTIVITY_CHANNEL,
      sender: by,
      content: JSON.stringify({ type: `command_${status}`, ...told }),
    },
    response: responseTo(ended, { status, result, at }),
  };
}

/** Wakes whoever waits for what an order's end brought about. */
export function ringCommandEnd(bus: Bus, { id, fromId }: Command, { signal, activity }: Consequences): void {
  bus.wakeup.ring(commandEndTopic(id));
  if (signal !== undefined) bus.wakeup.ring(signalTopic(signal.name));
  if (activity !== undefined) bus.wakeup.ring(activity.channel);
  if (fromId !== null) bus.wakeup.ring(commandsTopic(fromId));
  bus.wakeup.ring(ANY_CHANGE);
}

/** Ends what nobody may take any more, and tells who sent it. */
export async function endLapsed(bus: Bus): Promise<void> {
  const ended = await bus.store.commands.lapse(bus.now(), MAX_ATTEMPTS);
  if (ended.length > 0) await reportEnds(bus, ended);
}

/** When `endLapsed` ends the order, if nothing happens until then. */
export function lapsesAt({ status, attempts, expiresAt, leaseUntil }: Command): number | undefined {
  if (status !== "leased" || leaseUntil === null) return expiresAt ?? undefined;
  if (attempts >= MAX_ATTEMPTS) return leaseUntil;
  return expiresAt === null ? undefined : Math.max(expiresAt, leaseUntil);
}

/** Tells who sent these orders that they came to nothing. */
export async function reportEnds(bus: Bus, ended: readonly Command[]): Promise<void> {
  const responses = ended.flatMap((order) => {
    const { status, result, endedAt } = order;
    const response = responseTo(order, { status, result, at: endedAt ?? bus.now() });
    return response === undefined ? [] : [response];
  });
  if (responses.length > 0) await bus.store.commands.add(responses);
  for (const order of ended) ringCommandEnd(bus, order, {});
}

function responseTo(
  ended: Command,
  { status, result, at }: { status: Command["status"]; result: Json; at: number },
): NewCommand | undefined {
  if (ended.kind === "command_response" || ended.fromId === null) return undefined;
  return {
    id: newCommandId(),
    kind: "command_response",
    from: ended.targetRole,
    fromId: ended.holder ?? ended.target,
    target: ended.fromId,
    targetRole: ended.from,
    action: "command_response",
    params: { command_id: ended.id, action: ended.action, status, result, by: enderOf(ended) },
    createdAt: at,
    leaseSeconds: ended.leaseSeconds,
    expiresAt: at + KEPT_SECONDS,
  };
}

function enderOf({ holder, target, targetRole }: Command): string {
  return holder ?? target ?? targetRole;
}

/** What is done is done: who waits for that must not go on when it failed. */
function signalOf(action: string, status: CommandEnd["status"]): string {
  return `${action}_${status === "acked" ? "done" : "failed"}`;
}
