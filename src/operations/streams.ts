import { maySee } from "../core/access.ts";
import type { Identity } from "../core/caller.ts";
import { invalid } from "../core/errors.ts";
import { type BusEvent, cursorOf, events, type Happening } from "../core/events.ts";
import { send } from "../core/messages.ts";
import type { Reading } from "../core/readings.ts";
import { type Status, statusOf } from "../core/status.ts";
import type { ChannelSummary, StoredMessage } from "../core/store.ts";
import { askerOf } from "./askers.ts";
import { json, name, optional, text, whole } from "./fields.ts";
import { indented, operation } from "./operation.ts";
import { publicOrder } from "./orders.ts";
import { publicPeer } from "./peers.ts";
import { publicSignal } from "./signals.ts";

const channelName = name("The channel");

/** A message whose content is JSON as that JSON, any other as its text. */
function publicMessage({ id, channel, sender, content, timestamp, signature, attested }: StoredMessage) {
  return {
    id,
    channel,
    from: sender,
    data: asJson(content),
    ts: timestamp,
    ...(signature === "" ? {} : { signed: true }),
    ...(attested ? { attested: true } : {}),
  };
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
  input: { channel: channelName, data: json("What is sent"), from: optional(name("Who sends it (human)")) },
  words: ["channel", "data"],
  self: "from",
  run: async (bus, { channel, data, from }, { caller }) => {
    const asker = await askerOf(bus, from, caller);
    // A session's id is nobody's name: what a token proves is sent in the name that it proves.
    const sender = caller.identity?.agent ?? asker;
    const { id } = await send(bus, { channel, sender, content: contentOf(data), signature: undefined }, caller);
    return { ok: true, id };
  },
  show: (answer) => JSON.stringify(answer),
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
    before: optional(whole("The last ones before this id instead", { least: 1 })),
    limit: optional(whole("At most this many (1000)", { least: 1, most: 1_000 })),
  },
  words: ["channel"],
  run: async (bus, { channel, since = 0, before, limit = 1_000 }) => {
    const { messages } = bus.store;
    const found = await (before === undefined
      ? messages.after(channel, since, limit)
      : messages.before(channel, before, limit));
    return { ok: true, messages: found.filter(({ id }) => id > since).map(publicMessage) };
  },
  show: ({ messages }) => messages.map((message) => JSON.stringify(message)).join("\n"),
});

export const showStatus = operation({
  name: "status",
  summary: "Print all that is on the bus: sessions, commands, signals and channels",
  examples: ["el-ipc status"],
  access: "reader",
  http: "GET /status",
  input: {},
  words: [],
  run: async (bus, _, { caller }) => publicStatus(await statusOf(bus), caller.identity),
  show: indented,
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
    yield { id, ts: at, ...publicHappening(happening, at, watcher) };
  }
}

function publicHappening(happening: Happening, now: number, watcher: Identity | undefined) {
  switch (happening.kind) {
    case "snapshot": {
      const { status, readings } = happening;
      return {
        type: "snapshot",
        data: { ...publicStatus(status, watcher), readings: publicReadings(readings, watcher) },
      };
    }
    case "message":
      return { type: "message", data: publicMessage(happening.message) };
    case "peers":
      return { type: "peers_seen", data: happening.peers.map((peer) => publicPeer(peer, now)) };
    case "pruned":
      return { type: "channels_pruned", data: publicChannels(happening.channels, watcher) };
    case "readings":
      return { type: "readings", data: publicReadings(happening.readings, watcher) };
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

function publicReadings(readings: readonly Reading[], watcher: Identity | undefined) {
  return readings
    .filter(({ channel }) => maySee(channel, watcher))
    .map(({ channel, agent, lastId, unread }) => ({ channel, agent, last_id: lastId, unread }));
}

function publicStatus({ now, secure_mode, peers, commands, signals, channels }: Status, watcher: Identity | undefined) {
  return {
    ok: true,
    secure_mode,
    now,
    peers: peers.map((peer) => publicPeer(peer, now)),
    commands: commands.map(publicOrder),
    signals: signals.map(publicSignal),
    channels: publicChannels(channels, watcher),
  };
}

function publicChannels(channels: readonly ChannelSummary[], watcher: Identity | undefined) {
  return channels
    .filter(({ channel }) => maySee(channel, watcher))
    .map(({ channel, count, lastMessage }) => ({ channel, count, last_message: lastMessage }));
}
