import type { Bus } from "../core/bus.ts";
import { BATCH_MESSAGES } from "../core/limits.ts";
import { getMailboxes, idsOf, markArrived, peekMail, releaseMail, takeMail, waitForMail } from "../core/mailboxes.ts";
import { type Message, send } from "../core/messages.ts";
import { mailboxOf } from "../core/names.ts";
import { content, ids, name, oneOf, optional, seconds, stampFields, text, waitSeconds, whole } from "./fields.ts";
import { defineOperation, parseRequest, signMessage } from "./operation.ts";

const mailbox = name("The mailbox's owner");

const ownMail = ({ mailbox }: { mailbox: string }) => ({ agent: mailbox, channel: mailboxOf(mailbox) });

export const postMail = defineOperation({
  name: "post",
  summary: "Post a message to an agent's mailbox",
  details: "A mailbox is the channel @name. Every surface can read it, and it needs no connected session.",
  examples: [
    'el-ipc post reviewer "please look at main" --from builder',
    "git diff | el-ipc post reviewer - --from builder",
  ],
  access: { level: "signed" },
  http: "POST /mailboxes/:to",
  input: {
    fields: {
      to: name("The mailbox's owner"),
      message: content("The text; - reads it from standard input"),
      from: name("The sender"),
      signature: optional(text("Base64 Ed25519 signature; --key makes it")),
      ...stampFields,
    },
    positionals: ["to", "message"],
    self: "from",
  },
  signature: {
    add: async (input, signer) => {
      const message = { channel: mailboxOf(input.to), sender: input.from, content: input.message };
      return { ...input, ...(await signMessage(message, signer)) };
    },
  },
  run: async (bus, { to, message, from, signature, v, aud, nonce, ts }, { caller }) => {
    const posted = { channel: mailboxOf(to), sender: from, content: message, signature, v, aud, nonce, ts };
    const { id, duplicate } = await send(bus, posted, caller);
    return { ok: true, id, ...(duplicate ? { duplicate } : {}) };
  },
  output: { text: ({ ok, id }, { to }) => JSON.stringify({ ok, id, to }) },
});

export const arrivedMessages = defineOperation({
  name: "mailbox settle",
  summary: "Confirm that messages of a mailbox have arrived",
  examples: ["el-ipc mailbox settle reviewer 42,43"],
  access: { level: "reader", subject: ownMail },
  http: "POST /mailboxes/:mailbox/settle",
  idempotent: true,
  input: {
    fields: { mailbox, ids: ids("Their ids, separated by commas") },
    positionals: ["mailbox", "ids"],
    self: "mailbox",
  },
  run: async (bus, { mailbox, ids }) => {
    await markArrived(bus, mailbox, ids);
    return { ok: true };
  },
});

export const fetchMail = defineOperation({
  name: "fetch",
  summary: "Print the messages in a mailbox, and consume them",
  examples: ["el-ipc fetch reviewer", "IPC_AGENT=reviewer el-ipc fetch"],
  access: { level: "reader", subject: ownMail },
  http: "GET /mailboxes/:mailbox/fetch",
  input: {
    fields: {
      mailbox,
      limit: optional(whole("At most this many messages", { min: 1, max: BATCH_MESSAGES })),
      ack: optional(oneOf("manual: only `mailbox settle` consumes it", ["auto", "manual"], { wireOnly: true })),
    },
    positionals: ["mailbox"],
    self: "mailbox",
  },
  run: async (bus, { mailbox, limit = BATCH_MESSAGES }) => ({
    ok: true,
    messages: await takeMail(bus, { mailbox, limit }),
  }),
  after: {
    confirm: ({ messages }, { mailbox, ack }) => (ack === "manual" ? undefined : confirmMail(mailbox, messages)),
    lost: (bus, { messages }, { mailbox }) => returnMail(bus, mailbox, messages),
  },
  output: { text: ({ messages }) => messages.map(mailLine).join("\n") },
});

export const waitMail = defineOperation({
  name: "wait",
  summary: "Wait for a message in a mailbox, print it, and consume it",
  examples: ["el-ipc wait reviewer", "el-ipc wait reviewer --timeout 60"],
  access: { level: "reader", subject: ownMail },
  http: "GET /mailboxes/:mailbox/wait",
  input: {
    fields: {
      mailbox,
      timeout: optional(seconds("Wait at most this many seconds (over HTTP 30 by default, 300 at most)")),
      ack: optional(oneOf("manual: only `mailbox settle` consumes it", ["auto", "manual"], { wireOnly: true })),
    },
    positionals: ["mailbox"],
    self: "mailbox",
  },
  run: async (bus, { mailbox, timeout }, { caller, signal }) => {
    const [message] = await waitForMail(bus, { mailbox, limit: 1, seconds: waitSeconds(timeout, caller) }, signal);
    return message === undefined ? null : { ok: true, message };
  },
  waits: { isWaiting: () => true },
  after: {
    confirm: (answer, { mailbox, ack }) =>
      answer === null || ack === "manual" ? undefined : confirmMail(mailbox, [answer.message]),
    lost: (bus, answer, { mailbox }) => returnMail(bus, mailbox, answer === null ? [] : [answer.message]),
  },
  output: {
    text: (answer) => (answer === null ? "" : mailLine(answer.message)),
    failure: (answer) => (answer === null ? "No message came in that time" : undefined),
  },
});

export const showInbox = defineOperation({
  name: "inbox",
  summary: "Print the messages in a mailbox, without consuming them",
  examples: ["el-ipc inbox reviewer"],
  access: { level: "reader", subject: ownMail },
  http: "GET /mailboxes/:mailbox",
  input: { fields: { mailbox }, positionals: ["mailbox"], self: "mailbox" },
  run: async (bus, { mailbox }) => ({ ok: true, ...(await peekMail(bus, mailbox)) }),
  output: { text: ({ messages }) => messages.map(mailLine).join("\n"), note: ({ unread }) => `${unread} unread` },
});

export const listMailboxes = defineOperation({
  name: "mailboxes",
  summary: "List the mailboxes, with their unread counts",
  examples: ["el-ipc mailboxes"],
  access: { level: "reader" },
  http: "GET /mailboxes",
  input: { fields: {} },
  run: async (bus, _, { caller }) => ({ ok: true, mailboxes: await getMailboxes(bus, caller) }),
  output: { text: ({ mailboxes }) => mailboxes.map(({ mailbox, unread }) => `${mailbox}  ${unread}`).join("\n") },
});

export function confirmMail(mailbox: string, messages: readonly Message[]) {
  return messages.length === 0 ? undefined : parseRequest(arrivedMessages, { mailbox, ids: idsOf(messages) });
}

export async function returnMail(bus: Bus, mailbox: string, messages: readonly Message[]): Promise<void> {
  if (messages.length > 0) await releaseMail(bus, mailbox, idsOf(messages));
}

function mailLine(message: Message): string {
  return JSON.stringify(message);
}

export const mailboxOperations = [postMail, fetchMail, waitMail, showInbox, arrivedMessages, listMailboxes] as const;
