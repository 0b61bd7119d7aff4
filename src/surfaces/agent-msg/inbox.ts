import { isIpcError } from "../../core/errors.ts";
import { sleep } from "../../core/time.ts";
import { type Context, formatText } from "./context.ts";
import { watchFolder } from "./folder.ts";

/** Prints the messages in the folder and on the bus, oldest first, and consumes them unless `all` is set. */
export async function showInbox(context: Context, agent: string, all: boolean): Promise<void> {
  const { folder, print } = context;
  const isThere = folder.hasInbox(agent);
  const opened = await attempt(() => context.openMailboxes(agent));
  const mailboxes = opened.value;
  const inFolder = all ? folder.read(agent) : folder.take(agent);
  const onBus = await attempt(async () => (all ? mailboxes?.read(agent) : mailboxes?.take(agent)));
  const deliveries = [
    ...inFolder.map((letter) => ({ letter, acknowledge: async () => folder.acknowledge(agent, letter) })),
    ...(onBus.value ?? []).map((letter) => ({
      letter,
      acknowledge: async () => mailboxes?.acknowledge(agent, letter),
    })),
  ].toSorted((a, b) => (a.letter.timestamp < b.letter.timestamp ? -1 : 1));
  for (const { letter, acknowledge } of deliveries) {
    print(`[${letter.from} at ${letter.timestamp}]: ${formatText(letter.message)}`);
    if (!all) await acknowledge();
  }
  const failure = opened.error ?? onBus.error;
  if (deliveries.length > 0 && !all) print(`(Deleted ${deliveries.length} message(s))`);
  else if (deliveries.length === 0 && failure === undefined) print(isThere ? "No messages." : "No messages yet.");
  if (failure !== undefined) throw failure;
}

async function attempt<T>(act: () => Promise<T>): Promise<{ readonly value?: T; readonly error?: unknown }> {
  try {
    return { value: await act() };
  } catch (error) {
    return { error };
  }
}

export async function poll(context: Context, agent: string, interval: number): Promise<void> {
  const inbox = context.folder.makeInbox(agent);
  context.print(`Polling for messages every ${interval}ms...`);
  context.print("Press Ctrl+C to stop.\n");
  await Promise.all([pollFolder(context, agent, inbox, interval), pollBus(context, agent, interval)]);
}

async function pollFolder(context: Context, agent: string, inbox: string, interval: number): Promise<void> {
  const { folder, print, signal } = context;
  using watcher = watchFolder(inbox);
  while (!signal.aborted) {
    for (const letter of folder.take(agent)) {
      print(`\n[${letter.from}]: ${formatText(letter.message)}`);
      folder.acknowledge(agent, letter);
    }
    await watcher.wait(interval, signal);
  }
}

const MIN_PAUSE_MS = 1_000;

/** Retries a failing bus while the folder is still polled. */
async function pollBus(context: Context, agent: string, interval: number): Promise<void> {
  const { print, note, signal } = context;
  let noted: string | undefined;
  while (!signal.aborted) {
    try {
      const mailboxes = await context.openMailboxes(agent, { create: true });
      for (let letter = await mailboxes?.wait(agent); letter !== undefined; letter = await mailboxes?.wait(agent)) {
        print(`\n[${letter.from}]: ${formatText(letter.message)}`);
        await mailboxes?.acknowledge(agent, letter);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (!isIpcError(error)) throw error;
      if (error.message !== noted) note(`Only the folder is polled for now: ${error.message}`);
      noted = error.message;
      await sleep(Math.max(interval, MIN_PAUSE_MS), signal);
    }
  }
}
