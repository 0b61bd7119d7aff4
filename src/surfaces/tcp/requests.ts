import { invalid } from "../../core/errors.ts";
import { MAX_WAIT_SECONDS } from "../../core/limits.ts";
import type { MailboxSummary } from "../../core/mailboxes.ts";
import type { Message } from "../../core/messages.ts";
import { arrivedMessages, fetchMail, listMailboxes, postMail, waitMail } from "../../operations/mailboxes.ts";
import { type AnswerTo, type Operation, parseRequest, type Request } from "../../operations/operation.ts";
import { findRequest } from "../../server/deliver.ts";

/** A line's request, and how its answer becomes a line. */
export interface LineRequest {
  readonly request: Request;
  /** The fields of the answer's line. */
  show(answer: unknown): object;
  /** The mailbox that the request waits for. */
  readonly waitsFor?: string;
}

export type Line = Readonly<Record<string, unknown>>;

export interface Mailroom {
  /** The server's name, for clients that know more than the original's. */
  readonly product: string;
  /** How many wait for each mailbox here. */
  readonly awaited: ReadonlyMap<string, number>;
}

/** The sign of a broker, as opposed to another program on its port. */
export const IDENTITY = "agent-tool-ipc-broker";

const WAIT_SECONDS = 60;

/** The sender of a post without a name. */
const NOBODY = "anonymous";

type Reading = (line: Line, self: string | undefined, mailroom: Mailroom) => LineRequest;

/** Types `show` by the operation's answer. */
function lineRequest<O extends Operation>(
  operation: O,
  input: Line,
  show: (answer: AnswerTo<O>) => object,
): LineRequest {
  return { request: parseRequest(operation, input), show };
}

/** The requests of the original, by `op`, with its names. */
const originals: Readonly<Record<string, Reading>> = {
  post: (line, self, { awaited }) => {
    need(line, "to", "msg");
    const { to, from, msg, signature, v, aud, nonce, ts } = line;
    const info = awaited.has(String(to)) ? "delivered to waiter" : "queued";
    const input = { to, from: from || self || NOBODY, message: msg, signature, v, aud, nonce, ts };
    return lineRequest(postMail, input, ({ id }) => ({ info, message_id: id }));
  },
  fetch: (line) => {
    need(line, "mailbox");
    const { mailbox, ack } = line;
    return lineRequest(fetchMail, { mailbox, ack }, ({ messages }) => ({ messages: messages.map(asOriginal) }));
  },
  wait: (line) => {
    need(line, "mailbox");
    const { mailbox, timeout, ack } = line;
    const seconds = Math.min(secondsIn(timeout), MAX_WAIT_SECONDS);
    const error = `wait timed out after ${seconds}s -- no message in mailbox ${JSON.stringify(mailbox)}`;
    const wait = lineRequest(waitMail, { mailbox, timeout: seconds, ack }, (answer) =>
      answer === null ? { ok: false, error } : { message: asOriginal(answer.message) },
    );
    return { ...wait, waitsFor: String(mailbox) };
  },
  settle: ({ mailbox, ids }) => lineRequest(arrivedMessages, { mailbox, ids }, () => ({})),
  status: (_, __, { product, awaited }) =>
    lineRequest(listMailboxes, {}, ({ mailboxes }) => ({
      info: IDENTITY,
      server: product,
      mailboxes: countMail(mailboxes, awaited),
    })),
};

/** Reads a line: `op` is a request of the original, `ask` any operation that a network may ask for. */
export function requestIn(
  line: Line,
  operations: readonly Operation[],
  self: string | undefined,
  mailroom: Mailroom,
): LineRequest {
  const { op, ask } = line;
  if (ask !== undefined) {
    const request = findRequest(operations, ask, line.input);
    const waiting = request.operation === waitMail ? { waitsFor: String(request.input.mailbox) } : {};
    return { request, ...waiting, show: (answer) => ({ answer }) };
  }
  const reading = typeof op === "string" && Object.hasOwn(originals, op) ? originals[op] : undefined;
  if (reading !== undefined) return reading(line, self, mailroom);
  throw invalid(`unknown op ${JSON.stringify(op ?? "")} (use: post, fetch, wait, status)`);
}

export function isLine(value: unknown): value is Line {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function need(line: Line, ...names: readonly string[]): void {
  for (const name of names) {
    const value = line[name];
    if (value === undefined || value === null || value === "") throw invalid(`${name} is required`);
  }
}

function secondsIn(timeout: unknown): number {
  const seconds = Number(timeout ?? 0);
  if (Number.isNaN(seconds)) throw invalid("timeout must be a number of seconds");
  return seconds > 0 ? seconds : WAIT_SECONDS;
}

function asOriginal({ id, sender, content, timestamp, signed, attested }: Message) {
  return {
    id,
    from: sender,
    msg: content,
    ts: new Date(timestamp * 1_000).toISOString(),
    ...(signed ? { signed } : {}),
    ...(attested ? { attested } : {}),
  };
}

/** The unread messages of each mailbox that has any, or that somebody waits for. */
function countMail(mailboxes: readonly MailboxSummary[], awaited: Mailroom["awaited"]): Record<string, number> {
  const unread = mailboxes.filter((one) => one.unread > 0).map((one): [string, number] => [one.mailbox, one.unread]);
  return Object.fromEntries([...[...awaited.keys()].map((mailbox): [string, number] => [mailbox, 0]), ...unread]);
}
