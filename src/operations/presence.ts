import { hasArrived } from "../core/mailboxes.ts";
import { arrive, depart, presenceOf, stay } from "../core/presence.ts";
import { name, optional, seconds, whole } from "./fields.ts";
import { operation } from "./operation.ts";
import { waitSeconds } from "./waits.ts";

export const showPresence = operation({
  name: "online",
  summary: "Say whether an agent is connected now",
  details: "Connected over WebSocket, or as a session with its token. Messages reach it in any case, now or later.",
  examples: ["el-ipc online reviewer"],
  access: "reader",
  http: "GET /online/:name",
  input: { name: name("The agent") },
  words: ["name"],
  self: "name",
  asks: () => ({}),
  run: async (bus, { name }) => {
    const { online, lastSeen } = await presenceOf(bus, name);
    return { ok: true, name, online, last_seen: lastSeen ?? null };
  },
  show: ({ name, online }) => (online ? `${name} is online` : ""),
  failure: ({ online, name }) => (online ? undefined : `${name} is offline`),
});

const id = name("The session that stands for a connection");

/** What a server does for those who are connected to it, and nobody asks for by itself. */
export const connections = {
  arrive: operation({
    name: "arrive",
    summary: "Note that an agent is connected",
    examples: [],
    access: "reader",
    hidden: true,
    input: { agent: name("Who") },
    words: [],
    run: async (bus, { agent }, { caller }) => {
      const { id } = await arrive(bus, agent, caller);
      return { id, unread: await bus.store.messages.pending(`@${agent}`, agent) };
    },
    show: () => "",
  }),
  stay: operation({
    name: "stay",
    summary: "Note that it still is",
    examples: [],
    access: "anyone",
    hidden: true,
    input: { id },
    words: [],
    run: (bus, { id }) => stay(bus, id),
    show: () => "",
  }),
  depart: operation({
    name: "depart",
    summary: "Note that it isn't any more",
    examples: [],
    access: "anyone",
    hidden: true,
    input: { id },
    words: [],
    run: (bus, { id }) => depart(bus, id),
    show: () => "",
  }),
  arrival: operation({
    name: "arrival",
    summary: "Wait until a message has arrived with whom it was posted to",
    examples: [],
    access: "anyone",
    hidden: true,
    input: {
      to: name("Whose mailbox"),
      id: whole("The message", { least: 1 }),
      timeout: optional(seconds("For so long")),
    },
    words: [],
    run: (bus, { to, id, timeout }, { caller, signal }) =>
      hasArrived(bus, { mailbox: to, id, seconds: waitSeconds(timeout, caller) }, signal),
    show: () => "",
    waits: () => true,
  }),
};
