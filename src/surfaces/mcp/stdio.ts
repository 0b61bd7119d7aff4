import { PassThrough, type Readable, type Writable } from "node:stream";
import { StdioServerTransport, serveStdio } from "@modelcontextprotocol/server/stdio";
import { createPendingRequests } from "../../client/pending.ts";
import { BODY_BYTES } from "../../core/limits.ts";
import { HEARTBEAT_SECONDS } from "../../core/sessions.ts";
import type { Endpoint } from "../../operations/perform.ts";
import { createDelivery } from "../../server/deliver.ts";
import { type Client, type ClientIdentity, keepAlive, type Memory } from "./call.ts";
import { createMcpServer, type McpOptions, watchArrivals } from "./server.ts";

export interface StdioMcpOptions extends McpOptions {
  readonly endpoint: Endpoint;
  readonly identity: ClientIdentity;
  readonly input: Readable;
  readonly output: Writable;
}

/** Serves one client over standard input and output, until its input ends or the signal aborts. */
export async function serveStdioMcp(options: StdioMcpOptions, signal: AbortSignal): Promise<void> {
  const { input, output } = options;
  const memory: Memory = { session: undefined };
  const pending = createPendingRequests();
  const client: Client = {
    ...options.identity,
    endpoint: pending.track(options.endpoint),
    deliver: createDelivery(),
  };
  const ending = new AbortController();

  // The transport ends with its input, so it gets one that ends only after earlier calls are answered.
  const relayed = new PassThrough();
  const transport = new StdioServerTransport(relayed, output, { maxBufferSize: BODY_BYTES });
  const watchArrival = watchArrivals(transport);
  const server = serveStdio(
    () =>
      createMcpServer(options, ({ mcpReq }) => ({
        client,
        memory,
        signal: ending.signal,
        watchArrival: (report) => watchArrival(mcpReq.id, report),
      })),
    { transport },
  );
  const beat = setInterval(() => void keepAlive(client, memory.session), HEARTBEAT_SECONDS * 1_000);

  await new Promise<void>((resolve) => {
    input.on("data", (bytes) => relayed.write(bytes));
    for (const event of ["end", "close", "error"]) input.once(event, resolve);
    output.once("error", resolve);
    signal.addEventListener("abort", () => resolve(), { once: true });
    if (signal.aborted) resolve();
  });
  clearInterval(beat);
  ending.abort();
  await pending.done();
  await server.close();
  await pending.done();
}
