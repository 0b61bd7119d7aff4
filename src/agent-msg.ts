import { existsSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import manifest from "../package.json" with { type: "json" };
import { type Client, openClient } from "./client.ts";
import { isIpcError } from "./core/errors.ts";
import { readPrivateKey } from "./core/keys.ts";
import { messageBytes, sign } from "./core/signature.ts";
import { dialer } from "./dial.ts";
import { type Environment, readEnvironment } from "./environment.ts";
import { pipedChat, terminalChat } from "./surfaces/agent-msg/chat.ts";
import type { Desk } from "./surfaces/agent-msg/context.ts";
import { openFolder } from "./surfaces/agent-msg/folder.ts";
import { createPost } from "./surfaces/agent-msg/post.ts";
import { run } from "./surfaces/agent-msg/run.ts";
import { createLifetime, type Lifetime } from "./surfaces/cli/lifetime.ts";
import { ClosedOutput, print, printNote, readFile } from "./surfaces/cli/terminal.ts";

/** As a program that SIGPIPE ended. */
const CLOSED_OUTPUT = 141;

void main(process.argv.slice(2)).then((code) => process.exit(code));

async function main(typed: readonly string[]): Promise<number> {
  using lifetime = createLifetime();
  lifetime.begin();
  try {
    await using desk = setUp(readEnvironment(process.env), lifetime);
    await run(desk, manifest.version, typed);
    return desk.isServer ? 0 : (lifetime.code ?? 0);
  } catch (error) {
    if (error instanceof ClosedOutput) return CLOSED_OUTPUT;
    if (lifetime.code !== undefined) return lifetime.code;
    const sentence = isIpcError(error) ? error.message : "Internal error";
    printNote(sentence.startsWith("✗") ? sentence : `Error: ${sentence}`);
    if (!isIpcError(error) && process.env.IPC_DEBUG) console.error(error);
    return 1;
  }
}

function setUp(environment: Environment, lifetime: Lifetime): Desk & AsyncDisposable & { readonly isServer: boolean } {
  const { url, store, keyFile, token, agentMsgFolder, databasePath } = environment;
  const isThere = () => url !== undefined || store !== undefined || existsSync(databasePath);
  const { signal } = lifetime;
  const key = keyFile === undefined ? undefined : () => readPrivateKey(readFile(keyFile));
  let client: Client | undefined;
  let isServer = false;
  return {
    folder: openFolder(agentMsgFolder),
    self: environment.agent ?? hostname(),
    async openPost(agent, how) {
      if (how === "if there is one" && !isThere()) return undefined;
      client ??= await openClient({ environment, url, agent, key: keyFile, token, warn: printNote, signal });
      return createPost(client.door, signal);
    },
    dialing: dialer(environment, key, printNote, signal),
    sign: key && ((message, stamp) => sign(messageBytes(message, stamp), key())),
    openChat() {
      const { stdin: input, stdout: output } = process;
      const chatting = { input, output, print, note: printNote, historyFile: join(agentMsgFolder, "history") };
      return input.isTTY && output.isTTY ? terminalChat(chatting) : pipedChat(chatting);
    },
    async serve(serving) {
      isServer = true;
      lifetime.outlive();
      const { serve } = await import("./serve.ts");
      const listening = (port: number) => print(`WebSocket server running on port ${port}`);
      await serve(environment, manifest.version, { ...serving, verbose: false, listening }, signal);
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
