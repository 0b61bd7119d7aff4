import { maySee } from "../core/access.ts";
import type { Identity } from "../core/caller.ts";
import { invalid } from "../core/errors.ts";
import { type BusEvent, cursorOf, events, type Happening } from "../core/events.ts";
import { messagesAfter, send } from "../core/messages.ts";
import { proofs } from "../core/proof.ts";
import { messageBytes, sign } from "../core/signature.ts";
import { type Status, statusOf } from "../core/status.ts";
import type { StoredMessage } from "../core/store.ts";
import { askerOf } from "./askers.ts";
import { json, name, optional, seconds, stampFields, text, whole } from "./fields.ts";
import { indented, operation } from "./operation.ts";
import { publicPeer } from "./peers.ts";
import { publicOrder } from "./public-order.ts";
import { publicSignal } from "./signals.ts";
import type { Quote } from "./tool.ts";
import { waitSeconds } from "./waits.ts";

const channelName = name("The channel");

/** A message whose content is JSON as that JSON, any other as its text. */
function publicMessage({ id, channel, sender, content, timestamp }: StoredMessage) {
  return { id, channel, from: sender, data: asJson(content), ts: timestamp };
}

/** What is stored of any JSON, so that it comes back as it was: plain text as it is, unless that reads as other JSON. */
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

export const sendToChannel = operation({
  name: "channel send",
  summary: "Send any JSON to a channel",
  examples: [`el-ipc channel send builds '{"status":"green"}' --from bac-1a2b3c`],
  access: "actor",
  http: "POST /channels/:channel/send",
  body: "data",
  input: {
    channel: channelName,
    data: json("What is sent"),
    from: optional(name("Who sends it (human)")),
    signature: optional(text("Base64 Ed25519 signature; --key makes it", { wireOnly: true })),
    ...stampFields,
  },
  words: ["channel", "data"],
  self: "from",
  sign: async (input, signer) => {
    if (input.from === undefined) return input;
    const stamp = await signer.stamp();
    const message = { channel: input.channel, sender: input.from, content: contentOf(input.data) };
    return { ...input, v: 2, ...stamp, signature: sign(messageBytes(message, stamp), signer.key) };
  },
  run: async (bus, { channel, data, from, signature, v, aud, nonce, ts }, { caller }) => {
    const content = contentOf(data);
    const asker = signature === undefined ? await askerOf(bus, from, caller) : from;
    // A session's id is nobody's name: what a token proves is sent in the name that it proves.
    const sender = caller.identity?.agent ?? asker ?? "human";
    const { id } = await send(bus, { channel, sender, content, signature, v, aud, nonce, ts }, caller);
    return { ok: true, id };
  },
  show: (answer) => JSON.stringify(answer),
  tell: ({ id }) => `Sent as #${id}`,
  tool: {
    name: "send_message",
    about: "Post to a channel, for everybody who reads it.",
    arguments: { channel: { about: "e.g. builds" }, data: { name: "message", about: "", type: "string" } },
    session: "from",
  },
});

export const channelMessages = operation({
  name: "channel messages",
  summary: "Print the messages of a channel, read or not, and consume none",
  examples: ["el-ipc channel messages builds", "el-ipc channel messages builds --since 5"],
  access: "reader",
  http: "GET /channels/:channel/messages",
  input: {
    channel: channelName,
    since: optional(whole("Only those after this id", { least: 0 })),
    limit: optional(whole("At most this many (1000)", { least: 1, most: 1_000 })),
    timeout: {
      ...optional(seconds("Wait this many seconds while there is none (over HTTP: milliseconds)")),
      httpMilliseconds: true,
    },
  },
  words: ["channel"],
  run: async (bus, { channel, since = 0, limit = 1_000, timeout }, { caller, signal }) => {
    const proofOf = await proofs(bus);
    const wait = timeout === undefined ? undefined : waitSeconds(timeout, caller);
    const found = await messagesAfter(bus, { channel, since, limit, seconds: wait }, signal);
    return { ok: true, messages: found.map((message) => ({ ...publicMessage(message), proof: proofOf(message) })) };
  },
  show: ({ messages }) => messages.map((message) => JSON.stringify(message)).join("\n"),
  tell: ({ messages }, { limit }, quote) => {
    if (messages.length === 0) return "No messages";
    const lines = messages.map(({ id, from, data, proof }) => {
      return `#${id} ${quote({ from, text: typeof data === "string" ? data : JSON.stringify(data), proof })}`;
    });
    return [...lines, ...(messages.length === limit ? ["There may be more: since_id."] : [])].join("\n");
  },
  tool: {
    name: "read_messages",
    about: "Read a channel, oldest first; from then on, only what is new.",
    arguments: {
      channel: { about: "" },
      since: { name: "since_id", about: "Only after this id: the last that you have seen" },
      limit: { about: "At most this many (50)", usual: 50 },
      timeout: { about: "Wait so many seconds if there is none (at most 300)" },
    },
  },
  waits: ({ timeout }) => timeout !== undefined,
});

