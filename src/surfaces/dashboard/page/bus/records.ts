/** The payload of a message, command or signal as text. Only its beginning is kept. */
export interface Payload {
  readonly text: string;
  /** Whether it is JSON other than a string. */
  readonly json: boolean;
  /** In characters, of the whole payload. */
  readonly length: number;
}

const MAX_KEPT = 20_000;

/** JSON up to this length is written on one line. */
const SHORT = 400;

export function payloadOf(value: unknown, limit = MAX_KEPT): Payload {
  const json = typeof value !== "string";
  const text = typeof value === "string" ? value : formatJson(value);
  return { text: text.length > limit ? wellFormed(text.slice(0, limit)) : text, json, length: text.length };
}

function formatJson(value: unknown): string {
  const lines = JSON.stringify(value, null, 2) ?? "";
  if (lines.length > 2 * SHORT) return lines;
  // JSON escapes line feeds in strings, so these are all between values.
  const line = lines
    .replace(/([[{])\n +/g, "$1")
    .replace(/\n *([\]}])/g, "$1")
    .replace(/\n +/g, " ");
  return line.length <= SHORT ? line : lines;
}

export function preview({ text }: Payload, most = 160): string {
  const start = text
    .slice(0, most * 2)
    .replace(/\s+/g, " ")
    .trim();
  return start.length > most || text.length > most * 2 ? `${wellFormed(start.slice(0, most))}…` : start;
}

/** Removes half a surrogate pair left at the end by a cut. */
export function wellFormed(text: string): string {
  return /[\ud800-\udbff]$/.test(text) ? text.slice(0, -1) : text;
}

/** An object from the server. The functions below read a missing or wrong field as empty. */
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

const STATUSES = ["pending", "leased", "acked", "failed", "dead", "expired"] as const;

export type CommandStatus = (typeof STATUSES)[number];

export interface Command {
  readonly id: string;
  /** Whether it reports the end of another command. */
  readonly response: boolean;
  readonly from: string;
  readonly target: string;
  readonly role: string;
  readonly action: string;
  readonly params: Payload;
  readonly result: Payload | undefined;
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
    params: payloadOf(command.params ?? null),
    result: result === null ? undefined : payloadOf(result),
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
  readonly data: Payload;
}

export function signalOf(value: unknown): Signal {
  const signal = fieldsOf(value);
  return {
    name: textOf(signal.name),
    from: textOf(signal.from),
    ts: numberOf(signal.ts),
    data: payloadOf(signal.data ?? null),
  };
}

const PROOFS = ["verified", "attested"] as const;

export interface Message {
  readonly id: number;
  readonly channel: string;
  readonly from: string;
  readonly ts: number;
  readonly data: Payload;
  /** How the sender proved its identity: by a signature, or by a token. */
  readonly proof: (typeof PROOFS)[number] | undefined;
}

export function messageOf(value: unknown): Message {
  const message = fieldsOf(value);
  return {
    id: numberOf(message.id),
    channel: textOf(message.channel),
    from: textOf(message.from),
    ts: numberOf(message.ts),
    data: payloadOf(message.data),
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
