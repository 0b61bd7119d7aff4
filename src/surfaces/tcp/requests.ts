import { invalid } from "../../core/errors.ts";
import { MAX_WAIT_SECONDS } from "../../core/limits.ts";
import type { Message } from "../../core/messages.ts";
import { arrivedMessages, fetchMail, listMailboxes, postMail, waitMail } from "../../operations/mailboxes.ts";
import type { Operation } from "../../operations/operation.ts";
import { findRequest } from "../../server/deliver.ts";

/** What a line asks for. */
export interface Request {
  readonly operation: Operation;
  readonly input: Readonly<Record<string, unknown>>;
  /** The answer's fields. */
  show(answer: unknown): object;
  /** The mailbox that it waits for. */
  readonly waitsFor?: string;
}

export type Line = Readonly<Record<string, unknown>>;

export interface Mailroom {
  /** How the server calls itself, for who knows more than the original's clients. */
  readonly product: string;
  /** Those for whom somebody waits here. */
  readonly awaited: ReadonlyMap<string, number>;
}

/** How a broker is told from whatever else may have taken its port. */
export const IDENTITY = "agent-tool-ipc-broker";

const WAIT_SECONDS = 60;

/** Who posts and doesn't say who it is. */
const NOBODY = "anonymous";

type Reading = (line: Line, self: string | undefined, mailroom: Mailroom) => Request;

/** The requests of the original, by `op`, with its names. */
const originals: Readonly<Record<string, Reading>> = {
  post: (line, self, { awaited }) => {
    need(line, "to", "msg");
    const { to, from, msg, signature, v, aud, nonce, ts } = line;
    const info = awaited.has(String(to)) ? "delivered to waiter" : "queued";
    return {
      operation: postMail,
      input: { to, from: from || self || NOBODY, message: msg, signature, v, aud, nonce, ts },
      show: (answer) => ({ info, message_id: has(answer, "id") ? answer.id : undefined }),
    };
  },
  fetch: (line) => {
    need(line, "mailbox");
    const { mailbox, ack } = line;
    return {
      operation: fetchMail,
      input: { mailbox, ack },
      show: (answer) => ({ messages: messagesIn(answer).map(asOriginal) }),
    };
  },
  wait: (line) => {
    need(line, "mailbox");
    const { mailbox, timeout, ack } = line;
    const seconds = Math.min(secondsIn(timeout), MAX_WAIT_SECONDS);
    return {
      operation: waitMail,
      input: { mailbox, timeout: seconds, ack },
      waitsFor: String(mailbox),
      show: (answer) => {
        const [message] = messagesIn(answer);
        if (message !== undefined) return { message: asOriginal(message) };
        return {
          ok: false,
          error: `wait timed out after ${seconds}s -- no message in mailbox ${JSON.stringify(mailbox)}`,
        };
      },
    };
  },
  settle: ({ mailbox, ids }) => ({ operation: arrivedMessages, input: { mailbox, ids }, show: () => ({}) }),
  status: (_, __, { product, awaited }) => ({
    operation: listMailboxes,
    input: {},
    show: (answer) => ({ info: IDENTITY, server: product, mailboxes: countsIn(answer, awaited) }),
  }),
};

/** What a line asks for: by `op` as the original's clients do, or by `ask` whatever a network may ask of the bus. */
export function requestIn(
  line: Line,
  operations: readonly Operation[],
  self: string | undefined,
  mailroom: Mailroom,
): Request {
  const { op, ask } = line;
  if (ask !== undefined) {
    const asked = findRequest(operations, ask, line.input);
    const waiting = asked.operation === waitMail ? { waitsFor: String(asked.input.mailbox) } : {};
    return { ...asked, ...waiting, show: (answer) => ({ answer }) };
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

function messagesIn(answer: unknown): readonly Message[] {
  const found: unknown = has(answer, "messages") ? answer.messages : has(answer, "message") ? [answer.message] : [];
  return Array.isArray(found) ? found.filter(isMessage) : [];
}

/** What waits for somebody, and whom somebody waits for. */
function countsIn(answer: unknown, awaited: Mailroom["awaited"]): Record<string, number> {
  const counts: Record<string, number> = Object.fromEntries([...awaited.keys()].map((mailbox) => [mailbox, 0]));
  const listed: unknown = has(answer, "mailboxes") ? answer.mailboxes : [];
  for (const one of Array.isArray(listed) ? listed : []) {
    if (!has(one, "mailbox") || !has(one, "unread") || typeof one.unread !== "number" || one.unread === 0) continue;
    Object.defineProperty(counts, String(one.mailbox), { value: one.unread, enumerable: true, configurable: true });
  }
  return counts;
}

function isMessage(value: unknown): value is Message {
  return has(value, "id") && has(value, "content");
}

function has<K extends string>(value: unknown, name: K): value is Readonly<Record<K, unknown>> {
  return typeof value === "object" && value !== null && Object.hasOwn(value, name);
}
