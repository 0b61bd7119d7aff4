import type { Bus } from "../../src/core/bus.ts";
import { readEnvironment } from "../../src/environment.ts";
import { openBus } from "../../src/open.ts";
import { newPeer } from "../contracts/peers.ts";
import { expectSuccess, type TemporaryBus } from "../support/bus.ts";
import { ask } from "../support/http.ts";
import { type Server, temporaryHome } from "../support/program.ts";

/** The work of sessions on a bus while somebody watches it, done over HTTP. */
export interface Sessions {
  post(path: string, body: unknown): Promise<Fields>;
  get(path: string): Promise<Fields>;
  connect(role: string, ...capabilities: string[]): Promise<string>;
  say(channel: string, from: string, data: unknown): Promise<number>;
  /** Reads what is unread, and so consumes it. */
  read(channel: string, agent: string, limit?: number): Promise<void>;
  order(from: string, target: string, action: string, params?: unknown): Promise<string>;
  /** Takes the next command of a peer. */
  take(peer: string): Promise<string>;
}

export type Fields = Readonly<Record<string, unknown>>;

export function sessionsOn({ url }: Server, headers: Readonly<Record<string, string>> = {}): Sessions {
  const asking = async (what: string, body?: unknown): Promise<Fields> => {
    const { status, json, text } = await ask(url, what, { headers, ...(body === undefined ? {} : { body }) });
    if (status !== 200) throw new Error(`${what}: ${status} ${text}`);
    return fieldsOf(json);
  };
  const post: Sessions["post"] = (path, body) => asking(`POST ${path}`, body);
  const get: Sessions["get"] = (path) => asking(`GET ${path}`);
  return {
    post,
    get,
    connect: async (role, ...capabilities) => String((await post("/peers/connect", { role, capabilities })).id),
    say: async (channel, from, data) => {
      const path = `/channels/${encodeURIComponent(channel)}/send?from=${encodeURIComponent(from)}`;
      return Number((await post(path, JSON.stringify(data))).id);
    },
    async read(channel, agent, limit = 1_000) {
      await get(`/messages?${new URLSearchParams({ channel, agent, limit: String(limit) })}`);
    },
    order: async (from, target, action, params = {}) =>
      String(fieldsOf((await post("/commands/send", { from, target, action, params })).command).id),
    take: async (peer) => String(fieldsOf((await get(`/commands/${peer}/wait?timeout=5000`)).command).id),
  };
}

/** A token of an agent whose key lies beside the bus. */
export async function tokenOf(bus: TemporaryBus, { url }: Server, agent: string, seconds = 3_600): Promise<string> {
  const key = bus.file(`${agent}.key`);
  const { stdout } = await expectSuccess(
    bus.run("token", agent, "--key", key, "--url", url, "--seconds", `${seconds}`),
  );
  return stdout.trim();
}

function fieldsOf(value: unknown): Fields {
  return typeof value === "object" && value !== null ? { ...value } : {};
}

/** The bus as one more process has it, for what would take too long over HTTP, or was so long ago. */
export function busOf({ environment }: TemporaryBus): Promise<Bus> {
  return openBus(readEnvironment({ HOME: temporaryHome(), ...environment }), { port: () => 0 });
}

/** Connects a session that isn't seen again; answers with its id. */
export async function connectedLongAgo(bus: TemporaryBus, role: string, seconds: number): Promise<string> {
  await using own = await busOf(bus);
  const then = own.now() - seconds;
  const peer = newPeer(`${role}-long-ago`, { role, connectedAt: then, lastSeen: then });
  await own.store.sessions.connect(peer, undefined);
  return peer.id;
}
