import { type Event, type History, isMailbox, ofKind } from "../events.ts";
import { type Fate, fates, grouped } from "./sends.ts";

/** How long what a mailbox has handed out is nobody else's. */
const MAILBOX_LEASE_MS = 10_000;

type Printed = Extract<Event, { kind: "printed" }>;

/** The output of one read, fetch or stream. */
interface Batch {
  readonly who: string;
  readonly asked: number;
  readonly prints: Printed[];
}

/** All that was read in a channel under one name. */
interface Reading {
  readonly agent: string;
  readonly channel: string;
  readonly batches: readonly Batch[];
  readonly settled: readonly { readonly at: number; readonly id: number }[];
  /** From and to when each of those who read under that name did. */
  readonly lives: readonly { readonly who: string; readonly from: number; readonly to: number }[];
}

interface Known {
  readonly id: number;
  readonly key: string;
  readonly fate: Fate;
}

/** Every agent got every message, in order, none again once the bus had said that it has it, and none after a reset. */
export function readingFaults(history: History): string[] {
  const fate = fates(history);
  const known = knownByChannel(history, fate);
  const readings = readingsIn(history.events);
  return readings.flatMap((reading) => {
    const there = known.get(reading.channel) ?? [];
    const rules = isMailbox(reading.channel) ? [handedToTwo(history.events)] : [skipped, wentBack(history)];
    return [identity, lost, swapped, cameAgain, afterReset(history.events), ...rules].flatMap((rule) =>
      rule(reading, there).map((fault) => `${reading.agent} in ${reading.channel}: ${fault}`),
    );
  });
}

type Rule = (reading: Reading, there: readonly Known[]) => readonly string[];

const identity: Rule = ({ batches }, there) => {
  const keys = new Map(there.map(({ id, key }) => [id, key]));
  return batches
    .flatMap(({ prints }) => prints)
    .filter(({ id, key }) => keys.get(id) !== key)
    .map(({ id, key }) => `${id} is ${key} for its reader and ${keys.get(id)} for its sender`);
};

const lost: Rule = ({ batches }, there) => {
  const got = new Set(batches.flatMap(({ prints }) => prints.map(({ id }) => id)));
  return there
    .filter(({ id, fate }) => !got.has(id) && fate.gone !== "reset")
    .map(({ id, key }) => `never got ${id} (${key})`);
};

const swapped: Rule = ({ batches }) =>
  batches.flatMap(({ who, prints }) =>
    prints.flatMap(({ id }, index) => {
      const before = prints[index - 1]?.id ?? 0;
      return id > before ? [] : [`${who} got ${id} behind ${before}`];
    }),
  );

const cameAgain: Rule = ({ channel, batches, settled }) =>
  batches.flatMap(({ who, asked, prints }) => {
    const before = settled.filter(({ at }) => at < asked).map(({ id }) => id);
    const highest = Math.max(0, ...before);
    return prints
      .filter(({ id }) => (isMailbox(channel) ? before.includes(id) : id <= highest))
      .map(({ id }) => `${who} got ${id} again, after it was settled`);
  });

/** Nothing lies unread between two messages of one answer, nor before it where nobody else reads under that name. */
const skipped: Rule = ({ batches, lives }, there) => {
  const printedAt = new Map<number, number>();
  for (const { id, at } of batches.flatMap(({ prints }) => prints)) {
    printedAt.set(id, Math.min(at, printedAt.get(id) ?? at));
  }
  return batches.flatMap(({ who, asked, prints }) => {
    const [first] = prints;
    const last = prints.at(-1);
    if (first === undefined || last === undefined) return [];
    const got = new Set(prints.map(({ id }) => id));
    const alone = !lives.some((life) => life.who !== who && life.from < first.at && life.to > asked);
    return there
      .filter(({ id, fate }) => {
        if (got.has(id) || fate.gone === "reset") return false;
        if (id > first.id) return id < last.id;
        return alone && (printedAt.get(id) ?? Number.POSITIVE_INFINITY) > first.at;
      })
      .map(({ id }) => `${who} got ${id < first.id ? first.id : last.id} and not ${id} before it`);
  });
};

