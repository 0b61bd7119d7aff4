import { createBackoff } from "../../core/time.ts";
import { type Chat, said } from "./context.ts";
import {
  audienceOf,
  type Dial,
  type Frame,
  isPassing,
  type Outgoing,
  outgoing,
  refusal,
  type SignMessage,
  type Talk,
} from "./conversation.ts";
import { textOf } from "./folder.ts";

export interface Connecting {
  readonly agent: string;
  readonly url: string;
  readonly dial: Dial;
  readonly sign: SignMessage | undefined;
  readonly chat: Chat;
  readonly signal: AbortSignal;
}

/** What is asked of a server to learn who there is. */
const DIRECTORIES = ["peers", "agents", "mailboxes"] as const;

/** Prints what comes for an agent, and sends what is typed: `NAME what to tell it`. Connects again when it has to. */
export async function connect({ agent, url, dial, sign, chat, signal }: Connecting): Promise<void> {
  const { print, note } = chat;
  const done = new AbortController();
  const ended = AbortSignal.any([done.signal, signal]);
  const waiting = new Map<string, Outgoing>();
  const kept = new Set<string>();
  const unsent: [string, string][] = [];
  const people = new Map<string, boolean>();
  let current: { readonly talk: Talk; readonly audience: string } | undefined;
  let reached = false;
  let asksWho = false;
  let lost = false;
  const pause = createBackoff(ended);

  const sendUnsent = () => {
    if (current === undefined) return;
    for (const [to, message] of unsent.splice(0)) {
      const sent = outgoing({ from: agent, to, message }, current.audience, sign);
      waiting.set(sent.id, sent);
      current.talk.send(sent.frame);
    }
  };

  const meet = (name: string, online: boolean) => {
    if (name !== agent) people.set(name, online);
    chat.know([...people.keys()]);
  };

  const askWho = () => {
    for (const ask of DIRECTORIES) current?.talk.send({ type: "ask", id: ask, ask });
  };

  const commands: Readonly<Record<string, () => void>> = {
    "/who": () => {
      asksWho = true;
      askWho();
    },
    "/help": () => print(HELP),
    "/quit": () => done.abort(),
  };

  const obey = (line: string): void => {
    const typed = line.trim();
    const command = Object.hasOwn(commands, typed) ? commands[typed] : undefined;
    const [, to, message] = /^(\S+)\s+(.*)$/s.exec(typed) ?? [];
    if (command !== undefined) command();
    else if (typed.startsWith("/")) note(`There is no ${typed.split(" ")[0]}. ${HELP}`);
    else if (to !== undefined && message !== undefined) {
      unsent.push([to, message]);
      sendUnsent();
    } else if (typed !== "") note("Type a name and a message: agent-b Hello");
  };

  const forget = (id: string): void => {
    waiting.delete(id);
    kept.delete(id);
  };

  const heard: Readonly<Record<string, (frame: Frame, sent: Outgoing | undefined) => void>> = {
    registered() {
      print(`✓ Connected as ${agent}`);
      print("Listening for messages...");
      pause.reset();
      lost = false;
      askWho();
    },
    message(frame) {
      print(`\n[${textOf(frame, "from")}]: ${said(textOf(frame, "message"))}`);
      meet(textOf(frame, "from"), true);
      // Only now: what couldn't be printed comes again.
      current?.talk.send({ type: "received", id: frame.id });
    },
    stored(frame, sent) {
      if (sent === undefined || frame.connected === true || kept.has(sent.id)) return;
      kept.add(sent.id);
      print(`… kept for ${sent.to}, who is away`);
    },
    delivered(_, sent) {
      if (sent === undefined) return;
      print("✓ Message delivered");
      meet(sent.to, true);
      forget(sent.id);
    },
    answer: (frame) => learn(frame),
    error(frame, sent) {
      if (frame.id === undefined) throw refusal(frame);
      if (sent === undefined) return;
      print(`✗ Error: ${refusal(frame).message}`);
      forget(sent.id);
    },
  };

  const hear = (frame: Frame): void => {
    const type = textOf(frame, "type");
    if (Object.hasOwn(heard, type)) heard[type]?.(frame, waiting.get(textOf(frame, "id")));
  };

  const learn = ({ id, answer }: Frame): void => {
    for (const name of namesIn(answer, "agents", "name")) meet(name, people.get(name) ?? false);
    for (const name of namesIn(answer, "mailboxes", "mailbox")) meet(name, people.get(name) ?? false);
    for (const peer of listIn(answer, "peers")) {
      const name = textOf(peer, "agent");
      if (name !== "") meet(name, textOf(peer, "status") === "online");
    }
    if (!asksWho || id !== DIRECTORIES.at(-1)) return;
    asksWho = false;
    const names = [...people].toSorted(([a], [b]) => (a < b ? -1 : 1));
    print(
      names.length === 0
        ? "Nobody else is here."
        : names.map(([name, on]) => `  ${name}${on ? " (online)" : ""}`).join("\n"),
    );
  };

  const converse = async (): Promise<void> => {
    await using talk = await dial();
    const hangUp = () => void talk[Symbol.asyncDispose]();
    ended.addEventListener("abort", hangUp, { once: true });
    try {
      if (ended.aborted) return;
      const frames = talk.frames[Symbol.asyncIterator]();
      const audience = await audienceOf(talk, frames);
      reached = true;
      current = { talk, audience };
      talk.send({ type: "register", agent, ack: "manual" });
      for (const { frame } of waiting.values()) talk.send(frame);
      sendUnsent();
      for (let next = await frames.next(); !next.done; next = await frames.next()) hear(next.value);
    } finally {
      current = undefined;
      ended.removeEventListener("abort", hangUp);
    }
  };

  print(`Connecting to ${url} as ${agent}...`);
  void (async () => {
    for await (const line of chat.lines) obey(line);
    done.abort();
  })();
  while (!ended.aborted) {
    try {
      await converse();
    } catch (error) {
      if (ended.aborted) break;
      if (!reached || !isPassing(error)) throw error;
    }
    if (ended.aborted) break;
    if (!lost) note("The connection is lost; trying again");
    lost = true;
    await pause.wait();
  }
  print("Disconnected from server");
}

const HELP = "Type a name and a message to send it, /who to see who is there, /quit to leave.";

function listIn(answer: unknown, field: string): readonly unknown[] {
  if (Array.isArray(answer)) return field === "agents" ? answer : [];
  const found: unknown = typeof answer === "object" && answer !== null ? Reflect.get(answer, field) : undefined;
  return Array.isArray(found) ? found : [];
}

function namesIn(answer: unknown, field: string, name: string): readonly string[] {
  return listIn(answer, field)
    .map((entry) => textOf(entry, name))
    .filter((text) => text !== "");
}
