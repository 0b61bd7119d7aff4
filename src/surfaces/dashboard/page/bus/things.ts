import { type Said, said } from "./said.ts";
import { fieldsOf, listOf, nullableNumberOf, nullableTextOf, numberOf, textOf } from "./values.ts";

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
