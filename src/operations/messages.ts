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
import { messageBytes, sign } from "../core/signature.ts";
import { content, flag, name, oneOf, optional, seconds, stampFields, text, waitSeconds, whole } from "./fields.ts";
import { confirmMail, returnMail } from "./mailboxes.ts";
import { defineOperation, indented, parseRequest } from "./operation.ts";

export const showReceipts = defineOperation({
  name: "receipts",
  summary: "Say which agents have read a message",
  details: "Derived from the watermarks: who has consumed the channel up to the message has read it.",
  examples: ["el-ipc receipts 42", "el-ipc receipts 42 --wait-for reader --timeout 60"],
  access: { level: "reader" },
  http: "GET /receipts",
  input: {
    fields: {
      id: whole("The message", { least: 1 }),
      wait_for: optional(name("Wait until this agent has read it")),
      timeout: optional(seconds("Wait this many seconds at most (by HTTP itself 30, and 300 at most)")),
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
      sender: name("Who sends it"),
      content: content("What it says; - reads it from standard input"),
      signature: optional(text("Base64 Ed25519 signature; --key makes it")),
      wait_for_read: { ...optional(name("Then wait until this agent has read it")), callerOnly: true },
      timeout: { ...optional(seconds("Wait this many seconds at most for that")), callerOnly: true },
      ...stampFields,
    },
    positionals: ["channel", "sender", "content"],
    self: "sender",
  },
  signature: {
    add: async (input, signer) => {
      const stamp = await signer.stamp();
      return { ...input, v: 2, ...stamp, signature: sign(messageBytes(input, stamp), signer.key) };
    },
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
  summary: "Say that an agent has consumed a channel up to a message",
  details: "The agent's watermark moves to that message. It never moves back.",
  examples: ["el-ipc ack builds herald 42"],
  access: { level: "reader" },
  http: "POST /ack",
  idempotent: true,
  input: {
    fields: {
      channel: name("The channel"),
      agent: name("The agent that has consumed it"),
      id: whole("The id of the last message consumed", { least: 0 }),
    },
    positionals: ["channel", "agent", "id"],
    self: "agent",
  },
  run: async (bus, { channel, agent, id }) => ({ ok: true, watermark: await acknowledge(bus, channel, agent, id) }),
});

export const readMessages = defineOperation({
  name: "read",
  summary: "Read an agent's unread messages of a channel",
  details: [
    "Prints a JSON array of {id, sender, content, timestamp, signed?}, oldest first; [] when there is nothing.",
    "The agent's watermark moves once the messages were printed, so each is read once. With --wait it blocks until a",
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
      agent: name("Who reads it"),
      wait: flag("Wait for a message while there is none"),
      timeout: optional(seconds("Wait this many seconds at most (by HTTP itself 30, and 300 at most)")),
      burst: optional(
        seconds("After the first message of a wait, collect more for this many seconds", 0, WAIT_SECONDS),
      ),
      peek: flag("Leave them unread"),
      limit: optional(whole("At most this many messages", { least: 1, most: BATCH_MESSAGES })),
      others: flag("Leave out one's own messages"),
      ack: optional(oneOf("manual: the watermark moves by `ack` alone", ["auto", "manual"])),
    },
    positionals: ["channel", "agent"],
    self: "agent",
  },
  run: (bus, input, { caller, signal }) =>
    (empties(input) ? readMail : read)(
      bus,
      {
        channel: input.channel,
        agent: input.agent,
        limit: input.limit,
        others: input.others ?? false,
        peek: input.peek ?? false,
        wait: input.wait ?? false,
        seconds: waitSeconds(input.timeout, caller),
        burst: input.burst ?? 0,
      },
      signal,
    ),
  waits: { isWaiting: ({ wait = false }) => wait, isTimeout: (messages) => messages.length === 0 },
  after: {
    confirm: (messages, { channel, agent, peek, ack }) => {
      const last = messages.at(-1);
      if (last === undefined || peek || ack === "manual") return undefined;
      if (isOwnMailbox(channel, agent)) return confirmMail(agent, messages);
      return parseRequest(acknowledgeMessages, { channel, agent, id: last.id });
    },
    lost: async (bus, messages, input) => {
      if (empties(input)) await returnMail(bus, input.agent, messages);
    },
    turn: ({ channel, agent }) => `${channel}\n${agent}`,
  },
  output: { text: (messages: readonly Message[]) => indented(messages) },
});

/** Its owner empties a mailbox: of several who read it under that name, each message goes to one. */
function empties({ channel, agent, peek = false }: { channel: string; agent: string; peek?: boolean }): boolean {
  return isOwnMailbox(channel, agent) && !peek;
}

export const followChannel = defineOperation({
  name: "follow",
  summary: "Print a channel's messages as they come, a JSON line each",
  details: "Begins with what is unread and goes on until it is stopped. Each message is consumed once it was printed.",
  examples: ["el-ipc follow builds herald", "el-ipc follow builds herald --peek --since 0"],
  access: { level: "reader" },
  http: "GET /follow",
  stream: true,
  input: {
    fields: {
      channel: name("The channel to follow"),
      agent: name("Who follows it"),
      since: optional(whole("Begin after the message of this id instead of with what is unread", { least: 0 })),
      peek: flag("Leave them unread"),
      others: flag("Leave out one's own messages"),
    },
    positionals: ["channel", "agent"],
    self: "agent",
  },
  run: (bus, { channel, agent, since, others }, { signal }) =>
    follow(bus, { channel, agent, since, others: others ?? false }, signal),
  after: {
    confirm: (message, { channel, agent, peek }) =>
      peek ? undefined : parseRequest(acknowledgeMessages, { channel, agent, id: message.id }),
  },
  output: { text: (message: Message) => JSON.stringify(message) },
});
