import type { Bus } from "./bus.ts";
import { SECURITY_CHANNEL } from "./security.ts";
import type { PruneCriteria, ResetResult } from "./store.ts";
import { commandEndTopic, commandsTopic } from "./waiting.ts";

/** Messages removed per step. A sender waits for one step at most. */
const BATCH = 500;

export interface ChannelPruning {
  readonly channel: string;
  readonly messages: number;
  /** Not consumed by every reader of the channel. */
  readonly unconsumed: number;
}

export interface PruningProgress {
  readonly removed: number;
  readonly of: number;
  readonly channels: readonly ChannelPruning[];
  /** True in the last report only. */
  readonly done: boolean;
}

/** Removes old messages in small steps, while others send and read. A dry run only counts them. */
export async function* prune(
  bus: Bus,
  { channel, dryRun, ...criteria }: PruneCriteria & { channel: string | undefined; dryRun: boolean },
  signal: AbortSignal,
): AsyncGenerator<PruningProgress, void, void> {
  const names = channel === undefined ? await prunableChannels(bus) : [channel];
  const ranges = await Promise.all(
    names.map(async (name) => ({ name, ...(await bus.store.messages.prunable(name, criteria)) })),
  );
  const some = ranges.filter(({ count }) => count > 0);
  const channels = some.map(({ name, count, unconsumed }) => ({ channel: name, messages: count, unconsumed }));
  const of = some.reduce((sum, { count }) => sum + count, 0);
  let removed = 0;
  for (const { name, upTo, count } of dryRun ? [] : some) {
    for (let left = count; left > 0 && !signal.aborted; ) {
      const step = await bus.store.messages.remove(name, upTo, BATCH);
      // Another process removed the rest.
      if (step === 0) break;
      left -= step;
      removed += step;
      yield { removed, of, channels, done: false };
    }
  }
  yield { removed, of, channels, done: true };
}

/** All but the alarms, which are pruned only by name. */
async function prunableChannels(bus: Bus): Promise<string[]> {
  return (await bus.store.messages.channels())
    .map(({ channel }) => channel)
    .filter((name) => name !== SECURITY_CHANNEL);
}

const MAX_COMMANDS = 1_000;

/** Clears the bus, and wakes the waiters for what was removed. */
export async function reset(bus: Bus): Promise<ResetResult> {
  const { sessions, commands } = bus.store;
  const [connected, pending, leased] = await Promise.all([
    sessions.list(),
    commands.list({ status: "pending", limit: MAX_COMMANDS }),
    commands.list({ status: "leased", limit: MAX_COMMANDS }),
  ]);
  const result = await bus.store.reset(SECURITY_CHANNEL);
  const waiting = connected.map(({ id }) => commandsTopic(id));
  const asking = [...pending, ...leased].map(({ id }) => commandEndTopic(id));
  bus.notify([...waiting, ...asking]);
  return result;
}
