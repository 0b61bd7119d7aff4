import { type Caller, isSecure, notYoursError, ownsSession } from "./access.ts";
import { type Bus, millisecondsUntil } from "./bus.ts";
import { conflict, notFound } from "./errors.ts";
import { nodeCrypto } from "./keys.ts";
import { KEPT_SECONDS } from "./limits.ts";
import type { Command, CommandEnd, Consequences, Json, NewCommand } from "./store.ts";
import { commandEndTopic, commandsTopic, signalTopic, waitFor } from "./waiting.ts";

/** A command handed out this often without ending is dead: still listed, and retried only on request. */
export const MAX_ATTEMPTS = 5;

const ACTIVITY_CHANNEL = "activity";

export function newCommandId(): string {
  return `cmd-${nodeCrypto().randomBytes(6).toString("hex")}`;
}

export async function getCommand(bus: Bus, id: string): Promise<Command> {
  const command = await bus.store.commands.find(id);
  if (command === undefined) throw commandNotFound(id);
  return command;
}

/** Ends a command and reports it by a response, a signal, and a message in the activity channel. */
export async function endCommand(
  bus: Bus,
  id: string,
  { status, result }: Pick<CommandEnd, "status" | "result">,
  caller: Caller,
): Promise<Command> {
  const command = await getCommand(bus, id);
  await checkEnder(bus, command, caller);
  const end = { status, result, at: bus.now() };
  const consequences = consequencesOf(command, end);
  const by = command.holder ?? command.target;
  const [outcome] = await Promise.all([
    bus.store.commands.end(id, end, consequences),
    by === null ? undefined : bus.store.sessions.renew(by, end.at),
  ]);
  if (outcome === "missing") throw commandNotFound(id);
  if (outcome === "different") throw conflict(`The command ${id} has already ended differently`);
  if (outcome === "done") notifyOfEnd(bus, command, consequences);
  return getCommand(bus, id);
}

/** In secure mode only its holder may end a command or, while it has none, a session that could take it. */
async function checkEnder(bus: Bus, { id, holder, target, targetRole }: Command, caller: Caller): Promise<void> {
  if (!(await isSecure(bus)) || caller.from === "process" || caller.identity?.operator) return;
  const by = holder ?? target;
  const sessions = await bus.store.sessions.list();
  const enders = sessions.filter((session) => (by === null ? session.role === targetRole : session.id === by));
  if (!enders.some((session) => ownsSession(session, caller)))
    throw notYoursError(`the command ${id} is another agent's`);
}

/** The command once it has ended; as it is when the time is up. */
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
  const pause = async () => millisecondsUntil(bus, lapsesAt(current));
  const ended = await waitFor(bus, { topic: commandEndTopic(id), seconds, signal, pause }, look);
  return ended ?? getCommand(bus, id);
}

/** Ends commands that may no longer be taken, and informs their senders. */
export async function endLapsed(bus: Bus): Promise<void> {
  const ended = await bus.store.commands.lapse(bus.now(), MAX_ATTEMPTS);
  if (ended.length > 0) await reportEnds(bus, ended);
}

/** When `endLapsed` ends the command, if nothing happens before. */
function lapsesAt({ status, attempts, expiresAt, leaseUntil }: Command): number | undefined {
  if (status !== "leased" || leaseUntil === null) return expiresAt ?? undefined;
  if (attempts >= MAX_ATTEMPTS) return leaseUntil;
  return expiresAt === null ? undefined : Math.max(expiresAt, leaseUntil);
}

/** Informs the senders of dead and expired commands. */
export async function reportEnds(bus: Bus, ended: readonly Command[]): Promise<void> {
  const responses = ended.flatMap((command) => {
    const { status, result, endedAt } = command;
    return responseTo(command, { status, result, at: endedAt ?? bus.now() }) ?? [];
  });
  if (responses.length > 0) await bus.store.commands.add(responses);
  for (const command of ended) notifyOfEnd(bus, command, {});
}

/** Stored in the same step as the end itself. */
function consequencesOf(command: Command, { status, result, at }: CommandEnd): Consequences {
  // Nobody waits for the end of a response.
  if (command.kind === "command_response") return {};
  const by = enderOf(command);
  const report = { command_id: command.id, action: command.action, status, result, by };
  return {
    signal: { name: endSignal(command.action, status), data: report, sender: by, setAt: at },
    activity: {
      channel: ACTIVITY_CHANNEL,
      sender: by,
      content: JSON.stringify({ type: `command_${status}`, ...report }),
    },
    response: responseTo(command, { status, result, at }),
  };
}

function notifyOfEnd(bus: Bus, { id, fromId }: Command, { signal, activity }: Consequences): void {
  bus.notify([
    commandEndTopic(id),
    ...(signal === undefined ? [] : [signalTopic(signal.name)]),
    ...(activity === undefined ? [] : [activity.channel]),
    ...(fromId === null ? [] : [commandsTopic(fromId)]),
  ]);
}

function responseTo(
  command: Command,
  { status, result, at }: { status: Command["status"]; result: Json; at: number },
): NewCommand | undefined {
  if (command.kind === "command_response" || command.fromId === null) return undefined;
  return {
    id: newCommandId(),
    kind: "command_response",
    from: command.targetRole,
    fromId: command.holder ?? command.target,
    target: command.fromId,
    targetRole: command.from,
    action: "command_response",
    params: { command_id: command.id, action: command.action, status, result, by: enderOf(command) },
    createdAt: at,
    leaseSeconds: command.leaseSeconds,
    expiresAt: at + KEPT_SECONDS,
  };
}

function enderOf({ holder, target, targetRole }: Command): string {
  return holder ?? target ?? targetRole;
}

/** Two names: a session that waits for success must not continue after a failure. */
function endSignal(action: string, status: CommandEnd["status"]): string {
  return `${action}_${status === "acked" ? "done" : "failed"}`;
}

function commandNotFound(id: string): Error {
  return notFound(`There is no command ${id}`);
}
