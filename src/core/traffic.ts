import { maySee } from "./access.ts";
import type { Bus } from "./bus.ts";
import type { Identity } from "./caller.ts";
import type { Envelope } from "./store.ts";

export interface MinuteCount {
  /** When the minute begins, in seconds since 1970. */
  readonly ts: number;
  readonly count: number;
}

export interface Flow {
  readonly from: string;
  readonly channel: string;
  readonly count: number;
}

/** How much was sent in the last minutes, and by whom to where. */
export interface Traffic {
  /** The newest message that is counted. */
  readonly up_to: number;
  /** Only minutes with messages, oldest first. */
  readonly minutes: readonly MinuteCount[];
  /** The largest first. */
  readonly flows: readonly Flow[];
}

/** More than these would say no more in a picture. */
const MOST_MESSAGES = 20_000;
const MOST_FLOWS = 500;

/** Of the channels that whoever asks may see. */
export async function trafficOf(bus: Bus, minutes: number, asker: Identity | undefined): Promise<Traffic> {
  const upTo = await bus.store.messages.lastId();
  const envelopes = await bus.store.messages.recent(bus.now() - minutes * 60, MOST_MESSAGES);
  const counted = envelopes.filter(({ id, channel }) => id <= upTo && maySee(channel, asker));
  return { up_to: upTo, minutes: byMinute(counted), flows: byFlow(counted) };
}

function byMinute(envelopes: readonly Envelope[]): readonly MinuteCount[] {
  const counts = new Map<number, number>();
  for (const { timestamp } of envelopes) {
    const minute = Math.floor(timestamp / 60) * 60;
    counts.set(minute, (counts.get(minute) ?? 0) + 1);
  }
  return [...counts].map(([ts, count]) => ({ ts, count })).sort((a, b) => a.ts - b.ts);
}

function byFlow(envelopes: readonly Envelope[]): readonly Flow[] {
  const flows = new Map<string, Flow>();
  for (const { sender, channel } of envelopes) {
    const key = `${sender}\n${channel}`;
    flows.set(key, { from: sender, channel, count: (flows.get(key)?.count ?? 0) + 1 });
  }
  return [...flows.values()].sort((a, b) => b.count - a.count).slice(0, MOST_FLOWS);
}