export const showStatus = operation({
  name: "status",
  summary: "Print all that is on the bus: sessions, commands, signals and channels",
  examples: ["el-ipc status"],
  access: "reader",
  http: "GET /status",
  input: {},
  words: [],
  run: async (bus) => publicStatus(await statusOf(bus)),
  show: (status) => indented(status),
  tell: (status, _, quote) => statusText(status, quote),
  tool: {
    name: "broker_status",
    about: "The bus in a few lines: peers, open commands, signals, channels.",
    arguments: {},
  },
});

export const watchEvents = operation({
  name: "events",
  summary: "Print everything that happens, a JSON line each; first all that is",
  examples: ["el-ipc events"],
  access: "reader",
  http: "GET /events",
  stream: true,
  input: { since: optional(text("Go on after this event's id instead of with a snapshot")) },
  words: [],
  run: (bus, { since }, { caller, signal }) => {
    const cursor = since === undefined ? undefined : cursorOf(since);
    if (since !== undefined && cursor === undefined) throw invalid("since must be an event's id");
    return publicEvents(events(bus, cursor, signal), caller.identity);
  },
  show: (event) => JSON.stringify(event),
});

/** What is said where the watcher may not look is left out. */
async function* publicEvents(told: AsyncIterable<BusEvent>, watcher: Identity | undefined) {
  for await (const { id, at, happening } of told) {
    if (happening.kind === "message" && !maySee(happening.message.channel, watcher)) continue;
    yield { id, ts: at, ...publicHappening(happening, at) };
  }
}

function publicHappening(happening: Happening, now: number) {
  switch (happening.kind) {
    case "snapshot":
      return { type: "snapshot", data: publicStatus(happening.status) };
    case "message":
      return { type: "message", data: publicMessage(happening.message) };
    case "peer":
      return {
        type: `peer_${happening.what}`,
        data: happening.subject ? publicPeer(happening.subject, now) : { id: happening.key },
      };
    case "order":
      return {
        type: `command_${happening.what}`,
        data: happening.subject ? publicOrder(happening.subject) : { id: happening.key },
      };
    case "signal":
      return {
        type: `signal_${happening.what}`,
        data: happening.subject ? publicSignal(happening.subject) : { name: happening.key },
      };
  }
}

function publicStatus({ now, secure_mode, peers, commands, signals, channels }: Status) {
  return {
    ok: true,
    secure_mode,
    now,
    peers: peers.map((peer) => publicPeer(peer, now)),
    commands: commands.map(publicOrder),
    signals: signals.map(publicSignal),
    channels: channels.map(({ channel, count, lastMessage }) => ({ channel, count, last_message: lastMessage })),
  };
}

/** All that is on the bus, in as few words as will do. */
function statusText(
  { secure_mode, peers, commands, signals, channels }: ReturnType<typeof publicStatus>,
  quote: Quote,
) {
  const online = peers.filter(({ status }) => status === "online").map(({ id, role }) => `${id} ${role}`);
  const open = commands.filter(({ status }) => status === "pending" || status === "leased" || status === "dead");
  const lines = [
    `peers online: ${inWords(online)} (${peers.length - online.length} gone)`,
    `open commands: ${inWords(open.map(({ id, action, target, status }) => `${id} ${action} for ${target} ${status}`))}`,
    `signals: ${inWords(signals.map(({ name }) => name))}`,
    `channels: ${inWords(channels.map(({ channel, count }) => `${channel} (${count})`))}`,
  ];
  return `${secure_mode ? "Secure" : "Open"} mode\n${quote({ from: "bus", text: lines.join("\n") })}`;
}

const MOST_LISTED = 20;

function inWords(things: readonly string[]): string {
  const more = things.length - MOST_LISTED;
  return [...things.slice(0, MOST_LISTED), ...(more > 0 ? [`${more} more`] : [])].join("; ") || "none";
}
