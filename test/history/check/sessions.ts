import { type Event, type History, type LeftOrder, ofKind } from "../events.ts";
import { grouped } from "./sends.ts";

/** Each command is done once, by one session at a time; signals show their last value; registered agents are there. */
export function sessionFaults(history: History): string[] {
  return [...orderFaults(history), ...signalFaults(history.events), ...registrationFaults(history)];
}

function orderFaults({ events, left }: History): string[] {
  const resets = ofKind(events, "reset");
  const there = new Map(left.orders.map((one) => [one.order, one]));
  const results = grouped(ofKind(events, "done"), ({ order }) => order);
  const offers = grouped(offersIn(events), ({ order }) => order);
  return ofKind(events, "ordered").flatMap(({ order, at, lease }) => {
    const found = there.get(order);
    const excused = resets.some((reset) => reset.at > at);
    const acknowledged = results.get(order) ?? [];
    const distinct = new Set(acknowledged.map(({ result }) => result));
    const given = (offers.get(order) ?? []).toSorted((one, other) => one.asked - other.asked);
    const firstEnd = acknowledged[0];
    return [
      ...(found === undefined && !excused ? [`order ${order} was acknowledged and is lost`] : []),
      ...(found !== undefined && !isOver(found) ? [`order ${order} is ${found.status}`] : []),
      ...(distinct.size > 1 ? [`order ${order} has ended as ${[...distinct].join(" and as ")}`] : []),
      ...(found !== undefined && firstEnd !== undefined && found.result !== firstEnd.result
        ? [`order ${order} has ended as ${firstEnd.result} and is ${found.result}`]
        : []),
      ...given.flatMap(({ who, asked }, index) => {
        const next = given[index + 1];
        if (next === undefined || next.at >= asked + lease) return [];
        return [`order ${order} was handed to ${who} and to ${next.who} at once`];
      }),
      ...given
        .filter(({ asked }) => firstEnd !== undefined && asked > firstEnd.at)
        .map(({ who }) => `order ${order} was handed to ${who} after its end`),
    ];
  });
}

/** After so many times that came to nothing an order is dead, and says so. */
const MAX_ATTEMPTS = 5;

function isOver({ status, attempts }: LeftOrder): boolean {
  return status === "acked" || (status === "dead" && attempts === MAX_ATTEMPTS);
}

/** Each order that came out of a wait, with when the wait began. */
function offersIn(events: readonly Event[]): { order: string; who: string; asked: number; at: number }[] {
  const asked = new Map<string, number>();
  return ofKind(events, "waited", "offered").flatMap((event) => {
    if (event.kind === "offered") {
      return [{ order: event.order, who: event.who, asked: asked.get(event.who) ?? 0, at: event.at }];
    }
    asked.set(event.who, event.at);
    return [];
  });
}

/** Of a signal that one process sets, a look sees the last value before it, or one that is on its way. */
function signalFaults(events: readonly Event[]): string[] {
  const resets = ofKind(events, "reset", "resetting");
  const own = grouped(ofKind(events, "setting", "set", "looking", "seen"), ({ signal }) => signal);
  return [...own].flatMap(([signal, group]) => {
    let setting = 0;
    let set = 0;
    const looks = new Map<string, { at: number; least: number }>();
    const faults: string[] = [];
    for (const event of group) {
      if (event.kind === "setting") setting = Math.max(setting, event.value);
      else if (event.kind === "set") set = Math.max(set, event.value);
      else if (event.kind === "looking") looks.set(event.who, { at: event.at, least: set });
      else {
        const { at, least } = looks.get(event.who) ?? { at: 0, least: 0 };
        const cleared = event.value === 0 && resets.some((reset) => reset.at < event.at);
        if (event.value > setting) faults.push(`signal ${signal} showed ${event.value}, which nobody had set`);
        if (event.value < least && !cleared) {
          faults.push(`signal ${signal} showed ${event.value} at ${at}, after ${least} was set`);
        }
      }
    }
    return faults;
  });
}

function registrationFaults({ events, left }: History): string[] {
  const there = new Map(left.agents.map(({ name, publicKey }) => [name, publicKey.trim()]));
  return ofKind(events, "registered")
    .filter(({ name, publicKey }) => there.get(name) !== publicKey.trim())
    .map(({ name }) => `${name} was registered and ${there.has(name) ? "has another key" : "is lost"}`);
}
