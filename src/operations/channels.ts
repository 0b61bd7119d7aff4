import { createProofLookup, getChannels, messagesAfter, messagesBefore, type Proof, send } from "../core/messages.ts";
import { resolveAsker } from "../core/sessions.ts";
import type { ChannelSummary, Json, StoredMessage } from "../core/store.ts";
import { json, name, optional, seconds, stampFields, text, waitSeconds, whole } from "./fields.ts";
import { defineOperation, indented, signMessage } from "./operation.ts";

export const listChannels = defineOperation({
  name: "channels",
  summary: "List the channels, newest first, with their message counts",
  examples: ["el-ipc channels", "el-ipc channels --json"],
  access: { level: "reader" },
  http: "GET /channels",
  input: { fields: {} },
  run: async (bus, _, { caller }) => toPublicChannels(await getChannels(bus, caller)),
  output: {
    text: (channels) => indented(channels),
    model: (channels, _, quote) => {
      if (channels.length === 0) return "No channels";
      return quote({ from: "channels", text: channels.map(({ channel, count }) => `${channel}: ${count}`).join("\n") });
    },
  },
  tool: { name: "list_channels", description: "The channels and their message counts, newest first.", arguments: {} },
});

const channelName = name("The channel");

/** A message as clients see it; content that is JSON becomes a value. */
export interface PublicMessage {
  readonly id: number;
  readonly channel: string;
  readonly from: string;
  readonly data: Json;
  readonly ts: number;
  readonly proof?: Proof | undefined;
}

export function toPublicMessage(message: StoredMessage, proof: Proof | undefined): PublicMessage {
  const { id, channel, sender, content, timestamp } = message;
  return { id, channel, from: sender, data: asJson(content), ts: timestamp, proof };
}

/** Encodes any JSON as content that reads back the same. Text stays plain, unless it would read as other JSON. */
function contentOf(data: unknown): string {
  return typeof data === "string" && data.isWellFormed() && asJson(data) === data ? data : JSON.stringify(data);
}

function asJson(content: string): unknown {
  try {
    return JSON.parse(content);
  } catch {
    return content;
  }
}

export const sendToChannel = defineOperation({
  name: "channel send",
  summary: "Send any JSON to a channel",
  examples: [`el-ipc channel send builds '{"status":"green"}' --from bac-1a2b3c`],
  access: { level: "actor" },
  http: "POST /channels/:channel/send",
  input: {
    body: "data",
    fields: {
      channel: channelName,
      data: json("The JSON to send"),
      from: optional(name("The sender (human)")),
      signature: optional(text("Base64 Ed25519 signature; --key makes it", { wireOnly: true })),
      ...stampFields,
    },
    positionals: ["channel", "data"],
    self: "from",
  },
  signature: {
    add: async (input, signer) => {
      if (input.from === undefined) return input;
      const message = { channel: input.channel, sender: input.from, content: contentOf(input.data) };
      return { ...input, ...(await signMessage(message, signer)) };
    },
  },
  run: async (bus, { channel, data, from, signature, v, aud, nonce, ts }, { caller }) => {
    const content = contentOf(data);
    const asker = signature === undefined ? await resolveAsker(bus, from, caller) : from;
    // A session's id is no agent's name, so a token's agent is the sender.
    const sender = caller.identity?.agent ?? asker ?? "human";
    const { id } = await send(bus, { channel, sender, content, signature, v, aud, nonce, ts }, caller);
    return { ok: true, id };
  },
  output: { model: ({ id }) => `Sent as #${id}` },
  tool: {
    name: "send_message",
    description: "Post to a channel, for everybody who reads it.",
    arguments: { channel: { description: "e.g. builds" }, data: { name: "message", description: "", type: "string" } },
    session: "from",
  },
});

export const channelMessages = defineOperation({
  name: "channel messages",
  summary: "Print a channel's messages, read or unread, without consuming them",
  examples: ["el-ipc channel messages builds", "el-ipc channel messages builds --since 5"],
  access: { level: "reader" },
  http: "GET /channels/:channel/messages",
  input: {
    fields: {
      channel: channelName,
      since: optional(whole("Only messages after this id", { min: 0 })),
      before: optional(whole("The last messages before this id instead", { min: 1 })),
      limit: optional(whole("At most this many (1000)", { min: 1, max: 1_000 })),
      timeout: {
        ...optional(seconds("Wait this many seconds if there is none (over HTTP: milliseconds)")),
        httpMilliseconds: true,
      },
    },
    positionals: ["channel"],
  },
  run: async (bus, { channel, since = 0, before, limit = 1_000, timeout }, { caller, signal }) => {
    const proofOf = await createProofLookup(bus);
    const wait = timeout === undefined ? undefined : waitSeconds(timeout, caller);
    const found =
      before === undefined
        ? await messagesAfter(bus, { channel, since, limit, seconds: wait }, signal)
        : await messagesBefore(bus, { channel, before, since, limit });
    return { ok: true, messages: found.map((message) => toPublicMessage(message, proofOf(message))) };
  },
  waits: { isWaiting: ({ timeout }) => timeout !== undefined },
  output: {
    text: ({ messages }) => messages.map((message) => JSON.stringify(message)).join("\n"),
    model: ({ messages }, { limit }, quote) => {
      if (messages.length === 0) return "No messages";
      const lines = messages.map(({ id, from, data, proof }) => {
        return `#${id} ${quote({ from, text: typeof data === "string" ? data : JSON.stringify(data), proof })}`;
      });
      return [...lines, ...(messages.length === limit ? ["There may be more: since_id."] : [])].join("\n");
    },
  },
  tool: {
    name: "read_messages",
    description: "Read a channel, oldest first; from then on, only what is new.",
    arguments: {
      channel: { description: "" },
      since: { name: "since_id", description: "Only after this id: the last that you have seen" },
      limit: { description: "At most this many (50)", default: 50 },
      timeout: { description: "Wait this many seconds if there is none (at most 300)" },
    },
  },
});

export function toPublicChannels(channels: readonly ChannelSummary[]) {
  return channels.map(({ channel, count, lastMessage }) => ({ channel, count, last_message: lastMessage }));
}

export const channelOperations = [sendToChannel, channelMessages] as const;
