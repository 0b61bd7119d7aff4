import type { Bus } from "../core/bus.ts";
import {
  getPresence,
  getSession,
  getSessions,
  heartbeat,
  isAlive,
  leave,
  ORCHESTRATOR,
  openSession,
  setRole,
} from "../core/sessions.ts";
import type { Session } from "../core/store.ts";
import { list, name, optional, word } from "./fields.ts";
import { defineOperation } from "./operation.ts";

export interface PublicSession {
  readonly id: string;
  readonly role: string;
  readonly capabilities: readonly string[];
  readonly status: "online" | "gone";
  readonly waiting_for: string | null;
  readonly agent: string | null;
  readonly connected_at: number;
  readonly last_seen: number;
}

export function toPublicSession(session: Session, now: number): PublicSession {
  const { id, role, capabilities, waitingFor, agent, connectedAt, lastSeen } = session;
  const status = isAlive(session, now) ? "online" : "gone";
  const times = { connected_at: connectedAt, last_seen: lastSeen };
  return { id, role, capabilities, status, waiting_for: waitingFor, agent, ...times };
}

async function getPublicSessions(bus: Bus): Promise<PublicSession[]> {
  return (await getSessions(bus)).map((session) => toPublicSession(session, bus.now()));
}

function answerWith(bus: Bus, session: Session) {
  return { ok: true, peer: toPublicSession(session, bus.now()) };
}

const USUAL_ROLES: readonly string[] = [ORCHESTRATOR, "backend", "frontend", "reviewer", "tester"];

export const listSessions = defineOperation({
  name: "peers",
  summary: "List the connected sessions",
  examples: ["el-ipc peers", "el-ipc peers --json"],
  access: { level: "reader" },
  http: "GET /peers",
  input: { fields: {} },
  run: async (bus) => ({ ok: true, peers: await getPublicSessions(bus) }),
  output: {
    text: ({ peers }) => peerLines(peers),
    model: ({ peers }, _, quote) =>
      peers.length === 0 ? NOBODY_CONNECTED : quote({ from: "peers", text: peerLines(peers) }),
  },
  tool: {
    name: "list_peers",
    description: "Who is connected: peer_id, role, online or gone, capabilities.",
    arguments: {},
  },
});

export const discoverSessions = defineOperation({
  name: "discover",
  summary: "Show who is connected, and which roles are free",
  examples: ["el-ipc discover"],
  access: { level: "reader" },
  http: "GET /peers/discover",
  input: { fields: {} },
  run: async (bus) => {
    const peers = await getPublicSessions(bus);
    const taken = new Set(peers.filter(({ status }) => status === "online").map(({ role }) => role));
    return { ok: true, peers, suggestions: USUAL_ROLES.filter((role) => !taken.has(role)) };
  },
  output: {
    text: ({ peers, suggestions }) =>
      [...peers.map(peerLine), `Free roles, for example: ${suggestions.join(", ") || "any other"}`].join("\n"),
    model: ({ peers, suggestions }, _, quote) =>
      [
        peers.length === 0 ? NOBODY_CONNECTED : quote({ from: "peers", text: peerLines(peers) }),
        `Free roles: ${suggestions.join(", ") || "any other"}. Unless your user said which to take, ask; then connect(role).`,
      ].join("\n"),
  },
});

export const connectSession = defineOperation({
  name: "connect",
  summary: "Connect a session under a role",
  details:
    "Prints the session's id, which its other commands take. Only one session can be orchestrator; other roles can be shared.",
  examples: ["el-ipc connect backend --capabilities node,docker"],
  access: { level: "actor" },
  http: "POST /peers/connect",
  input: {
    fields: {
      role: word("Its role: orchestrator, backend, …"),
      capabilities: optional(list("What it can do, separated by commas")),
    },
    positionals: ["role"],
  },
  run: async (bus, { role, capabilities = [] }, { caller }) => {
    const peer = toPublicSession(await openSession(bus, { role, capabilities }, caller), bus.now());
    return { ok: true, id: peer.id, peer };
  },
  output: {
    text: ({ peer }) => `${peer.id} is connected as ${peer.role}`,
    model: ({ peer }) => `Connected. peer_id: ${peer.id}, role: ${peer.role}`,
  },
  tool: {
    name: "connect",
    description:
      "Without a role: who is online and which roles are free. With one: join under it and get your peer_id.",
    arguments: {
      role: { description: "e.g. orchestrator (one only), backend, tester" },
      capabilities: { description: "What you can do, in single words" },
    },
    fallback: discoverSessions,
    openedSession: ({ id }) => id,
  },
});

