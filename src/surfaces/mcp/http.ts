import { createPendingRequests } from "../../client/pending.ts";
import type { Caller } from "../../core/access.ts";
import { notFound } from "../../core/errors.ts";
import type { ExposedBus } from "../../server/entrance.ts";
import type { Mount } from "../../server/mount.ts";
import type { Client } from "./call.ts";
import type { McpOptions } from "./server.ts";
import { createSseEndpoint } from "./sse.ts";
import { createStreamableEndpoint } from "./streamable.ts";

export interface HttpMcpOptions extends McpOptions, Pick<ExposedBus, "endpointFor" | "deliver"> {
  readonly path: string;
  /** Throws for a caller that may not read. */
  readonly admit: (caller: Caller) => Promise<void>;
}

export interface HttpMcp extends AsyncDisposable {
  readonly handle: Mount["handle"];
}

const HELP = [
  "This needs a token that says which agent you are. Ask your user to make one with `el-ipc token AGENT --key FILE` and to",
  "have your MCP client send it as the header Authorization: Bearer TOKEN.",
].join(" ");

/** MCP over Streamable HTTP, with and without sessions, and over the older SSE transport below its path. */
export function createHttpMcp(options: HttpMcpOptions): HttpMcp {
  const { path, endpointFor, deliver, admit } = options;
  const pending = createPendingRequests();
  const clientOf = (caller: Caller): Client => ({
    endpoint: pending.track(endpointFor(caller)),
    deliver,
    agent: caller.identity?.agent,
    signer: undefined,
    help: HELP,
  });
  const streamable = createStreamableEndpoint(options, clientOf);
  const sse = createSseEndpoint(options, clientOf, `${path}/messages`);

  return {
    async handle(request, response, visit) {
      await admit(visit.caller);
      const call = { request, response, ...visit };
      if (visit.path === path) await streamable.handle(call);
      else if (visit.path === `${path}/sse`) await sse.open(call);
      else if (visit.path === `${path}/messages`) await sse.post(call);
      else throw notFound("not found");
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([streamable[Symbol.asyncDispose](), sse[Symbol.asyncDispose]()]);
      await pending.done();
    },
  };
}
