import { BATCH_MESSAGES, WAIT_SECONDS } from "../core/limits.ts";
import { readMail } from "../core/mailboxes.ts";
import {
  acknowledge,
  follow,
  getReceipts,
  type Message,
  type Receipts,
  read,
  send,
  waitUntilRead,
} from "../core/messages.ts";
import { isOwnMailbox } from "../core/names.ts";
import { content, flag, name, oneOf, optional, seconds, stampFields, text, waitSeconds, whole } from "./fields.ts";
import { confirmMail, returnMail } from "./mailboxes.ts";
import { defineOperation, indented, parseRequest, signMessage } from "./operation.ts";

export const showReceipts = defineOperation({
  name: "receipts",
  summary: "Show which agents have read a message",
  details: "An agent has read a message once it has consumed the channel up to there.",
  examples: ["el-ipc receipts 42", "el-ipc receipts 42 --wait-for reader --timeout 60"],
  access: { level: "reader" },
  http: "GET /receipts",
  input: {
    fields: {
      id: whole("The message", { min: 1 }),
      wait_for: optional(name("Wait until this agent has read it")),
      timeout: optional(seconds("Wait at most this many seconds (over HTTP 30 by default, 300 at most)")),
    },
    positionals: ["id"],
  },
  run: (bus, { id, wait_for, timeout }, { caller, signal }) =>
    wait_for === undefined
      ? getReceipts(bus, id, caller)
      : waitUntilRead(bus, { id, agent: wait_for, seconds: waitSeconds(timeout, caller) }, caller, signal),
  waits: {
    isWaiting: ({ wait_for }) => wait_for !== undefined,
    isTimeout: ({ read_by }, { wait_for }) => wait_for !== undefined && !read_by.includes(wait_for),
  },
  output: {
    text: (answer: Receipts) => JSON.stringify(answer),
    failure: ({ id, read_by }, { wait_for }) =>
      wait_for === undefined || read_by.includes(wait_for) ? undefined : `${wait_for} has not read message ${id} yet`,
  },
});

export const sendMessage = defineOperation({
  name: "send",
  summary: "Send a message to a channel",
  examples: [
    'el-ipc send builds herald "main is green"',
    'el-ipc send builds herald "main is green" --key herald.key',
    "git log -1 | el-ipc send builds herald -",
    'el-ipc send builds herald "look at this" --wait-for-read reader --timeout 60',
    "el-ipc send builds herald --file report.md --url http://localhost:9876",
  ],
  access: { level: "signed" },
  http: "POST /send",
  input: {
    fields: {
      channel: name("The channel to send to"),
      sender: name("The sender"),
      content: content("The text; - reads it from standard input"),
      signature: optional(text("Base64 Ed25519 signature; --key makes it")),
      wait_for_read: { ...optional(name("Then wait until this agent has read it")), callerOnly: true },
      timeout: { ...optional(seconds("Wait at most this many seconds for that")), callerOnly: true },
      ...stampFields,
    },
    positionals: ["channel", "sender", "content"],
    self: "sender",
  },
  signature: {
    add: async (input, signer) => ({ ...input, ...(await signMessage(input, signer)) }),
  },
  run: async (bus, { channel, sender, content, signature, v, aud, nonce, ts }, { caller }) => {
    const message = { channel, sender, content, signature, v, aud, nonce, ts };
    const { id, duplicate } = await send(bus, message, caller);
    return { ok: true, id, ...(duplicate ? { duplicate } : {}) };
  },
  after: {
    next: ({ id }, { wait_for_read, timeout }) =>
      wait_for_read === undefined
        ? []
        : [{ request: parseRequest(showReceipts, { id, wait_for: wait_for_read, timeout }), isShown: false }],
  },
  output: {
    text: ({ ok, id }, { channel, signature }) => JSON.stringify({ ok, id, channel, signed: signature !== undefined }),
  },
});

export const acknowledgeMessages = defineOperation({
  name: "ack",
  summary: "Mark a channel as consumed by an agent, up to a message",
  details: "The agent's watermark moves to that message. It never moves back.",
  examples: ["el-ipc ack builds herald 42"],
  access: { level: "reader" },
  http: "POST /ack",
  idempotent: true,
  input: {
    fields: {
      channel: name("The channel"),
      agent: name("The agent that has consumed it"),
      id: whole("The id of the last message consumed", { min: 0 }),
    },
    positionals: ["channel", "agent", "id"],
    self: "agent",
  },
  run: async (bus, { channel, agent, id }) => ({ ok: true, watermark: await acknowledge(bus, channel, agent, id) }),
});

