import type { Changes } from "./changes.ts";
import { type Command, commandOf, messageOf, type Peer, peerOf, preview, signalOf } from "./records.ts";
import type { BusEvent } from "./state.ts";

export const KINDS = ["message", "command", "signal", "peer"] as const;

export type Kind = (typeof KINDS)[number];

export interface Entry {
  readonly key: number;
  readonly ts: number;
  readonly kind: Kind;
  readonly who: string;
  readonly what: string;
  readonly detail: string;
}

/** The latest events, newest last. */
export interface Activity {
  readonly entries: readonly Entry[];
  readonly total: number;
  add(event: BusEvent): void;
  prepend(events: readonly BusEvent[]): void;
}

const MAX_ENTRIES = 2_000;

export function createActivity(changes: Changes): Activity {
  const activity: Activity & { entries: Entry[]; total: number } = {
    entries: [],
    total: 0,
    add(event) {
      const line = lineOf(event);
      if (line === undefined) return;
      activity.total++;
      // Cutting makes a new list, so a paused view keeps its own.
      if (activity.entries.length >= MAX_ENTRIES * 1.5) activity.entries = activity.entries.slice(-MAX_ENTRIES);
      activity.entries.push({ key: activity.total, ts: event.ts, ...line });
      changes.touch("activity");
    },
    prepend(events) {
      const lines = events.flatMap((event, index) => {
        const line = lineOf(event);
        return line === undefined ? [] : [{ key: index - events.length, ts: event.ts, ...line }];
      });
      activity.entries = [...lines, ...activity.entries];
      changes.touch("activity");
    },
  };
  return activity;
}

type Line = Omit<Entry, "key" | "ts">;

function lineOf({ type, data }: BusEvent): Line | undefined {
  const [kind = "", ...rest] = type.split("_");
  const what = rest.join("_");
  if (kind === "message") {
    const { channel, from, data: content } = messageOf(data);
    return { kind: "message", who: from, what: `to ${channel}`, detail: preview(content) };
  }
  if (kind === "command") return commandLine(what, commandOf(data));
  if (kind === "signal") {
    const { name, from, data: content } = signalOf(data);
    return { kind: "signal", who: from, what: `${what} ${name}`, detail: what === "set" ? preview(content) : "" };
  }
  return kind === "peer" ? peerLine(what, peerOf(data)) : undefined;
}

const HOLDERS_ACTS: Readonly<Record<string, string>> = {
  leased: "took",
  acked: "acknowledged",
  failed: "failed at",
};

function commandLine(status: string, { from, target, action, holder, params, result, response }: Command): Line {
  const ended = status === "acked" || status === "failed" ? result : undefined;
  const content = ended ?? (status === "pending" ? params : undefined);
  const detail = content === undefined || content.text === "{}" ? "" : preview(content);
  const act = HOLDERS_ACTS[status];
  if (act !== undefined) return { kind: "command", who: holder ?? target, what: `${act} ${action}`, detail };
  const sent = response ? "answered" : "sent";
  const what = status === "pending" ? `${sent} ${action} to ${target}` : `${action} to ${target} is ${status}`;
  return { kind: "command", who: from, what, detail };
}

const PEER_ACTS: Readonly<Record<string, readonly [string, string]>> = {
  connected: ["connected", " as "],
  changed_role: ["changed its role", " to "],
  waits: ["waits", " for "],
  works: ["stopped waiting", ""],
  left: ["left", ""],
};

function peerLine(what: string, { id, role, waitsFor }: Peer): Line | undefined {
  const known = PEER_ACTS[what];
  if (known === undefined) return undefined;
  const [act, joint] = known;
  const rest = what === "waits" ? (waitsFor ?? "") : role;
  return { kind: "peer", who: id, what: joint === "" || rest === "" ? act : `${act}${joint}${rest}`, detail: "" };
}
