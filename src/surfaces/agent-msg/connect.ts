import { createBackoff } from "../../core/time.ts";
import type { Frame, FrameConnection } from "../../wire/frames.ts";
import type { Chat } from "./chat.ts";
import { formatText } from "./context.ts";
import { textOf } from "./folder.ts";
import {
  askAudience,
  createOutgoing,
  type Dial,
  isTemporary,
  type OutgoingMessage,
  refusal,
  type SignMessage,
} from "./websocket.ts";

export interface ConnectSettings {
  readonly agent: string;
  readonly url: string;
  readonly dial: Dial;
  readonly sign: SignMessage | undefined;
  readonly chat: Chat;
  readonly signal: AbortSignal;
}

/**
 * connecting: until the server has registered the agent for the first time. An error ends the chat.
 * connected: messages come and go.
 * reconnecting: the connection was lost and is opened again, at growing intervals. Typed messages wait for it.
 * The chat is over at /quit, at the end of the input, or when the signal aborts.
 */
type State = "connecting" | "connected" | "reconnecting";

interface Session {
  readonly agent: string;
  readonly chat: Chat;
  readonly outbox: Outbox;
  readonly directory: Directory;
  connection: FrameConnection | undefined;
  onRegistered(): void;
  leave(): void;
}

/** Prints an agent's messages as they come, and sends what is typed: `NAME message`. */
export async function connect({ agent, url, dial, sign, chat, signal }: ConnectSettings): Promise<void> {
  const leaving = new AbortController();
  const over = AbortSignal.any([leaving.signal, signal]);
  const pause = createBackoff(over);
  let state: State = "connecting";
  const session: Session = {
    agent,
    chat,
    outbox: createOutbox(agent, sign),
    directory: createDirectory(agent, chat),
    connection: undefined,
    onRegistered() {
      state = "connected";
      pause.reset();
    },
    leave: () => leaving.abort(),
  };
  chat.print(`Connecting to ${url} as ${agent}...`);
  void obeyLines(session);
  while (!over.aborted) {
    try {
      await converse(session, dial, over);
    } catch (error) {
      if (over.aborted) break;
      if (state === "connecting" || !isTemporary(error)) throw error;
    }
    if (over.aborted) break;
    if (state !== "reconnecting") chat.note("The connection is lost; trying again");
    state = "reconnecting";
    await pause.wait();
  }
  chat.print("Disconnected from server");
}

async function converse(session: Session, dial: Dial, over: AbortSignal): Promise<void> {
  const { agent, outbox } = session;
  await using connection = await dial();
  const close = () => void connection[Symbol.asyncDispose]();
  over.addEventListener("abort", close, { once: true });
  try {
    if (over.aborted) return;
    const frames = connection.frames[Symbol.asyncIterator]();
    const audience = await askAudience(connection, frames);
    connection.send({ type: "register", agent, ack: "manual" });
    session.connection = connection;
    outbox.attach(connection, audience);
    for (let next = await frames.next(); !next.done; next = await frames.next()) handleFrame(session, next.value);
  } finally {
    session.connection = undefined;
    outbox.detach();
    over.removeEventListener("abort", close);
  }
}

async function obeyLines(session: Session): Promise<void> {
  for await (const line of session.chat.lines) obey(session, line.trim());
  session.leave();
}

const HELP = "Type a name and a message to send it, /who to see who is there, /quit to leave.";

function obey(session: Session, line: string): void {
  const { chat, directory, outbox, connection } = session;
  const [, to, message] = /^(\S+)\s+(.*)$/s.exec(line) ?? [];
  if (line === "/quit") session.leave();
  else if (line === "/help") chat.print(HELP);
  else if (line === "/who") directory.show(connection);
  else if (line.startsWith("/")) chat.note(`There is no ${line.split(" ")[0]}. ${HELP}`);
  else if (to !== undefined && message !== undefined) outbox.write(to, message);
  else if (line !== "") chat.note("Type a name and a message: agent-b Hello");
}