export const readMessages = defineOperation({
  name: "read",
  summary: "Read an agent's unread messages in a channel",
  details: [
    "Prints a JSON array of {id, sender, content, timestamp, signed?}, oldest first; [] when there is nothing.",
    "The agent's watermark moves once the messages are printed, so each is read once. With --wait it blocks until a",
    "message comes, for as long as that takes unless --timeout bounds it.",
  ].join("\n"),
  examples: [
    "el-ipc read builds herald",
    "el-ipc read builds herald --wait",
    "el-ipc read builds herald --wait --timeout 60 --others",
    "IPC_AGENT=herald el-ipc read builds --peek --limit 10",
  ],
  access: { level: "reader" },
  http: "GET /messages",
  input: {
    fields: {
      channel: name("The channel to read"),
      agent: name("The reader"),
      wait: flag("Wait for a message if there is none"),
      timeout: optional(seconds("Wait at most this many seconds (over HTTP 30 by default, 300 at most)")),
      burst: optional(
        seconds("After the first message of a wait, collect more for this many seconds", 0, WAIT_SECONDS),
      ),
      peek: flag("Leave them unread"),
      limit: optional(whole("At most this many messages", { min: 1, max: BATCH_MESSAGES })),
      others: flag("Leave out the reader's own messages"),
      ack: optional(oneOf("manual: only `ack` moves the watermark", ["auto", "manual"])),
    },
    positionals: ["channel", "agent"],
    self: "agent",
  },
  run: (bus, { others = false, peek = false, wait = false, burst = 0, ...input }, { caller, signal }) => {
    const { channel, agent, limit } = input;
    const request = { channel, agent, limit, others, peek, wait, burst, seconds: waitSeconds(input.timeout, caller) };
    return (takesMail(request) ? readMail : read)(bus, request, signal);
  },
  waits: { isWaiting: ({ wait = false }) => wait, isTimeout: (messages) => messages.length === 0 },
  after: {
    confirm: (messages, { channel, agent, peek, ack }) => {
      const last = messages.at(-1);
      if (last === undefined || peek || ack === "manual") return undefined;
      if (isOwnMailbox(channel, agent)) return confirmMail(agent, messages);
      return parseRequest(acknowledgeMessages, { channel, agent, id: last.id });
    },
    lost: async (bus, messages, input) => {
      if (takesMail(input)) await returnMail(bus, input.agent, messages);
    },
    turn: ({ channel, agent }) => `${channel}\n${agent}`,
  },
  output: { text: (messages: readonly Message[]) => indented(messages) },
});

/** Whether a read takes messages from the reader's own mailbox. Each then goes to one reader only. */
function takesMail({ channel, agent, peek = false }: { channel: string; agent: string; peek?: boolean }): boolean {
  return isOwnMailbox(channel, agent) && !peek;
}

export const followChannel = defineOperation({
  name: "follow",
  summary: "Print a channel's messages as they arrive, one line of JSON each",
  details: "Starts with the unread messages and runs until it is stopped. Each message is consumed once it is printed.",
  examples: ["el-ipc follow builds herald", "el-ipc follow builds herald --peek --since 0"],
  access: { level: "reader" },
  http: "GET /follow",
  stream: true,
  input: {
    fields: {
      channel: name("The channel to follow"),
      agent: name("The reader"),
      since: optional(whole("Start after the message with this id, instead of with the unread ones", { min: 0 })),
      peek: flag("Leave them unread"),
      others: flag("Leave out the reader's own messages"),
    },
    positionals: ["channel", "agent"],
    self: "agent",
  },
  run: (bus, { channel, agent, since, others = false }, { signal }) =>
    follow(bus, { channel, agent, since, others }, signal),
  after: {
    confirm: (message, { channel, agent, peek }) =>
      peek ? undefined : parseRequest(acknowledgeMessages, { channel, agent, id: message.id }),
  },
  output: { text: (message: Message) => JSON.stringify(message) },
});

export const messageOperations = [sendMessage, readMessages, acknowledgeMessages, followChannel, showReceipts] as const;
