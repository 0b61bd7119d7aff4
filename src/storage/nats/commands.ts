import { isIpcError } from "../../core/errors.ts";
import type { Command, CommandEnd, CommandFilter, CommandStore, Consequences, NewCommand } from "../../core/store.ts";
import { fault } from "./connection.ts";
import type { Transaction } from "./log.ts";
import type { Context } from "./outbox.ts";
import { isPayloadOf, NULL_PAYLOAD, namesIn, oldestFirst, type Payload } from "./payloads.ts";
import { setSignal } from "./signals.ts";
import type { CommandRecord, State } from "./state.ts";

export function createCommandStore(context: Context): CommandStore {
  const { log, payloads } = context;
  const load = (record: CommandRecord) => loadCommand(context, record);

  return {
    ...createSending(context),
    ...createLeasing(context),

    async find(id) {
      const record = await log.step(({ state }) => state.commands.get(id));
      return record && load(record);
    },

    list: async (filter) => Promise.all((await log.step(({ state }) => selectCommands(state, filter))).map(load)),

    end: (id, ending, consequences) => endCommand(context, id, ending, consequences),

    retry: (id) =>
      log.step((transaction) => {
        const { commands, sessions } = transaction.state;
        const command = commands.get(id);
        if (command === undefined || !["dead", "failed", "expired"].includes(command.status)) return false;
        if (command.target !== null && !sessions.has(command.target)) return false;
        const again = { status: "pending", attempts: 0, holder: null, endedAt: null, expiresAt: null } as const;
        putCommand(transaction, { ...command, ...again, result: NULL_PAYLOAD });
        return true;
      }),

    async forget(endedBefore, limit) {
      const forgotten = await log.step(({ state, put }) => {
        const ended = [...state.commands.values()]
          .filter(({ endedAt }) => endedAt !== null && endedAt < endedBefore)
          .sort((a, b) => (a.endedAt ?? 0) - (b.endedAt ?? 0))
          .slice(0, limit);
        for (const { id } of ended) put({ of: "order", key: id, to: null });
        return { count: ended.length, unused: unusedPayloads(ended, state) };
      });
      log.inBackground(payloads.drop(forgotten.unused));
      return forgotten.count;
    },
  };
}

function createSending(context: Context): Pick<CommandStore, "add" | "restore"> {
  const { log, payloads } = context;
  return {
    async add(commands) {
      const prepared = await storeParams(context, commands);
      const stored = prepared.map(({ params }) => params);
      await stepOrDrop(context, stored, (transaction) => {
        for (const one of prepared) addCommand(transaction, one);
      });
    },

    async restore({ params, result, ...command }) {
      const stored = await Promise.all([payloads.store(params), payloads.store(result)]);
      const isRestored = await stepOrDrop(context, stored, (transaction) => {
        const { commands, placed } = transaction.state;
        if (commands.has(command.id)) return false;
        putCommand(transaction, { ...command, seq: placed + 1, params: stored[0], result: stored[1] });
        return true;
      });
      if (!isRestored) log.inBackground(payloads.drop(namesIn(...stored)));
      return isRestored;
    },
  };
}

