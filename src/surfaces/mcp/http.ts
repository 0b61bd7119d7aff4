import type { IncomingMessage, ServerResponse } from "node:http";
import type { Caller } from "../../core/access.ts";
import { notFound } from "../../core/errors.ts";
import type { EndpointFor } from "../../server/deliver.ts";
import type { Client } from "./call.ts";
import { createRunning, type McpOptions } from "./server.ts";
import { createSseEndpoint } from "./sse.ts";
import { createStreamableEndpoint } from "./streamable.ts";

export interface HttpMcpOptions extends McpOptions {
  /** Where it is mounted. */
  readonly path: string;
  readonly endpointFor: EndpointFor;
  /** Refuses who may not even look. */
  readonly admit: (caller: Caller) => Promise<void>;
}

/** What the server knows of a request. */
interface Visit {
  readonly path: string;
  readonly caller: Caller;
  readonly signal: AbortSignal;
  body(): Promise<Buffer>;
}

/** Where a server mounts it, and what it does with a request there. */
export interface HttpMcp extends AsyncDisposable {
  handle(request: IncomingMessage, response: ServerResponse, visit: Visit): Promise<void>;
}

const HELP = [
  "This needs a token that says which agent you are. Ask your user to make one with `el-ipc token AGENT --key FILE` and to",
  "have your MCP client send it as the header Authorization: Bearer TOKEN.",
].join(" ");

/** MCP over HTTP: Streamable HTTP, of the newest revision and of those with sessions, and below it S4's SSE. */
export function createHttpMcp(options: HttpMcpOptions): HttpMcp {
  const { path, endpointFor, admit } = options;
  const running = createRunning();
  const clientOf = (caller: Caller): Client => ({
    endpoint: running.watch(endpointFor(caller)),
    agent: caller.identity?.agent,
    signer: undefined,
    help: HELP,
  });
  const streamable = createStreamableEndpoint(options, clientOf);
  const sse = createSseEndpoint(options, clientOf, `${path}/messages`);

  return {
    async handle(request, response, visit) {
      await admit(visit.caller);
      const asked = { request, response, ...visit };
      if (visit.path === path) await streamable.handle(asked);
      else if (visit.path === `${path}/sse`) await sse.open(asked);
      else if (visit.path === `${path}/messages`) await sse.post(asked);
      else throw notFound("not found");
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([streamable[Symbol.asyncDispose](), sse[Symbol.asyncDispose]()]);
      await running.done();
    },
  };
}
