// The bus as a model has it: tools alone, and what their answers say, read back from the marks that stand around it.

import {
  Client,
  type RequestOptions,
  SSEClientTransport,
  StreamableHTTPClientTransport,
} from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import type { TemporaryBus } from "./bus.ts";
import { type Environment, entry, environmentOf, type Server } from "./program.ts";

export const NEWEST = "2026-07-28";
export const OLDER = "2025-11-25";

/** How a client reaches the bus. */
export interface Way {
  readonly name: string;
  connect(on: Place, options?: Options): Promise<Model>;
}

/** A bus, by its environment for who starts a process, by its server for who asks over HTTP. */
export interface Place {
  readonly environment: Environment;
  readonly server: Pick<Server, "url">;
}

export interface Options {
  readonly headers?: Readonly<Record<string, string>>;
  readonly environment?: Environment;
  /** Cuts its connections, as if it had been killed. */
  readonly vanish?: AbortSignal;
  /** Options of the Node that is started, where one is. */
  readonly node?: readonly string[];
}

/** A real MCP client, with a model's short memory: where its revision has no session, it passes on its peer_id. */
export interface Model extends AsyncDisposable {
  readonly client: Client;
  readonly peer: string;
  /** A tool's answer; throws where that is an error. */
  call(tool: string, given?: Readonly<Record<string, unknown>>, options?: RequestOptions): Promise<string>;
  /** The sentence with which a tool refuses. */
  refusal(tool: string, given?: Readonly<Record<string, unknown>>): Promise<string>;
  join(role: string, capabilities?: readonly string[]): Promise<string>;
}

type Transport = Parameters<Client["connect"]>[0];

async function connectModel(transport: Transport, revision: string, remembers: boolean): Promise<Model> {
  const versionNegotiation = revision === NEWEST ? { mode: { pin: NEWEST } } : { mode: "legacy" as const };
  const supportedProtocolVersions = revision === NEWEST ? [NEWEST] : [revision];
  const client = new Client({ name: "test", version: "1" }, { versionNegotiation, supportedProtocolVersions });
  await client.connect(transport);
  let peer = "";
  const answer = async (
    tool: string,
    given: Readonly<Record<string, unknown>> = {},
    options: RequestOptions = {},
  ): Promise<{ text: string; isError: boolean }> => {
    const session = remembers || peer === "" || "peer_id" in given ? {} : { peer_id: peer };
    const { content, isError } = await client.callTool({ name: tool, arguments: { ...session, ...given } }, options);
    const text = content.map((part) => (part.type === "text" ? part.text : "")).join("");
    return { text, isError: isError === true };
  };
  const call: Model["call"] = async (tool, given, options) => {
    const { text, isError } = await answer(tool, given, options);
    if (isError) throw new Error(`${tool}: ${text}`);
    return text;
  };
  return {
    client,
    get peer() {
      return peer;
    },
    call,
    async refusal(tool, given) {
      const { text, isError } = await answer(tool, given);
      if (!isError) throw new Error(`${tool} did not refuse: ${text}`);
      return text;
    },
    async join(role, capabilities) {
      const joined = await call("connect", { role, ...(capabilities === undefined ? {} : { capabilities }) });
      peer = /peer_id: (\S+),/.exec(joined)?.[1] ?? "";
      return peer;
    },
    [Symbol.asyncDispose]: () => client.close(),
  };
}

export function stdio(revision: string = OLDER): Way {
  return {
    name: `stdio, ${revision}`,
    connect: ({ environment }, { environment: more = {}, node = [] } = {}) => {
      const env = { ...environmentOf({ ...environment, ...more }) };
      const transport = new StdioClientTransport({ command: process.execPath, args: [...node, entry, "mcp"], env });
      return connectModel(transport, revision, true);
    },
  };
}

export function streamable(revision: string): Way {
  return {
    name: `Streamable HTTP, ${revision}`,
    connect: ({ server }, options = {}) => {
      const transport = new StreamableHTTPClientTransport(new URL("/mcp", server.url), fetchOptions(options));
      return connectModel(transport, revision, revision !== NEWEST);
    },
  };
}

export function sse(): Way {
  return {
    name: "SSE, 2024-11-05",
    connect: ({ server }, options = {}) => {
      const transport = new SSEClientTransport(new URL("/mcp/sse", server.url), fetchOptions(options));
      return connectModel(transport, "2024-11-05", true);
    },
  };
}

