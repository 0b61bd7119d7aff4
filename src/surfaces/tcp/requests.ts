import { invalid } from "../../core/errors.ts";
import type { JsonObject } from "../../core/json.ts";
import { MAX_WAIT_SECONDS } from "../../core/limits.ts";
import type { MailboxSummary } from "../../core/mailboxes.ts";
import type { Message } from "../../core/messages.ts";
import { arrivedMessages, fetchMail, listMailboxes, postMail, waitMail } from "../../operations/mailboxes.ts";
import { type AnswerTo, type Operation, parseRequest } from "../../operations/operation.ts";
import { findRequest, type WireRequest } from "../../server/conversation.ts";

export interface LineRequest extends WireRequest {
  /** The mailbox that the request waits for. */
  readonly waitsFor?: string;
}

/** Counts the requests on this server that wait for each mailbox. */
export interface Waiters {
  /** Returns a function that stops waiting; calling it twice is harmless. */
  add(mailbox: string): () => void;
  has(mailbox: string): boolean;
  mailboxes(): Iterable<string>;
}

export function createWaiters(): Waiters {
  const counts = new Map<string, number>();
  return {
    add(mailbox) {
      counts.set(mailbox, (counts.get(mailbox) ?? 0) + 1);
      let isWaiting = true;
      return () => {
        if (!isWaiting) return;
        isWaiting = false;
        const others = (counts.get(mailbox) ?? 0) - 1;
        if (others > 0) counts.set(mailbox, others);
        else counts.delete(mailbox);
      };
    },
    has: (mailbox) => counts.has(mailbox),
    mailboxes: () => counts.keys(),
  };
}

export interface Broker {
  /** The server's name, for clients that know more than the original's. */
  readonly product: string;
  readonly waiters: Waiters;
}

/** Identifies a broker, as opposed to another program on its port. */
const IDENTITY = "agent-tool-ipc-broker";

const WAIT_SECONDS = 60;

/** The sender of an anonymous post. */
const NOBODY = "anonymous";

type Parse = (line: JsonObject, self: string | undefined, broker: Broker) => LineRequest;

/** Types `body` by the operation's answer. */
function lineRequest<O extends Operation>(
  operation: O,
  input: JsonObject,
  body: (answer: AnswerTo<O>) => object,
): LineRequest {
  return { request: parseRequest(operation, input), body };
}

/** The Python original's requests, by `op`, with its field names. */
const originals: Readonly<Record<string, Parse>> = {
  post: (line, self, { waiters }) => {
    need(line, "to", "msg");
    const { to, from, msg, signature, v, aud, nonce, ts } = line;
    const info = waiters.has(String(to)) ? "delivered to waiter" : "queued";
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
  status: (_, __, { product, waiters }) =>
    lineRequest(listMailboxes, {}, ({ mailboxes }) => ({
      info: IDENTITY,
      server: product,
      mailboxes: countMail(mailboxes, waiters),
    })),
};

/** Parses a line: with `op` a request of the original's, with `ask` any operation open to a network. */
export function parseLine(
  line: JsonObject,
  verbs: ReadonlyMap<string, Operation>,
  self: string | undefined,
  broker: Broker,
): LineRequest {
  const { op, ask } = line;
  if (ask !== undefined) {
    const request = findRequest(verbs, ask, line.input);
    const waitsFor = request.operation === waitMail ? { waitsFor: String(request.input.mailbox) } : {};
    return { request, ...waitsFor, body: (answer) => ({ answer }) };
  }
  const parse = typeof op === "string" && Object.hasOwn(originals, op) ? originals[op] : undefined;
  if (parse !== undefined) return parse(line, self, broker);
  throw invalid(`unknown op ${JSON.stringify(op ?? "")} (use: post, fetch, wait, status)`);
}

function need(line: JsonObject, ...names: readonly string[]): void {
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

/** Counts the unread messages of each mailbox that has any, or that a request waits for. */
function countMail(mailboxes: readonly MailboxSummary[], waiters: Waiters): Record<string, number> {
  const waitedFor = Array.from(waiters.mailboxes(), (mailbox): [string, number] => [mailbox, 0]);
  const unread = mailboxes.filter((one) => one.unread > 0).map((one): [string, number] => [one.mailbox, one.unread]);
  return Object.fromEntries([...waitedFor, ...unread]);
}
