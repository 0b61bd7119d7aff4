import { type Access, getRights, isSecure, type Rights } from "../core/access.ts";
import type { Bus } from "../core/bus.ts";
import { getBusDid } from "../core/card.ts";
import { countUnread, createProofLookup } from "../core/messages.ts";
import {
  type BusEvent,
  type EventBody,
  getStatus,
  getTraffic,
  parseCursor,
  type ReadProgress,
  type Status,
  streamEvents,
} from "../core/watching.ts";
import { toPublicChannels, toPublicMessage } from "./channels.ts";
import { toPublicCommand } from "./commands.ts";
import { checkText, name, optional, text, whole } from "./fields.ts";
import { defineOperation, indented, type Quote } from "./operation.ts";
import { toPublicSession } from "./sessions.ts";
import { toPublicSignal } from "./signals.ts";

export const showStatus = defineOperation({
  name: "status",
  summary: "Print the sessions, commands, signals and channels of the bus",
  examples: ["el-ipc status"],
  access: { level: "reader" },
  http: "GET /status",
  input: { fields: {} },
  run: async (bus, _, { caller }) => toPublicStatus(await getStatus(bus, caller)),
  output: { text: (status) => indented(status), model: (status, _, quote) => statusText(status, quote) },
  tool: {
    name: "broker_status",
    description: "The bus in a few lines: peers, open commands, signals, channels.",
    arguments: {},
  },
});

export function toPublicStatus({ now, isSecure, sessions, commands, signals, channels }: Status) {
  return {
    ok: true,
    secure_mode: isSecure,
    now,
    peers: sessions.map((session) => toPublicSession(session, now)),
    commands: commands.map(toPublicCommand),
    signals: signals.map(toPublicSignal),
    channels: toPublicChannels(channels),
  };
}

function statusText(
  { secure_mode, peers, commands, signals, channels }: ReturnType<typeof toPublicStatus>,
  quote: Quote,
) {
  const online = peers.filter(({ status }) => status === "online").map(({ id, role }) => `${id} ${role}`);
  const open = commands.filter(({ status }) => status === "pending" || status === "leased" || status === "dead");
  const lines = [
    `peers online: ${joinSome(online)} (${peers.length - online.length} gone)`,
    `open commands: ${joinSome(open.map(({ id, action, target, status }) => `${id} ${action} for ${target} ${status}`))}`,
    `signals: ${joinSome(signals.map(({ name }) => name))}`,
    `channels: ${joinSome(channels.map(({ channel, count }) => `${channel} (${count})`))}`,
  ];
  return `${secure_mode ? "Secure" : "Open"} mode\n${quote({ from: "bus", text: lines.join("\n") })}`;
}

const MAX_LISTED = 20;

function joinSome(things: readonly string[]): string {
  const more = things.length - MAX_LISTED;
  return [...things.slice(0, MAX_LISTED), ...(more > 0 ? [`${more} more`] : [])].join("; ") || "none";
}

export const watchEvents = defineOperation({
  name: "events",
  summary: "Print a snapshot of the bus, then every event, one line of JSON each",
  examples: ["el-ipc events"],
  access: { level: "reader" },
  http: "GET /events",
  stream: true,
  input: {
    fields: {
      since: optional({
        ...text("Continue after the event with this id, instead of with a snapshot"),
        check: checkText(eventIdFault),
      }),
    },
  },
  run: (bus, { since }, { caller, signal }) => {
    const cursor = since === undefined ? undefined : parseCursor(since);
    return publicEvents(bus, streamEvents(bus, cursor, caller, signal));
  },
});

function eventIdFault(value: string): string | undefined {
  return parseCursor(value) === undefined ? "must be an event's id, such as 5.24" : undefined;
}

async function* publicEvents(bus: Bus, events: AsyncIterable<BusEvent>) {
  for await (const { id, at, body } of events) {
    if (body.kind !== "message") yield { id, ts: at, ...toPublicEvent(body, at) };
    else {
      const { message } = body;
      yield { id, ts: at, type: "message", data: toPublicMessage(message, (await createProofLookup(bus))(message)) };
    }
  }
}