const wentBack =
  ({ left }: History): Rule =>
  ({ agent, channel, settled }) => {
    const last = left.watermarks.find((mark) => mark.agent === agent && mark.channel === channel)?.id ?? 0;
    return settled.filter(({ id }) => id > last).map(({ id }) => `the watermark was at ${id} and is at ${last}`);
  };

const afterReset =
  (events: readonly Event[]): Rule =>
  ({ batches }, there) => {
    const resets = resetsIn(events);
    const fateOf = new Map(there.map(({ id, fate }) => [id, fate]));
    return batches.flatMap(({ who, asked, prints }) =>
      prints
        .filter(({ id }) =>
          resets.some(({ from, to }) => to < asked && fateOf.get(id)?.acknowledged.some(({ at }) => at < from)),
        )
        .map(({ id }) => `${who} got ${id} after the reset that removed it`),
    );
  };

const handedToTwo =
  (events: readonly Event[]): Rule =>
  ({ batches }) => {
    const passed = ofKind(events, "passed");
    const hands = grouped(
      batches.flatMap(({ who, asked, prints }) => prints.map(({ id, at }) => ({ who, asked, at, id: String(id) }))),
      ({ id }) => id,
    );
    return [...hands].flatMap(([id, given]) => {
      const inTurn = given.toSorted((one, other) => one.asked - other.asked);
      return inTurn.flatMap(({ who, asked }, index) => {
        const next = inTurn[index + 1];
        if (next === undefined || next.at >= asked + MAILBOX_LEASE_MS) return [];
        if (passed.some(({ at }) => at > asked && at < next.at)) return [];
        return [`${id} was handed to ${who} and to ${next.who} at once`];
      });
    });
  };

/** When each reset that was acknowledged began and ended. */
function resetsIn(events: readonly Event[]): { from: number; to: number }[] {
  const begun = ofKind(events, "resetting");
  return ofKind(events, "reset").flatMap(({ who, at, done }) => {
    const from = begun.findLast((event) => event.who === who && event.at < at)?.at;
    return done && from !== undefined ? [{ from, to: at }] : [];
  });
}

/** The messages of each channel whose ids anybody knows, and that must have been there. */
function knownByChannel(history: History, fate: ReadonlyMap<string, Fate>): ReadonlyMap<string, Known[]> {
  const all = [...fate.values()].flatMap((one) => {
    const id = one.acknowledged[0]?.id ?? one.stored[0];
    return id === undefined ? [] : [{ id, key: one.key, fate: one, channel: one.channel }];
  });
  const ids = new Set(all.map(({ id }) => id));
  // Of a send without an answer a reader may be the only one to know, where it was removed again.
  const printed = new Map(ofKind(history.events, "printed").map((event) => [event.id, event]));
  const told = [...printed.values()].flatMap(({ id, key, channel }) => {
    const one = fate.get(key);
    return ids.has(id) || one === undefined || one.gone === undefined ? [] : [{ id, key, fate: one, channel }];
  });
  return grouped(
    [...all, ...told].toSorted((one, other) => one.id - other.id),
    ({ channel }) => channel,
  );
}

function readingsIn(events: readonly Event[]): Reading[] {
  const own = grouped(
    ofKind(events, "asked", "printed", "settled", "ended"),
    ({ agent, channel }) => `${agent}\n${channel}`,
  );
  return [...own].map(([name, group]) => {
    const [agent = "", channel = ""] = name.split("\n");
    const settled = group.flatMap((event) => (event.kind === "settled" ? [event] : []));
    const lives = [...grouped(group, ({ who }) => who)].map(([who, life]) => {
      const ended = life.some(({ kind }) => kind === "ended");
      return { who, from: life[0]?.at ?? 0, to: ended ? (life.at(-1)?.at ?? 0) : Number.POSITIVE_INFINITY };
    });
    return { agent, channel, batches: batchesIn(group), settled, lives };
  });
}

function batchesIn(events: readonly Event[]): Batch[] {
  const batches: Batch[] = [];
  const current = new Map<string, Batch>();
  for (const event of events) {
    if (event.kind === "asked") {
      const batch: Batch = { who: event.who, asked: event.at, prints: [] };
      current.set(event.who, batch);
      batches.push(batch);
    } else if (event.kind === "printed") current.get(event.who)?.prints.push(event);
  }
  return batches;
}