const sessionId = name("The session's id, from connect");

export const showSession = defineOperation({
  name: "whoami",
  summary: "Show a connected session",
  examples: ["el-ipc whoami bac-1a2b3c"],
  access: { level: "reader" },
  http: "GET /peers/:id",
  input: { fields: { id: sessionId }, positionals: ["id"] },
  run: async (bus, { id }) => answerWith(bus, await getSession(bus, id)),
  output: { text: ({ peer }) => peerLine(peer) },
  tool: { name: "my_info", description: "Your own peer_id, role and capabilities.", arguments: {}, session: "id" },
});

export const sendHeartbeat = defineOperation({
  name: "heartbeat",
  summary: "Keep a session alive, and extend the leases of its commands",
  examples: ["el-ipc heartbeat bac-1a2b3c"],
  access: { level: "actor" },
  http: "POST /peers/:id/heartbeat",
  input: { fields: { id: sessionId }, positionals: ["id"] },
  run: async (bus, { id }, { caller }) => answerWith(bus, await heartbeat(bus, id, caller)),
  output: { text: ({ peer }) => peerLine(peer) },
});

export const changeRole = defineOperation({
  name: "role",
  summary: "Give a session another role",
  examples: ["el-ipc role bac-1a2b3c reviewer"],
  access: { level: "actor" },
  http: "POST /peers/:id/role",
  input: { fields: { id: sessionId, role: word("The new role") }, positionals: ["id", "role"] },
  run: async (bus, { id, role }, { caller }) => answerWith(bus, await setRole(bus, id, role, caller)),
  output: { text: ({ peer }) => peerLine(peer) },
  tool: {
    name: "set_role",
    description: "Take another role.",
    arguments: { role: { description: "" } },
    session: "id",
    isRepeatable: true,
  },
});

export const leaveBus = defineOperation({
  name: "leave",
  summary: "Disconnect a session; commands that it took with --any are offered again, its others are dead",
  examples: ["el-ipc leave bac-1a2b3c"],
  access: { level: "actor" },
  http: "DELETE /peers/:id",
  input: { fields: { id: sessionId }, positionals: ["id"] },
  run: async (bus, { id }, { caller }) => {
    await leave(bus, id, caller);
    return { ok: true };
  },
  output: { text: (_, { id }) => `${id} has left` },
});

const NOBODY_CONNECTED = "Nobody is connected";

function peerLines(peers: readonly PublicSession[]): string {
  return peers.length === 0 ? NOBODY_CONNECTED : peers.map(peerLine).join("\n");
}

function peerLine({ id, role, capabilities, status, waiting_for, agent }: PublicSession): string {
  const can = capabilities.length === 0 ? "" : `  can ${capabilities.join(", ")}`;
  const does = status === "online" && waiting_for !== null ? `, waits for ${waiting_for}` : "";
  const whose = agent === null ? "" : `  as ${agent}`;
  return `${id}  ${role}  ${status}${does}${can}${whose}`;
}

export const showPresence = defineOperation({
  name: "online",
  summary: "Show whether an agent is connected now",
  details: "Connected over WebSocket, or as a session with its token. Messages are kept for it in any case.",
  examples: ["el-ipc online reviewer"],
  access: { level: "reader", subject: () => ({}) },
  http: "GET /online/:name",
  input: { fields: { name: name("The agent") }, positionals: ["name"], self: "name" },
  run: async (bus, { name }) => {
    const { online, lastSeen } = await getPresence(bus, name);
    return { ok: true, name, online, last_seen: lastSeen ?? null };
  },
  output: {
    text: ({ name, online }) => (online ? `${name} is online` : ""),
    failure: ({ online, name }) => (online ? undefined : `${name} is offline`),
  },
});

export const sessionOperations = [
  listSessions,
  discoverSessions,
  connectSession,
  showSession,
  sendHeartbeat,
  changeRole,
  leaveBus,
  showPresence,
] as const;
