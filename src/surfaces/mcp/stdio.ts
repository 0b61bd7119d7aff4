import { PassThrough, type Readable, type Writable } from "node:stream";
import { StdioServerTransport, serveStdio } from "@modelcontextprotocol/server/stdio";
import { BODY_BYTES } from "../../core/limits.ts";
import { HEARTBEAT_SECONDS } from "../../core/sessions.ts";
import type { Client, Memory } from "./call.ts";
import { showLife } from "./conversations.ts";
import { createMcpServer, createRunning, type McpOptions, watchAnswers } from "./server.ts";

export interface StdioMcpOptions extends McpOptions {
  readonly client: Client;
  readonly input: Readable;
  readonly output: Writable;
}

/** Serves one client over standard input and output, until its input ends or the signal aborts. */
export async function serveStdioMcp(options: StdioMcpOptions, signal: AbortSignal): Promise<void> {
  const { input, output } = options;
  const memory: Memory = { peer: undefined };
  const running = createRunning();
  const client = { ...options.client, endpoint: running.watch(options.client.endpoint) };
  const ending = new AbortController();

  // The transport ends at once with its input; so it gets one that ends when what was asked before is answered.
  const passed = new PassThrough();
  const transport = new StdioServerTransport(passed, output, { maxBufferSize: BODY_BYTES });
  const answering = watchAnswers(transport);
  const served = serveStdio(
    () =>
      createMcpServer(options, ({ mcpReq }) => ({
        client,
        memory,
        signal: ending.signal,
        answering: (settle) => answering(mcpReq.id, settle),
      })),
    { transport },
  );
  const beat = setInterval(() => void showLife(client, memory), HEARTBEAT_SECONDS * 1_000);

  await new Promise<void>((resolve) => {
    input.on("data", (bytes) => passed.write(bytes));
    for (const event of ["end", "close", "error"]) input.once(event, resolve);
    output.once("error", resolve);
    signal.addEventListener("abort", () => resolve(), { once: true });
    if (signal.aborted) resolve();
  });
  clearInterval(beat);
  ending.abort();
  await running.done();
  await served.close();
  await running.done();
}
