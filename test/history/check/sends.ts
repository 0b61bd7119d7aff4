import { type Event, type History, ofKind } from "../events.ts";

/** All that is known of one message, by what its sender, its readers and the store say. */
export interface Fate {
  readonly key: string;
  readonly channel: string;
  readonly invokedAt: readonly number[];
  readonly acknowledged: readonly { readonly at: number; readonly id: number }[];
  readonly refused: number;
  readonly stored: readonly number[];
  /** Why it needn't be there, and nobody needs to have got it. */
  readonly gone: "pruned" | "reset" | undefined;
}

/** The outcome of each attempted send, by its key. */
export function fates({ events, left }: History): ReadonlyMap<string, Fate> {
  const stored = grouped(left.messages, ({ key }) => key);
  const acknowledged = grouped(ofKind(events, "acknowledged"), ({ key }) => key);
  const refused = grouped(ofKind(events, "refused"), ({ key }) => key);
  const invoked = grouped(ofKind(events, "invoked"), ({ key }) => key);
  const prunings = ofKind(events, "pruned");
  const resets = ofKind(events, "reset");
  const fate = ([key, tries]: [string, readonly { readonly at: number; readonly channel: string }[]]): Fate => {
    const { channel = "", at: begun = 0 } = tries[0] ?? {};
    const wasReset = resets.some(({ at }) => at > begun);
    // Also what was sent, and read by all, after a pruning began: it looks when its program has started.
    const wasPruned = prunings.some((pruned) => pruned.channel === channel && pruned.at > begun);
    return {
      key,
      channel,
      invokedAt: tries.map(({ at }) => at),
      acknowledged: acknowledged.get(key) ?? [],
      refused: refused.get(key)?.length ?? 0,
      stored: (stored.get(key) ?? []).map(({ id }) => id),
      gone: wasReset ? "reset" : wasPruned ? "pruned" : undefined,
    };
  };
  return new Map([...invoked].map((entry) => [entry[0], fate(entry)]));
}

/** The store holds what was sent: nothing acknowledged is lost, nothing is there twice, and ids grow as answers came. */
export function sendFaults(history: History): string[] {
  const known = fates(history);
  return [
    ...history.left.messages
      .filter(({ key }) => !known.has(key))
      .map(({ id, key }) => `message ${id} (${key}) is there, and nobody sent it`),
    ...[...known.values()].flatMap(faultsOf),
    ...orderFaults(history.events),
  ];
}

function faultsOf({ key, invokedAt, acknowledged, refused, stored, gone }: Fate): string[] {
  const ids = new Set([...acknowledged.map(({ id }) => id), ...stored]);
  const [first] = acknowledged;
  return [
    ...(stored.length > 1 ? [`${key} is there twice, as ${stored.join(" and ")}`] : []),
    ...(stored.length < 2 && ids.size > 1
      ? [`${key} was acknowledged as one message and is another: ${[...ids]}`]
      : []),
    ...(first !== undefined && stored.length === 0 && gone === undefined
      ? [`${key} was acknowledged as ${first.id} and is lost`]
      : []),
    ...(stored.length > 0 && acknowledged.length === 0 && refused === invokedAt.length
      ? [`${key} was refused and is there, as ${stored[0]}`]
      : []),
  ];
}

/** A send that begins after the answer to another gets a higher id. */
function orderFaults(events: readonly Event[]): string[] {
  const begun = new Map<string, number>();
  let highest = 0;
  const faults: string[] = [];
  for (const event of ofKind(events, "invoked", "acknowledged")) {
    if (event.kind === "invoked") {
      // Of one that is sent again the first try may be the one that counts.
      if (!begun.has(event.key)) begun.set(event.key, highest);
      continue;
    }
    const before = begun.get(event.key) ?? 0;
    if (event.id <= before) faults.push(`${event.key} got ${event.id}, though ${before} had been given out before`);
    highest = Math.max(highest, event.id);
  }
  return faults;
}

export function grouped<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group === undefined) groups.set(keyOf(item), [item]);
    else group.push(item);
  }
  return groups;
}