export const everyWay: readonly Way[] = [stdio(), stdio(NEWEST), streamable(NEWEST), streamable(OLDER), sse()];

function fetchOptions({ headers = {}, vanish }: Options) {
  return {
    requestInit: { headers: { ...headers } },
    fetch: (url: string | URL, init: RequestInit = {}) => {
      const signals = [init.signal, vanish].filter((signal) => signal instanceof AbortSignal);
      return fetch(url, { ...init, signal: AbortSignal.any(signals) });
    },
  };
}

/** The quoted words of others, with the line before them. */
const QUOTED = /(?:#(\d+) )?<data from="([^"]*)" trust="(\w+)">([\s\S]*?)<\/data>/g;

interface Quoted {
  readonly id: number;
  readonly from: string;
  readonly trust: string;
  readonly text: string;
}

function quotedIn(answer: string): readonly Quoted[] {
  return [...answer.matchAll(QUOTED)].map(([, id, from = "", trust = "", text = ""]) => ({
    id: Number(id),
    from,
    trust,
    text: text
      .replace(/\\u\{([0-9a-f]+)\}/g, (_, code: string) => String.fromCodePoint(Number.parseInt(code, 16)))
      .replaceAll("&lt;", "<"),
  }));
}

/**
 * Sends over standard input and output as the agent that the client was started for, and reads over Streamable HTTP. A
 * model has no watermark: `since_id` is the last message that it has seen, so its place is in its own memory.
 */
export function modelSurface({ environment }: TemporaryBus, server: Server, tcpPort: () => Promise<number>) {
  const seen = new Map<string, number>();
  const place = { environment, server };
  const asking = async <T>(ask: (model: Model) => Promise<T>, options?: Options): Promise<T> => {
    const way = options === undefined ? streamable(NEWEST) : stdio();
    await using model = await way.connect(place, options);
    try {
      return await ask(model);
    } catch (error) {
      throw new Error(String(Object(error).message).replace(/^\w+: /, ""));
    }
  };
  const reading = async (channel: string, agent: string, { moves = true, ...given }) => {
    const mark = `${channel}\n${agent}`;
    const since_id = seen.get(mark) ?? 0;
    const answer = await asking((model) => model.call("read_messages", { channel, since_id, ...given }));
    const messages = quotedIn(answer).map(({ id, from, trust, text }) => ({
      ...{ id, sender: from, content: text, timestamp: 0 },
      ...(trust === "verified" ? { signed: true } : {}),
    }));
    if (moves) seen.set(mark, messages.at(-1)?.id ?? since_id);
    return messages;
  };
  const ipc = (given: object) =>
    asking(async (model) => quotedIn(await model.call("ipc", { port: await tcpPort(), ...given })), {});
  return {
    async send({ channel, sender, content, key }: { channel: string; sender: string; content: string; key?: string }) {
      const started = { environment: { IPC_AGENT: sender, ...(key === undefined ? {} : { IPC_KEY: key }) } };
      const sent = await asking((model) => model.call("send_message", { channel, message: content }), started);
      return Number(/^Sent as #(\d+)$/.exec(sent)?.[1]);
    },
    read: (channel: string, agent: string) => reading(channel, agent, {}),
    look: (channel: string, agent: string) => reading(channel, agent, { moves: false }),
    wait: (channel: string, agent: string) => reading(channel, agent, { timeout: 20 }),
    async acknowledge(channel: string, agent: string, id: number) {
      const mark = `${channel}\n${agent}`;
      seen.set(mark, Math.max(seen.get(mark) ?? 0, id));
      return seen.get(mark) ?? 0;
    },
    async channels() {
      const [{ text = "" } = {}] = quotedIn(await asking((model) => model.call("list_channels")));
      return [...text.matchAll(/^(.*): (\d+)$/gm)].map(([, channel = "", count]) => ({
        channel,
        count: Number(count),
      }));
    },
    async post(to: string, from: string, message: string) {
      await ipc({ operation: "post", to, from, message });
    },
    fetch: async (mailbox: string) =>
      (await ipc({ operation: "fetch", mailbox })).map(({ from, text }): [string, string] => [from, text]),
  };
}
