import { isIpcError } from "../../core/errors.ts";
import { LONGEST_WAIT_SECONDS } from "../../core/limits.ts";
import type { Message } from "../../core/messages.ts";
import type { Perform } from "../../operations/deliver.ts";
import { fetchMail, waitMail } from "../../operations/mailboxes.ts";
import { type Context, settlementOf } from "../../operations/operation.ts";
import { messageFrame, messagesIn } from "./frames.ts";
import type { Line } from "./socket.ts";

export interface Mail {
  readonly perform: Perform;
  readonly context: Context;
  readonly line: Line;
  readonly mailbox: string;
  /** Says which of these the other end has; as soon as it can, or when it is gone. */
  readonly taken: (ids: readonly number[]) => Promise<boolean>;
  readonly arrived: (ids: readonly number[]) => void;
}

/** So many messages are on their way to a recipient at most, once it has shown that it takes them. */
const MOST_ON_THEIR_WAY = 100;

/** How long to wait after a fault of ours before going on. */
const PAUSE_MS = 1_000;

/** Hands a mailbox over, message by message, as they come: each is consumed once the recipient's end has taken it. */
export async function handOverMail(mail: Mail): Promise<void> {
  const { context, line } = mail;
  let window = 1;
  while (!context.signal.aborted && line.isOpen) {
    const messages = await nextMail(mail, window);
    if (messages.length === 0) continue;
    const ids = messages.map(({ id }) => id);
    for (const message of messages) line.send(messageFrame(mail.mailbox, message));
    const taken = !context.signal.aborted && (await mail.taken(ids));
    await settle(mail, messages, taken);
    if (!taken) return;
    mail.arrived(ids);
    window = Math.min(window * 2, MOST_ON_THEIR_WAY);
  }
}

async function nextMail({ perform, context, mailbox }: Mail, window: number): Promise<readonly Message[]> {
  const asked = { mailbox, ack: "manual" };
  try {
    const waiting = messagesIn(await perform(fetchMail, { ...asked, limit: window }, context));
    if (waiting.length > 0) return waiting;
    return messagesIn(await perform(waitMail, { ...asked, timeout: LONGEST_WAIT_SECONDS }, context));
  } catch (error) {
    if (!isIpcError(error) || error.code === "unauthorized") throw error;
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    return [];
  }
}

async function settle(
  { perform, context, mailbox }: Mail,
  messages: readonly Message[],
  taken: boolean,
): Promise<void> {
  const settlement = settlementOf(fetchMail, { messages }, { mailbox }, taken);
  if (settlement !== undefined) await perform(settlement.operation, settlement.input, context);
}
