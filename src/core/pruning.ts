import type { Bus } from "./bus.ts";
import { SECURITY_CHANNEL } from "./security.ts";
import type { PruneCriteria, ResetResult } from "./store.ts";
import { ANY_CHANGE, commandEndTopic, commandsTopic } from "./waiting.ts";

/** So many at a time: a sender waits for no more than this. */
const BATCH = 500;

export interface ChannelPruning {
  readonly channel: string;
  readonly messages: number;
  /** Of those, the ones that somebody who reads the channel hasn't consumed. */
  readonly unconsumed: number;
}

/** How far it is. `done` comes once, at the end. */
export interface PruningProgress {
  readonly removed: number;
  readonly of: number;
  readonly channels: readonly ChannelPruning[];
  readonly done: boolean;
}

/** Removes old messages in small steps, beside those who send and read; or only says what it would remove. */
export async function* prune(
  bus: Bus,
  { channel, dryRun, ...pruning }: PruneCriteria & { channel: string | undefined; dryRun: boolean },
  signal: AbortSignal,
): AsyncGenerator<PruningProgress, void, void> {
  const names = channel === undefined ? await channelsOf(bus) : [channel];
  const prunable = await Promise.all(
    names.map(async (name) => ({ name, ...(await bus.store.messages.prunable(name, pruning)) })),
  );
  const some = prunable.filter(({ count }) => count > 0);
  const channels = some.map(({ name, count, unconsumed }) => ({ channel: name, messages: count, unconsumed }));
  const of = some.reduce((sum, { count }) => sum + count, 0);
  let removed = 0;
  for (const { name, upTo, count } of dryRun ? [] : some) {
    for (let left = count; left > 0 && !signal.aborted; ) {
      const step = await bus.store.messages.remove(name, upTo, BATCH);
      // Others removed the rest.
      if (step === 0) break;
      left -= step;
      removed += step;
      yield { removed, of, channels, done: false };
    }
  }
  yield { removed, of, channels, done: true };
}

/** All but the alarms: who wants those gone names them. */
async function channelsOf(bus: Bus): Promise<string[]> {
  return (await bus.store.messages.channels())
    .map(({ channel }) => channel)
    .filter((name) => name !== SECURITY_CHANNEL);
}

const MAX_ORDERS = 1_000;

/** Clears the bus, and wakes whoever waits for what is gone with that. */
export async function reset(bus: Bus): Promise<ResetResult> {
  const { sessions: peers, commands: orders } = bus.store;
  const [everybody, pending, leased] = await Promise.all([
    peers.list(),
    orders.list({ status: "pending", limit: MAX_ORDERS }),
    orders.list({ status: "leased", limit: MAX_ORDERS }),
  ]);
  const done = await bus.store.reset(SECURITY_CHANNEL);
  for (const { id } of everybody) bus.wakeup.ring(commandsTopic(id));
  for (const { id } of [...pending, ...leased]) bus.wakeup.ring(commandEndTopic(id));
  bus.wakeup.ring(ANY_CHANGE);
  return done;
}
