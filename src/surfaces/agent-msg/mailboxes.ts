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
import { parseRequest } from "../../operations/operation.ts";
import type { Ask } from "../../operations/perform.ts";
import { listSessions } from "../../operations/sessions.ts";
import type { Letter } from "./folder.ts";

/** The mailboxes of the bus, with messages in the form of agent-msg's files. */
export interface Mailboxes {
  recipients(): Promise<readonly Recipient[]>;
  /** Returns the message's id, or undefined where the bus doesn't know the name. */
  send(from: string, to: string, message: string): Promise<string | undefined>;
  /** Returns the unread messages, and leaves them unread. */
  read(name: string): Promise<readonly Letter[]>;
  /** Leases the unread messages. An unacknowledged message returns. */
  take(name: string): Promise<readonly Letter[]>;
  /** Waits for the next message and leases it. Undefined once the signal aborts. */
  wait(name: string): Promise<Letter | undefined>;
  acknowledge(name: string, letter: Letter): Promise<void>;
}

export interface Recipient {
  readonly name: string;
  /** agent, operator, connected or mailbox */
  readonly kind: string;
}

export function createMailboxes(ask: Ask, signal: AbortSignal): Mailboxes {
  const recipients = async (): Promise<readonly Recipient[]> => {
    const [{ mailboxes }, registered, { peers }] = await Promise.all([
      ask(parseRequest(listMailboxes, {}), signal),
      ask(parseRequest(listAgents, {}), signal),
      ask(parseRequest(listSessions, {}), signal),
    ]);
    const sessions = peers.flatMap(({ id, agent }) => (agent === null ? [id] : [id, agent]));
    return [
      ...registered.map(({ name, role }) => ({ name, kind: role })),
      ...sessions.map((name) => ({ name, kind: "connected" })),
      ...mailboxes.map(({ mailbox }) => ({ name: mailbox, kind: "mailbox" })),
    ].filter(({ name }, index, all) => all.findIndex((other) => other.name === name) === index);
  };

  return {
    recipients,
    async send(from, to, message) {
      if (!(await recipients()).some(({ name }) => name === to)) return undefined;
      return String((await ask(parseRequest(postMail, { to, from, message }), signal)).id);
    },
    async read(name) {
      const { messages } = await ask(parseRequest(showInbox, { mailbox: name }), signal);
      return messages.map((message) => toLetter(name, message));
    },
    async take(name) {
      const { messages } = await ask(parseRequest(fetchMail, { mailbox: name, ack: "manual" }), signal);
      return messages.map((message) => toLetter(name, message));
    },
    async wait(name) {
      const answer = await ask(parseRequest(waitMail, { mailbox: name, ack: "manual" }), signal);
      return answer === null ? undefined : toLetter(name, answer.message);
    },
    async acknowledge(name, { id }) {
      await ask(parseRequest(arrivedMessages, { mailbox: name, ids: [Number(id)] }), signal);
    },
  };
}

function toLetter(to: string, { id, sender, content, timestamp }: Message): Letter {
  return {
    id: String(id),
    from: sender,
    to,
    message: content,
    timestamp: new Date(timestamp * 1_000).toISOString(),
  };
}