function createLeasing(context: Context): Pick<CommandStore, "take" | "nextFree" | "release" | "lapse"> {
  const { log } = context;
  return {
    async take(session, now, mostAttempts) {
      const taken = await log.step((transaction) => {
        const command = oldestFree(transaction.state, session, now, mostAttempts);
        if (command === undefined) return undefined;
        const [attempts, leaseUntil] = [command.attempts + 1, now + command.leaseSeconds];
        return putCommand(transaction, { ...command, status: "leased", attempts, holder: session, leaseUntil });
      });
      return taken && loadCommand(context, taken);
    },

    nextFree: (session) =>
      log.step(({ state }) => {
        const ends = openFor(state, session).flatMap(({ leaseUntil }) => leaseUntil ?? []);
        return ends.length === 0 ? undefined : Math.min(...ends);
      }),

    async release(id, session) {
      const released = await log.step((transaction) => {
        const command = transaction.state.commands.get(id);
        if (command?.status !== "leased" || command.holder !== session) return undefined;
        const attempts = command.attempts - 1;
        return putCommand(transaction, { ...command, status: "pending", attempts, holder: null, leaseUntil: null });
      });
      return released && loadCommand(context, released);
    },

    async lapse(now, mostAttempts) {
      const isOver = ({ expiresAt, attempts }: CommandRecord) =>
        (expiresAt !== null && expiresAt <= now) || attempts >= mostAttempts;
      const lapsed = await log.step((transaction) =>
        [...transaction.state.openCommands.values()]
          .filter((command) => isFree(command, now) && isOver(command))
          .map((command) => {
            const status = command.expiresAt !== null && command.expiresAt <= now ? "expired" : "dead";
            return putCommand(transaction, { ...command, status, leaseUntil: null, endedAt: now });
          }),
      );
      return Promise.all(lapsed.map((command) => loadCommand(context, command)));
    },
  };
}

/** A command whose params are stored already. */
type PreparedCommand = Readonly<{ command: NewCommand; params: Payload }>;

/** Commands sent together share params that are the same value. */
function storeParams({ payloads }: Context, commands: readonly NewCommand[]): Promise<PreparedCommand[]> {
  const stored = new Map<unknown, Promise<Payload>>();
  const store = ({ params }: NewCommand) => {
    const payload = stored.get(params) ?? payloads.store(params);
    stored.set(params, payload);
    return payload;
  };
  return Promise.all(commands.map(async (command) => ({ command, params: await store(command) })));
}

/** Throws where the id is taken. A command for an unknown session is dead. */
function addCommand(transaction: Transaction, { command, params }: PreparedCommand): void {
  const { state } = transaction;
  if (state.commands.has(command.id)) throw new Error(`there is a command ${command.id} already`);
  const isDead = command.target !== null && !state.sessions.has(command.target);
  putCommand(transaction, {
    ...command,
    params,
    seq: state.placed + 1,
    status: isDead ? "dead" : "pending",
    attempts: 0,
    holder: null,
    leaseUntil: null,
    result: NULL_PAYLOAD,
    endedAt: isDead ? command.createdAt : null,
  });
}

/** The journal shows changes of a command's status and attempts. */
export function putCommand({ state, put }: Transaction, to: CommandRecord): CommandRecord {
  const before = state.commands.get(to.id);
  const isJournaled = before?.status !== to.status || before.attempts !== to.attempts;
  put({ of: "order", key: to.id, to, ...(isJournaled && { what: to.status }) });
  return to;
}

/** Drops the payloads of a refused step. After any other failure the step may be stored, so they stay. */
async function stepOrDrop<T>(
  { log, payloads }: Context,
  stored: readonly Payload[],
  step: (transaction: Transaction) => T,
): Promise<T> {
  let isRefused = false;
  try {
    return await log.step((transaction) => {
      isRefused = true;
      const answer = step(transaction);
      isRefused = false;
      return answer;
    });
  } catch (error) {
    const isTooLarge = isIpcError(error) && error.reason === "too_large";
    if (isRefused || isTooLarge) log.inBackground(payloads.drop(namesIn(...stored)));
    throw error;
  }
}

async function endCommand(
  context: Context,
  id: string,
  ending: CommandEnd,
  { response, signal, activity }: Consequences,
): ReturnType<CommandStore["end"]> {
  const { log, payloads, outbox } = context;
  const [result, data, responses, message] = await Promise.all([
    payloads.store(ending.result),
    signal && payloads.store(signal.data),
    storeParams(context, response === undefined ? [] : [response]),
    activity && outbox.prepare({ ...activity, timestamp: ending.at }),
  ]);
  const stored = [result, ...(data ? [data] : []), ...responses.map(({ params }) => params)];
  const { outcome, unused, work } = await stepOrDrop(context, stored, (transaction) => {
    const outcome = putEnd(transaction, id, ending, result);
    if (outcome !== "done") return { outcome, unused: stored, work: undefined };
    const work = message && outbox.add(transaction, { message });
    for (const one of responses) addCommand(transaction, one);
    const before = signal && data && setSignal(transaction, signal, data);
    return { outcome, unused: before ? [before] : [], work };
  });
  log.inBackground(payloads.drop(namesIn(...unused)));
  // Where this fails, the work stays in the outbox.
  if (work !== undefined) await outbox.run(work).catch(() => 0);
  return outcome;
}

