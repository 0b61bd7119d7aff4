import { isIpcError } from "./core/errors.ts";
import type { Environment } from "./environment.ts";
import { runAgentMsg } from "./surfaces/agent-msg/run.ts";
import { createLifetime } from "./surfaces/cli/lifetime.ts";
import { print, printNote } from "./surfaces/cli/terminal.ts";
import { talkTo } from "./surfaces/websocket/client.ts";

/** The program `agent-msg`. Answers with its exit code. */
export async function agentMsg(environment: Environment, version: string, typed: readonly string[]): Promise<number> {
  using lifetime = createLifetime();
  try {
    await runAgentMsg(
      typed,
      {
        dial: (url, headers) => talkTo({ url, headers }),
        serve: async (serving, signal) => {
          lifetime.outlive();
          const { serve } = await import("./serve.ts");
          await serve(environment, version, { ...serving, verbose: false }, signal);
        },
        token: environment.token ?? environment.apiKey,
        agent: environment.agent,
        print,
        note: printNote,
        typed: process.stdin,
      },
      lifetime.signal,
    );
    return lifetime.code !== undefined && typed[0] !== "server" ? lifetime.code : 0;
  } catch (error) {
    if (lifetime.code !== undefined) return lifetime.code;
    printNote(`Error: ${isIpcError(error) ? error.message : "Internal error"}`);
    return 1;
  }
}
