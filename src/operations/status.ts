import { maySee } from "../core/access.ts";
import type { Identity } from "../core/caller.ts";
import { type Status, statusOf } from "../core/status.ts";
import type { ChannelSummary } from "../core/store.ts";
import { indented, operation } from "./operation.ts";
import { publicPeer } from "./peers.ts";
import { publicOrder } from "./public-order.ts";
import { publicSignal } from "./signals.ts";
import type { Quote } from "./tool.ts";

export const showStatus = operation({
  name: "status",
  summary: "Print all that is on the bus: sessions, commands, signals and channels",
  examples: ["el-ipc status"],
  access: "reader",
  http: "GET /status",
  input: {},
  words: [],
  run: async (bus, _, { caller }) => publicStatus(await statusOf(bus), caller.identity),
  show: (status) => indented(status),
  tell: (status, _, quote) => statusText(status, quote),
  tool: {
    name: "broker_status",
    about: "The bus in a few lines: peers, open commands, signals, channels.",
    arguments: {},
  },
});

/** What stands where the watcher may not look is left out. */
export function publicStatus(
  { now, secure_mode, peers, commands, signals, channels }: Status,
  watcher: Identity | undefined,
) {
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

export function publicChannels(channels: readonly ChannelSummary[], watcher: Identity | undefined) {
  return channels
    .filter(({ channel }) => maySee(channel, watcher))
    .map(({ channel, count, lastMessage }) => ({ channel, count, last_message: lastMessage }));
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