/** The first ending counts. */
function putEnd(
  transaction: Transaction,
  id: string,
  { status, result: value, at }: CommandEnd,
  result: Payload,
): "done" | "same" | "different" | "missing" {
  const command = transaction.state.commands.get(id);
  if (command === undefined) return "missing";
  if (command.status === "acked" || command.status === "failed") {
    return command.status === status && isPayloadOf(command.result, value) ? "same" : "different";
  }
  putCommand(transaction, { ...command, status, result, endedAt: at, leaseUntil: null });
  return "done";
}

/** Includes commands for the session's role. */
function openFor({ openCommands, sessions }: State, session: string): CommandRecord[] {
  const role = sessions.get(session)?.role;
  return [...openCommands.values()].filter(({ target, targetRole }) =>
    target === null ? targetRole === role : target === session,
  );
}

function oldestFree(state: State, session: string, now: number, mostAttempts: number): CommandRecord | undefined {
  return openFor(state, session)
    .filter((command) => isFree(command, now) && (command.expiresAt === null || command.expiresAt > now))
    .filter(({ attempts }) => attempts < mostAttempts)
    .reduce<CommandRecord | undefined>((first, next) => (first && first.seq < next.seq ? first : next), undefined);
}

function isFree({ status, leaseUntil }: CommandRecord, now: number): boolean {
  return status === "pending" || (leaseUntil ?? 0) <= now;
}

/** The newest commands, oldest first, up to an answer's size, but at least one. */
function selectCommands(state: State, { peer, status, limit }: CommandFilter): CommandRecord[] {
  const role = peer === undefined ? undefined : state.sessions.get(peer)?.role;
  const isOf = ({ target, targetRole, holder, status }: CommandRecord): boolean =>
    peer === undefined ||
    target === peer ||
    holder === peer ||
    (target === null && targetRole === role && status === "pending");
  const newest = [...state.commands.values()]
    .filter((command) => (status === undefined || command.status === status) && isOf(command))
    .sort((a, b) => b.seq - a.seq)
    .slice(0, limit);
  return oldestFirst(newest, ({ params, result }) => [params, result]);
}

/** The payloads of removed commands that no other command shares. */
export function unusedPayloads(removed: readonly CommandRecord[], { commands }: State): readonly string[] {
  const unused = new Set(removed.flatMap(({ params, result }) => namesIn(params, result)));
  if (unused.size === 0) return [];
  for (const { params, result } of commands.values()) for (const name of namesIn(params, result)) unused.delete(name);
  return [...unused];
}

/** Fails where a payload is gone though its command is still there: then it was removed from the server. */
export async function loadCommand(
  { log, payloads }: Pick<Context, "log" | "payloads">,
  { seq: _, params, result, ...command }: CommandRecord,
): Promise<Command> {
  const [sent, answered] = await Promise.all([payloads.load(params), payloads.load(result)]);
  if (sent === undefined || answered === undefined) {
    const current = await log.step(({ state }) => state.commands.get(command.id));
    const missing = namesIn(...(sent === undefined ? [params] : []), ...(answered === undefined ? [result] : []));
    if (current && namesIn(current.params, current.result).some((name) => missing.includes(name))) {
      throw fault(`a part of command ${command.id} was removed from the NATS server`);
    }
  }
  return { ...command, params: sent?.value ?? null, result: answered?.value ?? null };
}