function handleFrame(session: Session, frame: Frame): void {
  const { agent, chat, connection, directory, outbox } = session;
  const sent = outbox.find(textOf(frame, "id"));
  switch (frame.type) {
    case "registered":
      chat.print(`✓ Connected as ${agent}`);
      chat.print("Listening for messages...");
      session.onRegistered();
      directory.refresh(connection);
      break;
    case "message":
      chat.print(`\n[${textOf(frame, "from")}]: ${formatText(textOf(frame, "message"))}`);
      directory.add(textOf(frame, "from"), true);
      // Only a printed message is acknowledged; the server sends any other again.
      connection?.send({ type: "received", id: frame.id });
      break;
    case "stored":
      if (sent === undefined || frame.connected === true || sent.isKept) break;
      sent.isKept = true;
      chat.print(`… kept for ${sent.to}, who is away`);
      break;
    case "delivered":
      if (sent === undefined) break;
      chat.print("✓ Message delivered");
      directory.add(sent.to, true);
      outbox.remove(sent.id);
      break;
    case "answer":
      directory.handleAnswer(frame);
      break;
    case "error":
      if (frame.id === undefined) throw refusal(frame);
      if (sent === undefined) break;
      chat.print(`✗ Error: ${refusal(frame).message}`);
      outbox.remove(sent.id);
      break;
  }
}

interface UndeliveredMessage extends OutgoingMessage {
  /** Whether the server keeps it for a recipient who is away. */
  isKept: boolean;
}

/** The typed messages, until they are delivered or refused. */
interface Outbox {
  write(to: string, message: string): void;
  /** Sends messages typed while detached, and repeats undelivered ones. */
  attach(connection: FrameConnection, audience: string): void;
  detach(): void;
  find(id: string): UndeliveredMessage | undefined;
  remove(id: string): void;
}

function createOutbox(from: string, sign: SignMessage | undefined): Outbox {
  const unsent: { readonly to: string; readonly message: string }[] = [];
  const undelivered = new Map<string, UndeliveredMessage>();
  let attached: { readonly connection: FrameConnection; readonly audience: string } | undefined;

  const sendUnsent = () => {
    if (attached === undefined) return;
    for (const { to, message } of unsent.splice(0)) {
      const outgoing = createOutgoing({ from, to, message }, attached.audience, sign);
      undelivered.set(outgoing.id, { ...outgoing, isKept: false });
      attached.connection.send(outgoing.frame);
    }
  };

  return {
    write(to, message) {
      unsent.push({ to, message });
      sendUnsent();
    },
    attach(connection, audience) {
      attached = { connection, audience };
      for (const { frame } of undelivered.values()) connection.send(frame);
      sendUnsent();
    },
    detach() {
      attached = undefined;
    },
    find: (id) => undelivered.get(id),
    remove: (id) => undelivered.delete(id),
  };
}

/** The names that a message can be sent to, learned from the server and from messages. */
interface Directory {
  add(name: string, isOnline: boolean): void;
  refresh(connection: FrameConnection | undefined): void;
  /** Refreshes the names, then prints them. */
  show(connection: FrameConnection | undefined): void;
  handleAnswer(frame: Frame): void;
}

const QUESTIONS = ["peers", "agents", "mailboxes"] as const;

function createDirectory(self: string, { print, know }: Chat): Directory {
  const names = new Map<string, boolean>();
  let isShown = true;

  const add = (name: string, isOnline: boolean) => {
    if (name !== self && name !== "") names.set(name, isOnline);
    know([...names.keys()]);
  };
  const refresh = (connection: FrameConnection | undefined) => {
    for (const question of QUESTIONS) connection?.send({ type: "ask", id: question, ask: question });
  };

  return {
    add,
    refresh,
    show(connection) {
      isShown = false;
      refresh(connection);
    },
    handleAnswer({ id, answer }) {
      const named = [
        ...listIn(answer, "agents").map((entry) => textOf(entry, "name")),
        ...listIn(answer, "mailboxes").map((entry) => textOf(entry, "mailbox")),
      ];
      for (const name of named) add(name, names.get(name) ?? false);
      for (const peer of listIn(answer, "peers")) add(textOf(peer, "agent"), textOf(peer, "status") === "online");
      if (isShown || id !== QUESTIONS.at(-1)) return;
      isShown = true;
      print(names.size === 0 ? "Nobody else is here." : formatNames(names));
    },
  };
}

function formatNames(names: ReadonlyMap<string, boolean>): string {
  return [...names]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, isOnline]) => `  ${name}${isOnline ? " (online)" : ""}`)
    .join("\n");
}

/** A list in a server's answer. The answer about agents is the list itself. */
function listIn(answer: unknown, field: string): readonly unknown[] {
  if (Array.isArray(answer)) return field === "agents" ? answer : [];
  const found: unknown = typeof answer === "object" && answer !== null ? Reflect.get(answer, field) : undefined;
  return Array.isArray(found) ? found : [];
}
