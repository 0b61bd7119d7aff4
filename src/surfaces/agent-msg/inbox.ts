import { isIpcError } from "../../core/errors.ts";
import { sleep } from "../../core/time.ts";
import { type Desk, said } from "./context.ts";
import { audienceOf, type Dial, type Frame, hungUp, outgoing, refusal, type SignMessage } from "./conversation.ts";
import { createFolderBell, type Letter, textOf } from "./folder.ts";

interface Delivery {
  readonly letter: Letter;
  readonly arrived: () => Promise<void>;
}

/** Prints what lies in the folder and on the bus, oldest first, and removes it there unless all of it is to stay. */
export async function showInbox(desk: Desk, agent: string, all: boolean): Promise<void> {
  const { folder, print } = desk;
  const there = folder.hasInbox(agent);
  const post = await tried(() => desk.openPost(agent, "if there is one"));
  const inFolder = all ? folder.read(agent) : folder.take(agent);
  const onBus = await tried(async () => (await (all ? post.value?.read(agent) : post.value?.take(agent))) ?? []);
  const deliveries: readonly Delivery[] = [
    ...inFolder.map((letter) => ({ letter, arrived: async () => folder.arrived(agent, letter) })),
    ...(onBus.value ?? []).map((letter) => ({ letter, arrived: async () => post.value?.arrived(agent, letter) })),
  ].toSorted((a, b) => (a.letter.timestamp < b.letter.timestamp ? -1 : 1));
  for (const { letter, arrived } of deliveries) {
    print(`[${letter.from} at ${letter.timestamp}]: ${said(letter.message)}`);
    if (!all) await arrived();
  }
  const failure = post.error ?? onBus.error;
  if (deliveries.length > 0 && !all) print(`(Deleted ${deliveries.length} message(s))`);
  else if (deliveries.length === 0 && failure === undefined) print(there ? "No messages." : "No messages yet.");
  if (failure !== undefined) throw failure;
}

/** Prints what comes, by file or on the bus, until it is told to stop. */
export async function poll(desk: Desk, agent: string, interval: number): Promise<void> {
  const inbox = desk.folder.makeInbox(agent);
  desk.print(`Polling for messages every ${interval}ms...`);
  desk.print("Press Ctrl+C to stop.\n");
  await Promise.all([pollFolder(desk, agent, inbox, interval), pollPost(desk, agent, interval)]);
}

async function pollFolder(
  { folder, print, signal }: Desk,
  agent: string,
  inbox: string,
  interval: number,
): Promise<void> {
  using bell = createFolderBell(inbox);
  while (!signal.aborted) {
    for (const letter of folder.take(agent)) {
      print(`\n[${letter.from}]: ${said(letter.message)}`);
      folder.arrived(agent, letter);
    }
    await bell.rung(interval, signal);
  }
}

/** A bus that can't be asked is no reason to leave the folder alone: it is asked again later. */
async function pollPost(desk: Desk, agent: string, interval: number): Promise<void> {
  const { print, note, signal } = desk;
  let noted: string | undefined;
  while (!signal.aborted) {
    try {
      const post = await desk.openPost(agent, "in any case");
      for (let letter = await post?.wait(agent); letter !== undefined; letter = await post?.wait(agent)) {
        print(`\n[${letter.from}]: ${said(letter.message)}`);
        await post?.arrived(agent, letter);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (!isIpcError(error)) throw error;
      if (error.message !== noted) note(`Only the folder is looked at for now: ${error.message}`);
      noted = error.message;
      await sleep(Math.max(interval, LEAST_PAUSE_MS), signal);
    }
  }
}

const LEAST_PAUSE_MS = 1_000;

async function tried<T>(act: () => Promise<T>): Promise<{ readonly value?: T; readonly error?: unknown }> {
  try {
    return { value: await act() };
  } catch (error) {
    return { error };
  }
}

export interface Listening {
  send(to: string, message: string): void;
  readonly isOpen: boolean;
  close(): Promise<void>;
}

export interface Listener {
  readonly agent: string;
  readonly dial: Dial;
  readonly sign: SignMessage | undefined;
  /** Given each message; it is consumed once this is done with it. */
  hear(letter: Letter): unknown;
  /** Told of what the server refuses later. */
  failed(sentence: string): void;
}

/** Connects under a name; from then on messages are heard as they come, until either end closes. */
export async function listen({ agent, dial, sign, hear, failed }: Listener): Promise<Listening> {
  const talk = await dial();
  try {
    const frames = talk.frames[Symbol.asyncIterator]();
    const audience = await audienceOf(talk, frames);
    talk.send({ type: "register", agent, ack: "manual" });
    await registered(frames);
    let isOpen = true;
    const listening = async () => {
      for (let next = await frames.next(); !next.done; next = await frames.next()) {
        const frame = next.value;
        if (frame.type === "error") failed(refusal(frame).message);
        if (frame.type !== "message") continue;
        await hear(letterIn(frame));
        talk.send({ type: "received", id: frame.id });
      }
    };
    listening()
      .catch((error: unknown) => failed(error instanceof Error ? error.message : String(error)))
      .finally(() => {
        isOpen = false;
        void talk[Symbol.asyncDispose]();
      });
    return {
      send: (to, message) => talk.send(outgoing({ from: agent, to, message }, audience, sign).frame),
      get isOpen() {
        return isOpen;
      },
      close: async () => talk[Symbol.asyncDispose](),
    };
  } catch (error) {
    await talk[Symbol.asyncDispose]();
    throw error;
  }
}

async function registered(frames: AsyncIterator<Frame>): Promise<void> {
  for (;;) {
    const { value, done } = await frames.next();
    if (done) throw hungUp();
    if (value.type === "error") throw refusal(value);
    if (value.type === "registered") return;
  }
}

function letterIn(frame: Frame): Letter {
  return {
    id: textOf(frame, "id"),
    from: textOf(frame, "from"),
    to: textOf(frame, "to"),
    message: textOf(frame, "message"),
    timestamp: textOf(frame, "timestamp"),
  };
}
