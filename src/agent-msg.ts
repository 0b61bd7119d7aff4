import { existsSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import manifest from "../package.json" with { type: "json" };
import type { Client } from "./client/client.ts";
import { connectClient, loadKey } from "./client.ts";
import { isIpcError } from "./core/errors.ts";
import { createDialer } from "./dial.ts";
import { type Environment, readEnvironment } from "./environment.ts";
import { createPipedChat, createTerminalChat } from "./surfaces/agent-msg/chat.ts";
import type { Context } from "./surfaces/agent-msg/context.ts";
import { openFolder } from "./surfaces/agent-msg/folder.ts";
import { createMailboxes } from "./surfaces/agent-msg/mailboxes.ts";
import { run } from "./surfaces/agent-msg/run.ts";
import { createLifetime, type Lifetime } from "./surfaces/cli/lifetime.ts";
import { ClosedOutput, print, printNote } from "./surfaces/cli/terminal.ts";

/** The exit code that a shell shows for SIGPIPE. */
const CLOSED_OUTPUT = 141;

void main(process.argv.slice(2)).then((code) => process.exit(code));

async function main(typed: readonly string[]): Promise<number> {
  using lifetime = createLifetime();
  lifetime.begin();
  try {
    await using context = createContext(readEnvironment(process.env), lifetime);
    await run(context, manifest.version, typed);
    return context.isServer ? 0 : (lifetime.code ?? 0);
  } catch (error) {
    if (error instanceof ClosedOutput) return CLOSED_OUTPUT;
    if (lifetime.code !== undefined) return lifetime.code;
    const sentence = isIpcError(error) ? error.message : "Internal error";
    printNote(sentence.startsWith("✗") ? sentence : `Error: ${sentence}`);
    if (!isIpcError(error) && process.env.IPC_DEBUG) console.error(error);
    return 1;
  }
}

interface ProgramContext extends Context, AsyncDisposable {
  /** A server that a signal stops ends as planned. */
  readonly isServer: boolean;
}

function createContext(environment: Environment, lifetime: Lifetime): ProgramContext {
  const { url, store, keyFile, token, agentMsgFolder, databasePath } = environment;
  const { signal } = lifetime;
  let client: Client | undefined;
  let isServer = false;
  return {
    self: environment.agent ?? hostname(),
    folder: openFolder(agentMsgFolder),
    async openMailboxes(agent, { create } = { create: false }) {
      const isThere = url !== undefined || store !== undefined || existsSync(databasePath);
      if (!isThere && !create) return undefined;
      client ??= connectClient({ environment, url, agent, key: loadKey(keyFile), token, warn: printNote, signal });
      await client.open();
      return createMailboxes(client.ask, signal);
    },
    ...createDialer(environment, printNote, signal),
    openChat() {
      const { stdin: input, stdout: output } = process;
      const settings = { input, output, print, note: printNote, historyFile: join(agentMsgFolder, "history") };
      return input.isTTY && output.isTTY ? createTerminalChat(settings) : createPipedChat(settings);
    },
    async serve(settings) {
      isServer = true;
      lifetime.outlive();
      const { serve } = await import("./serve.ts");
      const listening = (port: number) => print(`WebSocket server running on port ${port}`);
      await serve(environment, manifest.version, { ...settings, verbose: false, listening }, signal);
    },
    print,
    note: printNote,
    signal,
    get isServer() {
      return isServer;
    },
    async [Symbol.asyncDispose]() {
      await client?.[Symbol.asyncDispose]();
    },
  };
}
