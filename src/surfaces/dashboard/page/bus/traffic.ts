import type { Changes } from "./changes.ts";
import type { Client } from "./connection.ts";
import { type Command, fieldsOf, listOf, type Message, numberOf, textOf } from "./records.ts";

export interface Flow {
  readonly from: string;
  readonly channel: string;
  readonly count: number;
}

export interface CommandTime {
  readonly id: string;
  readonly action: string;
  readonly endedAt: number;
  /** Seconds from sending to taking, where that was seen. */
  readonly untilTaken: number | undefined;
  readonly untilEnded: number;
}

/** Counts of the last hour's messages, and the times of commands, for the charts. */
export interface Traffic {
  /** Messages by the start of their minute, in seconds since 1970. */
  readonly minutes: ReadonlyMap<number, number>;
  readonly flows: ReadonlyMap<string, Flow>;
  readonly waits: readonly CommandTime[];
  load(): Promise<void>;
  addMessage(message: Message): void;
  addCommand(command: Command, at: number): void;
  clear(): void;
}

export const MINUTES = 60;

const MAX_WAITS = 2_000;
const MAX_FLOWS = 2_000;

export function createTraffic({ ask }: Client, changes: Changes): Traffic {
  const minutes = new Map<number, number>();
  const flows = new Map<string, Flow>();
  const taken = new Map<string, number>();
  const ended = new Set<string>();
  let waits: CommandTime[] = [];
  let counted = Number.POSITIVE_INFINITY;
  /** Messages received while `load` waits for the server. */
  let meanwhile: Message[] = [];

  const count = ({ ts, from, channel }: Message): void => {
    const minute = Math.floor(ts / 60) * 60;
    minutes.set(minute, (minutes.get(minute) ?? 0) + 1);
    for (const old of minutes.keys()) if (old < minute - 2 * MINUTES * 60) minutes.delete(old);
    const key = `${from}\n${channel}`;
    const known = flows.get(key);
    if (known === undefined && flows.size >= MAX_FLOWS) return;
    flows.set(key, { from, channel, count: (known?.count ?? 0) + 1 });
  };

  return {
    minutes,
    flows,
    get waits() {
      return waits;
    },
    async load() {
      counted = Number.POSITIVE_INFINITY;
      meanwhile = [];
      const traffic = fieldsOf(await ask("traffic", { minutes: MINUTES }).catch(() => undefined));
      minutes.clear();
      flows.clear();
      counted = numberOf(traffic.up_to);
      for (const { ts, count } of listOf(traffic.minutes).map(fieldsOf)) minutes.set(numberOf(ts), numberOf(count));
      for (const flow of listOf(traffic.flows).map(flowOf)) flows.set(`${flow.from}\n${flow.channel}`, flow);
      for (const message of meanwhile) if (message.id > counted) count(message);
      meanwhile = [];
      changes.touch("traffic");
    },
    addMessage(message) {
      if (counted === Number.POSITIVE_INFINITY) meanwhile.push(message);
      else if (message.id > counted) count(message);
      changes.touch("traffic");
    },
    addCommand({ id, action, status, response, ts, endedAt }, at) {
      if (response) return;
      if (status === "leased" && !taken.has(id)) taken.set(id, Math.max(0, at - ts));
      if ((status !== "acked" && status !== "failed") || endedAt === null || ended.has(id)) return;
      ended.add(id);
      waits.push({ id, action, endedAt, untilTaken: taken.get(id), untilEnded: Math.max(0, endedAt - ts) });
      taken.delete(id);
      if (waits.length > MAX_WAITS * 1.5) {
        for (const { id: old } of waits.slice(0, -MAX_WAITS)) ended.delete(old);
        waits = waits.slice(-MAX_WAITS);
      }
      changes.touch("traffic");
    },
    clear() {
      for (const known of [minutes, flows, taken, ended]) known.clear();
      waits = [];
      changes.touch("traffic");
    },
  };
}

function flowOf(value: unknown): Flow {
  const flow = fieldsOf(value);
  return { from: textOf(flow.from), channel: textOf(flow.channel), count: numberOf(flow.count) };
}
