import type { Changes } from "./changes.ts";
import { preview } from "./said.ts";
import type { Told } from "./state.ts";
import { type Command, commandOf, messageOf, type Peer, peerOf, signalOf } from "./things.ts";

export const KINDS = ["message", "command", "signal", "peer"] as const;

export type Kind = (typeof KINDS)[number];

/** One thing that happened, as a line. */
export interface Entry {
  readonly key: number;
  readonly ts: number;
  readonly kind: Kind;
  /** Whose doing it was. */
  readonly who: string;
  readonly what: string;
  /** What was said with it. */
  readonly detail: string;
}

/** What has happened lately, the newest last. */
export interface Activity {
  readonly entries: readonly Entry[];
  /** How many there have been in all. */
  readonly total: number;
  add(told: Told): void;
  /** Puts what was before in front. */
  recall(told: readonly Told[]): void;
}

const MOST_ENTRIES = 2_000;

export function createActivity(changes: Changes): Activity {
  let entries: Entry[] = [];
  let total = 0;
  return {
    get entries() {
      return entries;
    },
    get total() {
      return total;
    },
    add(told) {
      const line = lineOf(told);
      if (line === undefined) return;
      total++;
      // A list of its own each time it is cut: whoever shows a paused one keeps what it has.
      if (entries.length >= MOST_ENTRIES * 1.5) entries = entries.slice(-MOST_ENTRIES);
      entries.push({ key: total, ts: told.ts, ...line });
      changes.touch("activity");
    },
    recall(told) {
      const lines = told.flatMap((before, index) => {
        const line = lineOf(before);
        return line === undefined ? [] : [{ key: index - told.length, ts: before.ts, ...line }];
      });
      entries = [...lines, ...entries];
      changes.touch("activity");
    },
  };
}

type Line = Omit<Entry, "key" | "ts">;

function lineOf({ type, data }: Told): Line | undefined {
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

const COMMAND_ACTS: Readonly<Record<string, string>> = {
  pending: "sent to",
  leased: "taken by",
  acked: "acknowledged by",
  failed: "failed at",
  dead: "given up for",
  expired: "expired for",
};

function commandLine(status: string, command: Command): Line {
  const { from, target, action, holder, params, result, response } = command;
  const whom = status === "pending" ? target : (holder ?? target);
  const words = response && status === "pending" ? "answered to" : (COMMAND_ACTS[status] ?? status);
  const content = status === "acked" || status === "failed" ? result : params;
  const detail = content === undefined ? "" : preview(content);
  return { kind: "command", who: from, what: `${action} ${words} ${whom}`, detail };
}

const PEER_ACTS: Readonly<Record<string, string>> = {
  connected: "connected",
  changed_role: "changed its role",
  waits: "waits",
  works: "stopped waiting",
  left: "left",
};

function peerLine(what: string, { id, role, waitsFor }: Peer): Line | undefined {
  const act = PEER_ACTS[what];
  if (act === undefined) return undefined;
  const known = role === "" ? "" : ` as ${role}`;
  const acted = what === "waits" && waitsFor !== null ? `waits for ${waitsFor}` : act;
  return {
    kind: "peer",
    who: id,
    what: what === "left" ? acted : `${acted}${what === "waits" ? "" : known}`,
    detail: "",
  };
}