function toPublicEvent(body: Exclude<EventBody, { kind: "message" }>, now: number) {
  switch (body.kind) {
    case "snapshot": {
      const { status, readings } = body;
      return { type: "snapshot", data: { ...toPublicStatus(status), readings: toPublicReadings(readings) } };
    }
    case "sessions":
      return { type: "peers_seen", data: body.sessions.map((session) => toPublicSession(session, now)) };
    case "pruned":
      return { type: "channels_pruned", data: toPublicChannels(body.channels) };
    case "readings":
      return { type: "readings", data: toPublicReadings(body.readings) };
    case "session":
      return { type: `peer_${body.what}`, data: body.subject ? toPublicSession(body.subject, now) : { id: body.key } };
    case "command":
      return { type: `command_${body.what}`, data: body.subject ? toPublicCommand(body.subject) : { id: body.key } };
    case "signal":
      return { type: `signal_${body.what}`, data: body.subject ? toPublicSignal(body.subject) : { name: body.key } };
  }
}

function toPublicReadings(readings: readonly ReadProgress[]) {
  return readings.map(({ channel, agent, lastId, unread }) => ({ channel, agent, last_id: lastId, unread }));
}

export const showTraffic = defineOperation({
  name: "traffic",
  summary: "Count the messages of the last minutes, by minute and by sender and channel",
  examples: ["el-ipc traffic", "el-ipc traffic --minutes 10"],
  access: { level: "reader" },
  http: "GET /traffic",
  input: { fields: { minutes: optional(whole("How far back (60)", { min: 1, max: 1_440 })) } },
  run: async (bus, { minutes = 60 }, { caller }) => ({ ok: true, ...(await getTraffic(bus, minutes, caller)) }),
  output: {
    text: ({ minutes, flows }) =>
      [
        ...minutes.map(({ ts, count }) => `${new Date(ts * 1_000).toISOString().slice(0, 16)}Z  ${count}`),
        ...flows.map(({ from, channel, count }) => `${from} -> ${channel}  ${count}`),
      ].join("\n"),
  },
});

const MEANS: Readonly<Record<Access, string>> = {
  anyone: "ask how it is",
  signed: "send",
  reader: "read",
  actor: "work as a session",
  keeper: "prune and reset",
};

export const showRights = defineOperation({
  name: "rights",
  summary: "Show who the bus thinks you are, and what you may do",
  examples: ["el-ipc rights", "el-ipc rights --url http://localhost:9876"],
  access: { level: "anyone", dependsOnCaller: () => true },
  http: "GET /rights",
  input: { fields: {} },
  run: async (bus, _, { caller }) => ({ ok: true, ...(await getRights(bus, caller)) }),
  output: {
    text: ({ secure_mode, agent, operator, may }: Rights) =>
      [
        `${agent ?? "nobody in particular"}${operator ? " (operator)" : ""}, in ${secure_mode ? "secure" : "open"} mode`,
        `may ${may.map((access) => MEANS[access]).join(", ")}`,
      ].join("\n"),
  },
});

export const showHealth = defineOperation({
  name: "health",
  summary: "Show whether the bus works and is in secure mode, and how many unread messages an agent has",
  examples: ["el-ipc health", "el-ipc health builds herald"],
  access: { level: "anyone", dependsOnCaller: ({ agent }) => agent !== undefined },
  http: "GET /health",
  input: {
    fields: {
      channel: optional(name("A channel")),
      agent: optional(name("The agent whose unread messages there are counted")),
    },
    positionals: ["channel", "agent"],
    self: "agent",
  },
  run: async (bus, { channel, agent }, { caller }) => {
    const counts = channel !== undefined && agent !== undefined;
    const pending = counts ? await countUnread(bus, { channel, agent }, caller) : 0;
    const did = await getBusDid(bus);
    return { status: "ok", pending, secure_mode: await isSecure(bus), ...(did === undefined ? {} : { did }) };
  },
  output: {
    note: (_, { channel, agent }) =>
      channel === undefined || agent !== undefined ? undefined : "Nothing was counted: say for which agent",
  },
});

export const watchOperations = [showStatus, showTraffic, watchEvents] as const;
