import { type Caller, visibleTo } from "./access.ts";
import { type Bus, millisecondsUntil } from "./bus.ts";
import { BATCH_MESSAGES } from "./limits.ts";
import { type Message, type ReadRequest, read, toReaderMessages } from "./messages.ts";
import { isMailbox, mailboxOf } from "./names.ts";
import { monotonicMs } from "./time.ts";
import { waitFor, watermarkTopic } from "./waiting.ts";

/** A message handed out and not settled is offered again after this. */
const LEASE_SECONDS = 10;

export interface TakeRequest {
  readonly mailbox: string;
  readonly limit: number;
}

/** Leases unread messages to the caller. `markArrived` consumes them; otherwise they are offered again. */
export async function takeMail(bus: Bus, { mailbox, limit }: TakeRequest): Promise<readonly Message[]> {
  const options = { limit, now: bus.now(), lease: LEASE_SECONDS };
  return await toReaderMessages(bus, await bus.store.mailboxes.take(mailboxOf(mailbox), mailbox, options));
}

/** Takes mail as soon as there is some; none once the time is up. */
export async function waitForMail(
  bus: Bus,
  { seconds, ...request }: TakeRequest & { seconds: number | undefined },
  signal: AbortSignal,
): Promise<readonly Message[]> {
  const topic = mailboxOf(request.mailbox);
  const look = async () => {
    const mail = signal.aborted ? [] : await takeMail(bus, request);
    return mail.length > 0 ? mail : undefined;
  };
  const pause = async () => millisecondsUntil(bus, await bus.store.mailboxes.nextFree(topic, request.mailbox));
  return (await waitFor(bus, { topic, seconds, signal, pause }, look)) ?? [];
}

/** Reads a mailbox as a channel, for its owner. Messages are leased until they have arrived. */
export async function readMail(bus: Bus, request: ReadRequest, signal: AbortSignal): Promise<readonly Message[]> {
  const { agent: mailbox, limit = BATCH_MESSAGES, others, wait, seconds, burst } = request;
  const end = seconds === undefined ? Number.POSITIVE_INFINITY : monotonicMs() + seconds * 1_000;
  if (wait && burst > 0) await read(bus, { ...request, peek: true }, signal);
  for (;;) {
    const left = Math.max(0, end - monotonicMs()) / 1_000;
    const waitSeconds = wait ? (left === Number.POSITIVE_INFINITY ? undefined : left) : 0;
    const mail = await waitForMail(bus, { mailbox, limit, seconds: waitSeconds }, signal);
    const own = others ? mail.filter(({ sender }) => sender === mailbox) : [];
    if (own.length === 0) return mail;
    await markArrived(bus, mailbox, idsOf(own));
    if (own.length < mail.length) return mail.filter((message) => !own.includes(message));
  }
}

/** Consumes messages that have arrived. */
export async function markArrived(bus: Bus, mailbox: string, ids: readonly number[]): Promise<void> {
  await bus.store.mailboxes.settle(mailboxOf(mailbox), mailbox, ids);
  bus.notify(watermarkTopic(mailboxOf(mailbox)));
}

/** Offers messages that were lost on their way again. */
export async function releaseMail(bus: Bus, mailbox: string, ids: readonly number[]): Promise<void> {
  await bus.store.mailboxes.release(mailboxOf(mailbox), ids);
  bus.notify(mailboxOf(mailbox));
}

/** True as soon as a message and all before it have arrived; false once the time is up. */
export async function waitUntilArrived(
  bus: Bus,
  { mailbox, id, seconds }: { mailbox: string; id: number; seconds: number | undefined },
  signal: AbortSignal,
): Promise<boolean> {
  const channel = mailboxOf(mailbox);
  const look = async () => ((await bus.store.messages.watermark(channel, mailbox)) >= id ? true : undefined);
  return (await waitFor(bus, { topic: watermarkTopic(channel), seconds, signal }, look)) ?? false;
}

/** Lists one batch of unread mail without taking it, and counts all of it. */
export async function peekMail(bus: Bus, mailbox: string) {
  const channel = mailboxOf(mailbox);
  const unread = await bus.store.messages.unread(channel, mailbox, { limit: BATCH_MESSAGES, others: false });
  return {
    unread: await bus.store.messages.pending(channel, mailbox),
    messages: await toReaderMessages(bus, unread),
  };
}

export interface MailboxSummary {
  readonly mailbox: string;
  readonly unread: number;
}

/** The mailboxes that the caller may see, among those that were ever posted to. */
export async function getMailboxes(bus: Bus, caller: Caller): Promise<readonly MailboxSummary[]> {
  const channels = visibleTo(caller, await bus.store.messages.channels()).map(({ channel }) => channel);
  return Promise.all(
    channels.filter(isMailbox).map(async (channel) => {
      const mailbox = channel.slice(1);
      return { mailbox, unread: await bus.store.messages.pending(channel, mailbox) };
    }),
  );
}

export function idsOf(messages: readonly Message[]): readonly number[] {
  return messages.map(({ id }) => id);
}
