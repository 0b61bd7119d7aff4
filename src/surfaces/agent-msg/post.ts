import type { Message } from "../../core/messages.ts";
import { listAgents } from "../../operations/agents.ts";
import {
  arrivedMessages,
  fetchMail,
  listMailboxes,
  postMail,
  showInbox,
  waitMail,
} from "../../operations/mailboxes.ts";
import { type Ask, askOne } from "../../operations/perform.ts";
import { listSessions } from "../../operations/sessions.ts";
import type { Letter } from "./folder.ts";

/** The bus, signed for whoever this is. */
export interface Post {
  /** Whether anybody of that name is registered or connected, or has a mailbox. */
  knows(name: string): Promise<boolean>;
  agents(): Promise<readonly KnownAgent[]>;
  /** Answers with the message's id. */
  send(from: string, to: string, message: string): Promise<string>;
  /** What waits in the mailbox, and stays there. */
  read(name: string): Promise<readonly Letter[]>;
  /** What waits, for nobody else from now on: it is there again where `arrived` doesn't follow. */
  take(name: string): Promise<readonly Letter[]>;
  /** The next one, once it is there; nothing where it was told to stop. */
  wait(name: string): Promise<Letter | undefined>;
  arrived(name: string, letter: Letter): Promise<void>;
}

export interface KnownAgent {
  readonly name: string;
  /** agent, operator, connected or mailbox */
  readonly what: string;
}

export function createPost(door: Ask, signal: AbortSignal): Post {
  const agents = async (): Promise<readonly KnownAgent[]> => {
    const [{ mailboxes }, registered, { peers }] = await Promise.all([
      askOne(door, listMailboxes, {}, signal),
      askOne(door, listAgents, {}, signal),
      askOne(door, listSessions, {}, signal),
    ]);
    const sessions = peers.flatMap(({ id, agent }) => (agent === null ? [id] : [id, agent]));
    return [
      ...registered.map(({ name, role }) => ({ name, what: role })),
      ...sessions.map((name) => ({ name, what: "connected" })),
      ...mailboxes.map(({ mailbox }) => ({ name: mailbox, what: "mailbox" })),
    ].filter(({ name }, index, all) => all.findIndex((other) => other.name === name) === index);
  };
  const letter = (to: string, { id, sender, content, timestamp }: Message): Letter => ({
    id: String(id),
    from: sender,
    to,
    message: content,
    timestamp: new Date(timestamp * 1_000).toISOString(),
  });

  return {
    agents,
    knows: async (name) => (await agents()).some((agent) => agent.name === name),
    send: async (from, to, message) => String((await askOne(door, postMail, { to, from, message }, signal)).id),
    async read(name) {
      const { messages } = await askOne(door, showInbox, { mailbox: name }, signal);
      return messages.map((message) => letter(name, message));
    },
    async take(name) {
      const { messages } = await askOne(door, fetchMail, { mailbox: name, ack: "manual" }, signal);
      return messages.map((message) => letter(name, message));
    },
    async wait(name) {
      const answer = await askOne(door, waitMail, { mailbox: name, ack: "manual" }, signal);
      return answer === null ? undefined : letter(name, answer.message);
    },
    async arrived(name, { id }) {
      await askOne(door, arrivedMessages, { mailbox: name, ids: [Number(id)] }, signal);
    },
  };
}
