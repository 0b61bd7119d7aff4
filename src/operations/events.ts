import { maySee } from "../core/access.ts";
import type { Bus } from "../core/bus.ts";
import type { Identity } from "../core/caller.ts";
import { invalid } from "../core/errors.ts";
import { type BusEvent, cursorOf, events, type Happening } from "../core/events.ts";
import { proofs } from "../core/proof.ts";
import type { Reading } from "../core/readings.ts";
import { optional, text } from "./fields.ts";
import { operation } from "./operation.ts";
import { publicPeer } from "./peers.ts";
import { publicOrder } from "./public-order.ts";
import { publicSignal } from "./signals.ts";
import { publicChannels, publicStatus } from "./status.ts";
import { publicMessage } from "./streams.ts";

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
    if (since !== undefined && cursor === undefined) throw invalid("since must be an event's id, such as 5.24");
    return publicEvents(bus, events(bus, cursor, signal), caller.identity);
  },
  show: (event) => JSON.stringify(event),
});

/** What is said where the watcher may not look is left out. */
async function* publicEvents(bus: Bus, told: AsyncIterable<BusEvent>, watcher: Identity | undefined) {
  for await (const { id, at, happening } of told) {
    if (happening.kind !== "message") yield { id, ts: at, ...publicHappening(happening, at, watcher) };
    else if (maySee(happening.message.channel, watcher)) {
      const { message } = happening;
      yield { id, ts: at, type: "message", data: publicMessage(message, (await proofs(bus))(message)) };
    }
  }
}

function publicHappening(
  happening: Exclude<Happening, { kind: "message" }>,
  now: number,
  watcher: Identity | undefined,
) {
  switch (happening.kind) {
    case "snapshot": {
      const { status, readings } = happening;
      return {
        type: "snapshot",
        data: { ...publicStatus(status, watcher), readings: publicReadings(readings, watcher) },
      };
    }
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
