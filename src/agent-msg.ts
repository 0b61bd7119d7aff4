import { existsSync } from "node:fs";
import { hostname } from "node:os";
import manifest from "../package.json" with { type: "json" };
import { type Client, openClient } from "./client.ts";
import { isIpcError } from "./core/errors.ts";
import { readEnvironment } from "./environment.ts";
import { openFolder } from "./surfaces/agent-msg/folder.ts";
import { createPost } from "./surfaces/agent-msg/post.ts";
import { run } from "./surfaces/agent-msg/run.ts";
import { createLifetime } from "./surfaces/cli/lifetime.ts";
import { ClosedOutput, print, printNote } from "./surfaces/cli/terminal.ts";

/** As a program that SIGPIPE ended. */
const CLOSED_OUTPUT = 141;

void main(process.argv.slice(2)).then((code) => process.exit(code));

async function main(typed: readonly string[]): Promise<number> {
  using lifetime = createLifetime();
  let client: Client | undefined;
  try {
    const environment = readEnvironment(process.env);
    const { url, keyFile, token } = environment;
    const open = async (agent: string) => {
      client ??= await openClient({ environment, url, agent, key: keyFile, token });
      return client;
    };
    await run(
      {
        folder: openFolder(environment.agentMsgFolder),
        self: environment.agent ?? hostname(),
        async openPost(agent, how) {
          if (how === "if there is one" && url === undefined && !existsSync(environment.databasePath)) return undefined;
          return createPost((await open(agent)).door, lifetime.signal);
        },
        print,
        note: printNote,
        signal: lifetime.signal,
      },
      manifest.version,
      typed,
    );
    return lifetime.code ?? 0;
  } catch (error) {
    if (error instanceof ClosedOutput) return CLOSED_OUTPUT;
    if (lifetime.code !== undefined) return lifetime.code;
    printNote(`Error: ${isIpcError(error) ? error.message : "Internal error"}`);
    if (!isIpcError(error) && process.env.IPC_DEBUG) console.error(error);
    return 1;
  } finally {
    await client?.[Symbol.asyncDispose]();
  }
}
