import type { Bus } from "./bus.ts";
import type { Watermark } from "./store.ts";

/** How far an agent has read a channel. */
export interface Reading extends Watermark {
  /** How many messages it hasn't consumed; MOST_UNREAD stands for that many or more. */
  readonly unread: number;
}

const MOST_UNREAD = 1_000;

/** Whoever watches the whole bus is told of so many at most, those that are furthest first. */
const MOST_READINGS = 1_000;

/** Those whose watermark isn't what it was when this was last asked. `upTo`: unread messages are counted up to this one. */
export function createReadings(bus: Bus): (upTo: number) => Promise<readonly Reading[]> {
  let known = new Map<string, number>();
  return async (upTo) => {
    const watermarks = await bus.store.messages.watermarks(MOST_READINGS);
    const moved = watermarks.filter((watermark) => known.get(keyOf(watermark)) !== watermark.lastId);
    known = new Map(watermarks.map((watermark) => [keyOf(watermark), watermark.lastId]));
    return Promise.all(moved.map((watermark) => readingOf(bus, watermark, upTo)));
  };
}

async function readingOf(bus: Bus, watermark: Watermark, upTo: number): Promise<Reading> {
  const { channel, lastId } = watermark;
  return { ...watermark, unread: await bus.store.messages.count(channel, lastId, upTo, MOST_UNREAD) };
}

/** No name holds a line feed. */
function keyOf({ channel, agent }: Watermark): string {
  return `${channel}\n${agent}`;
}
