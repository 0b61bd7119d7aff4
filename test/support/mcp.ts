import {
  Client,
  type RequestOptions,
  SSEClientTransport,
  StreamableHTTPClientTransport,
} from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
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

async function model(transport: Transport, revision: string, remembers: boolean): Promise<Model> {
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
      return model(transport, revision, true);
    },
  };
}

export function streamable(revision: string): Way {
  return {
    name: `Streamable HTTP, ${revision}`,
    connect: ({ server }, options = {}) => {
      const transport = new StreamableHTTPClientTransport(new URL("/mcp", server.url), requesting(options));
      return model(transport, revision, revision !== NEWEST);
    },
  };
}

export function sse(): Way {
  return {
    name: "SSE, 2024-11-05",
    connect: ({ server }, options = {}) => {
      const transport = new SSEClientTransport(new URL("/mcp/sse", server.url), requesting(options));
      return model(transport, "2024-11-05", true);
    },
  };
}

export const everyWay: readonly Way[] = [stdio(), stdio(NEWEST), streamable(NEWEST), streamable(OLDER), sse()];

function requesting({ headers = {}, vanish }: Options) {
  return {
    requestInit: { headers: { ...headers } },
    fetch: (url: string | URL, init: RequestInit = {}) => {
      const signals = [init.signal, vanish].filter((signal) => signal instanceof AbortSignal);
      return fetch(url, { ...init, signal: AbortSignal.any(signals) });
    },
  };
}
