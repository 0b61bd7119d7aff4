import { isIpcError } from "../../core/errors.ts";
import { MAX_WAIT_SECONDS } from "../../core/limits.ts";
import type { Message } from "../../core/messages.ts";
import { fetchMail, waitMail } from "../../operations/mailboxes.ts";
import { type AnswerTo, type Operation, parseRequest, type Request } from "../../operations/operation.ts";
import type { Endpoint } from "../../operations/perform.ts";
import type { Deliver } from "../../server/deliver.ts";
import { messageFrame } from "./frames.ts";
import type { FrameSocket } from "./socket.ts";

export interface MailboxDelivery {
  readonly deliver: Deliver;
  readonly endpoint: Endpoint;
  readonly signal: AbortSignal;
  readonly socket: FrameSocket;
  readonly mailbox: string;
  /** Resolves, as soon as it is known, to whether the recipient has all of these messages. */
  readonly hasReceived: (ids: readonly number[]) => Promise<boolean>;
  /** Called once these messages are consumed. */
  readonly onConsumed: (ids: readonly number[]) => void;
}

/** The most unacknowledged messages, for a recipient that has acknowledged earlier ones. */
const MAX_ON_THEIR_WAY = 100;

/** The pause after a transient failure. */
const PAUSE_MS = 1_000;

/**
 * Delivers a mailbox as it fills. Messages are consumed once the recipient has them. Ends with the connection, or when
 * messages weren't received: others are then offered them.
 */
export async function deliverMailbox(delivery: MailboxDelivery): Promise<void> {
  const { signal, socket, mailbox } = delivery;
  let window = 1;
  while (!signal.aborted && socket.isOpen()) {
    const fetch = parseRequest(fetchMail, { mailbox, limit: window });
    let outcome = await deliverNext(delivery, fetch, ({ messages }) => messages);
    if (outcome === "nothing") {
      const wait = parseRequest(waitMail, { mailbox, timeout: MAX_WAIT_SECONDS });
      outcome = await deliverNext(delivery, wait, (answer) => (answer === null ? [] : [answer.message]));
    }
    if (outcome === "lost") return;
    if (outcome === "received") window = Math.min(window * 2, MAX_ON_THEIR_WAY);
  }
}

type Outcome = "nothing" | "received" | "lost" | "failed";

async function deliverNext<O extends Operation>(
  delivery: MailboxDelivery,
  request: Request<O>,
  messagesIn: (answer: AnswerTo<O>) => readonly Message[],
): Promise<Outcome> {
  const { deliver, endpoint, signal, socket, mailbox, hasReceived, onConsumed } = delivery;
  const batch: { outcome: Outcome; ids: readonly number[] } = { outcome: "failed", ids: [] };
  try {
    await deliver(endpoint, request, signal, async (answer) => {
      const messages = messagesIn(answer);
      batch.ids = messages.map(({ id }) => id);
      batch.outcome = messages.length === 0 ? "nothing" : "lost";
      if (batch.outcome === "nothing") return true;
      for (const message of messages) socket.send(messageFrame(mailbox, message));
      if (!signal.aborted && (await hasReceived(batch.ids))) batch.outcome = "received";
      return batch.outcome === "received";
    });
  } catch (error) {
    const mayPass = batch.outcome === "failed" && isIpcError(error) && error.code !== "unauthorized";
    if (!mayPass) throw error;
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  if (batch.outcome === "received") onConsumed(batch.ids);
  return batch.outcome;
}

/** How long a recipient that acknowledges messages may take to do so. */
const RECEIVED_MS = 60_000;

/** The messages that the recipient has acknowledged. */
export interface Receipts {
  note(ids: readonly unknown[]): void;
  /** Resolves to true once all of these are acknowledged, and to false if they won't be. */
  hasReceived(ids: readonly number[]): Promise<boolean>;
  stop(): void;
}

export function createReceipts(): Receipts {
  let waiting: { readonly missing: Set<number>; readonly settle: (hasAll: boolean) => void } | undefined;
  let isStopped = false;
  return {
    note(ids) {
      if (waiting === undefined) return;
      for (const id of ids) if (typeof id === "number") waiting.missing.delete(id);
      if (waiting.missing.size === 0) waiting.settle(true);
    },
    hasReceived: (ids) =>
      new Promise((resolve) => {
        if (isStopped) return resolve(false);
        const timer = setTimeout(resolve, RECEIVED_MS, false);
        const settle = (hasAll: boolean) => {
          clearTimeout(timer);
          resolve(hasAll);
        };
        waiting = { missing: new Set(ids), settle };
      }),
    stop() {
      isStopped = true;
      waiting?.settle(false);
    },
  };
}
