import type { Bus } from "./bus.ts";
import { BATCH_MESSAGES, isMailbox, mailboxOf } from "./limits.ts";
import { type Message, type ReadRequest, read, toReaderMessages } from "./messages.ts";
import { monotonicMs } from "./time.ts";
import { waiting, watermarkTopic } from "./waiting.ts";

/** How long a message that was handed out may be on its way before somebody else gets it. */
const LEASE_SECONDS = 10;

export interface TakeRequest {
  readonly mailbox: string;
  readonly limit: number;
}

/** What waits in a mailbox, handed out: it is consumed once `arrived` says so, and offered again where nothing does. */
export async function takeMail(bus: Bus, { mailbox, limit }: TakeRequest): Promise<readonly Message[]> {
  const taking = { limit, now: bus.now(), lease: LEASE_SECONDS };
  return await toReaderMessages(bus, await bus.store.mailboxes.take(mailboxOf(mailbox), mailbox, taking));
}

/** The same, as soon as there is something; nothing when the time is up. */
export async function waitForMail(
  bus: Bus,
  { seconds, ...emptying }: TakeRequest & { seconds: number | undefined },
  signal: AbortSignal,
): Promise<readonly Message[]> {
  const topic = mailboxOf(emptying.mailbox);
  const look = async () => {
    const taken = signal.aborted ? [] : await takeMail(bus, emptying);
    return taken.length > 0 ? taken : undefined;
  };
  const pause = async () => {
    const next = await bus.store.mailboxes.nextFree(topic, emptying.mailbox);
    return next === undefined ? undefined : (next - bus.now()) * 1_000 + 1;
  };
  const milliseconds = seconds === undefined ? undefined : seconds * 1_000;
  for await (const taken of waiting({ wakeup: bus.wakeup, topic, signal, milliseconds, pause }, look)) return taken;
  return [];
}

/** A mailbox read as the channel that it is, by its owner: what is read is leased until it has arrived. */
export async function readMail(bus: Bus, reading: ReadRequest, signal: AbortSignal): Promise<readonly Message[]> {
  const { agent: mailbox, limit = BATCH_MESSAGES, others, wait, seconds, burst } = reading;
  const end = seconds === undefined ? Number.POSITIVE_INFINITY : monotonicMs() + seconds * 1_000;
  if (wait && burst > 0) await read(bus, { ...reading, peek: true }, signal);
  for (;;) {
    const left = Math.max(0, end - monotonicMs()) / 1_000;
    const waitFor = wait ? (left === Number.POSITIVE_INFINITY ? undefined : left) : 0;
    const taken = await waitForMail(bus, { mailbox, limit, seconds: waitFor }, signal);
    const own = others ? taken.filter(({ sender }) => sender === mailbox) : [];
    if (own.length === 0) return taken;
    await markArrived(bus, mailbox, idsOf(own));
    if (own.length < taken.length) return taken.filter((message) => !own.includes(message));
  }
}

export async function markArrived(bus: Bus, mailbox: string, ids: readonly number[]): Promise<void> {
  await bus.store.mailboxes.settle(mailboxOf(mailbox), mailbox, ids);
  bus.wakeup.ring(watermarkTopic(mailboxOf(mailbox)));
}

/** Whether a message has arrived with the mailbox's owner, and everything before it; as soon as it has, or when the time is up. */
export async function waitUntilArrived(
  bus: Bus,
  { mailbox, id, seconds }: { mailbox: string; id: number; seconds: number | undefined },
  signal: AbortSignal,
): Promise<boolean> {
  const channel = mailboxOf(mailbox);
  const topic = watermarkTopic(channel);
  const look = async () => ((await bus.store.messages.watermark(channel, mailbox)) >= id ? true : undefined);
  const milliseconds = seconds === undefined ? undefined : seconds * 1_000;
  for await (const found of waiting({ wakeup: bus.wakeup, topic, signal, milliseconds }, look)) return found;
  return false;
}

/** What was handed out got lost on its way. */
export async function releaseMail(bus: Bus, mailbox: string, ids: readonly number[]): Promise<void> {
  await bus.store.mailboxes.release(mailboxOf(mailbox), ids);
  bus.wakeup.ring(mailboxOf(mailbox));
}

export interface MailboxSummary {
  readonly mailbox: string;
  readonly unread: number;
}

/** The mailboxes that anything was ever posted to, with what waits in them. */
export async function summarizeMailboxes(bus: Bus): Promise<readonly MailboxSummary[]> {
  const names = (await bus.store.messages.channels()).map(({ channel }) => channel).filter(isMailbox);
  return Promise.all(
    names.map(async (channel) => {
      const mailbox = channel.slice(1);
      return { mailbox, unread: await bus.store.messages.pending(channel, mailbox) };
    }),
  );
}

function idsOf(messages: readonly Message[]): readonly number[] {
  return messages.map(({ id }) => id);
}
