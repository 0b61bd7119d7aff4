/** What somebody said, as text to be shown. No more of it is kept than anybody reads at once. */
export interface Said {
  readonly text: string;
  /** It was JSON that isn't just a text. */
  readonly json: boolean;
  /** How long all of it is, in characters. */
  readonly length: number;
}

const MAX_KEPT = 20_000;

/** JSON this short reads best without a line for each of its values. */
const SHORT = 400;

export function said(value: unknown, most = MAX_KEPT): Said {
  const json = typeof value !== "string";
  const text = typeof value === "string" ? value : laidOut(value);
  return { text: text.length > most ? wellFormed(text.slice(0, most)) : text, json, length: text.length };
}

function laidOut(value: unknown): string {
  const lines = JSON.stringify(value, null, 2) ?? "";
  if (lines.length > 2 * SHORT) return lines;
  // A line feed inside a text of it is written \n there, so these are all between its values.
  const line = lines
    .replace(/([[{])\n +/g, "$1")
    .replace(/\n *([\]}])/g, "$1")
    .replace(/\n +/g, " ");
  return line.length <= SHORT ? line : lines;
}

/** The beginning, on one line. */
export function preview({ text }: Said, most = 160): string {
  const start = text
    .slice(0, most * 2)
    .replace(/\s+/g, " ")
    .trim();
  return start.length > most || text.length > most * 2 ? `${wellFormed(start.slice(0, most))}…` : start;
}

/** A cut between the two halves of a character leaves neither. */
export function wellFormed(text: string): string {
  return /[\ud800-\udbff]$/.test(text) ? text.slice(0, -1) : text;
}

/** What came from a server, read with care: whatever isn't there as it should be is empty. */
export type Fields = Readonly<Record<string, unknown>>;

export function fieldsOf(value: unknown): Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {};
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

export function nullableTextOf(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

export function numberOf(value: unknown): number {
  return typeof value === "number" && Number.isFinite(value) ? value : 0;
}

export function nullableNumberOf(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

export interface Peer {
  readonly id: string;
  readonly role: string;
  readonly capabilities: readonly string[];
  readonly gone: boolean;
  readonly waitsFor: string | null;
  readonly agent: string | null;
  readonly lastSeen: number;
}

export function peerOf(value: unknown): Peer {
  const peer = fieldsOf(value);
  return {
    id: textOf(peer.id),
    role: textOf(peer.role),
    capabilities: listOf(peer.capabilities).map(textOf),
    gone: peer.status === "gone",
    waitsFor: nullableTextOf(peer.waiting_for),
    agent: nullableTextOf(peer.agent),
    lastSeen: numberOf(peer.last_seen),
  };
}

export type CommandStatus = "pending" | "leased" | "acked" | "failed" | "dead" | "expired";

const STATUSES: readonly CommandStatus[] = ["pending", "leased", "acked", "failed", "dead", "expired"];

export interface Command {
  readonly id: string;
  /** It tells its target how another one ended. */
  readonly response: boolean;
  readonly from: string;
  readonly target: string;
  readonly role: string;
  readonly action: string;
  readonly params: Said;
  readonly result: Said | undefined;
  readonly status: CommandStatus;
  readonly attempts: number;
  readonly holder: string | null;
  readonly ts: number;
  readonly endedAt: number | null;
}

export function commandOf(value: unknown): Command {
  const command = fieldsOf(value);
  const { result = null } = command;
  return {
    id: textOf(command.id),
    response: command.kind === "command_response",
    from: textOf(command.fromId) || textOf(command.from),
    target: textOf(command.target),
    role: textOf(command.targetRole),
    action: textOf(command.action),
    params: said(command.params ?? null),
    result: result === null ? undefined : said(result),
    status: STATUSES.find((status) => status === command.status) ?? "pending",
    attempts: numberOf(command.attempts),
    holder: nullableTextOf(command.holder),
    ts: numberOf(command.ts),
    endedAt: nullableNumberOf(command.ackedAt),
  };
}

export interface Signal {
  readonly name: string;
  readonly from: string;
  readonly ts: number;
  readonly data: Said;
}

export function signalOf(value: unknown): Signal {
  const signal = fieldsOf(value);
  return {
    name: textOf(signal.name),
    from: textOf(signal.from),
    ts: numberOf(signal.ts),
    data: said(signal.data ?? null),
  };
}

export type Proof = "verified" | "attested";

const PROOFS: readonly Proof[] = ["verified", "attested"];

export interface Message {
  readonly id: number;
  readonly channel: string;
  readonly from: string;
  readonly ts: number;
  readonly data: Said;
  /** What shows that it is its sender's: a signature that the bus has checked, or a token that it was shown. */
  readonly proof: Proof | undefined;
}

export function messageOf(value: unknown): Message {
  const message = fieldsOf(value);
  return {
    id: numberOf(message.id),
    channel: textOf(message.channel),
    from: textOf(message.from),
    ts: numberOf(message.ts),
    data: said(message.data),
    proof: PROOFS.find((proof) => proof === message.proof),
  };
}

export interface Channel {
  readonly name: string;
  readonly count: number;
  readonly lastAt: number;
}

export function channelOf(value: unknown): Channel {
  const channel = fieldsOf(value);
  return { name: textOf(channel.channel), count: numberOf(channel.count), lastAt: numberOf(channel.last_message) };
}

/** How far an agent has read a channel. */
export interface Reading {
  readonly channel: string;
  readonly agent: string;
  readonly lastId: number;
  readonly unread: number;
}

export function readingOf(value: unknown): Reading {
  const reading = fieldsOf(value);
  return {
    channel: textOf(reading.channel),
    agent: textOf(reading.agent),
    lastId: numberOf(reading.last_id),
    unread: numberOf(reading.unread),
  };
}
