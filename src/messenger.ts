import { existsSync } from "node:fs";
import { join } from "node:path";
import { MessageChannel, receiveMessageOnPort, Worker } from "node:worker_threads";
import { IpcError, invalid } from "./core/errors.ts";
import { readPrivateKey } from "./core/keys.ts";
import { messageBytes, sign } from "./core/signature.ts";
import { dialer } from "./dial.ts";
import { readEnvironment } from "./environment.ts";
import type { BusAnswer, BusRequest } from "./messenger-worker.ts";
import { type Folder, type Letter, openFolder, unique } from "./surfaces/agent-msg/folder.ts";
import { type Listening, listen } from "./surfaces/agent-msg/inbox.ts";
import { readFile } from "./surfaces/cli/terminal.ts";

/**
 * agent-msg's messenger: the same calls with the same answers, by files in `~/.agent-msg`, and on the bus where the
 * folder doesn't know who is meant. They answer at once, as they always have: for the bus a worker is asked, and waited for.
 */
export class AgentMessenger {
  readonly agentName: string;
  readonly inboxDir: string;
  readonly outboxDir: string;
  readonly #folder: Folder;
  #listening: Listening | undefined;

  constructor(agentName: string) {
    const { agentMsgFolder } = readEnvironment(process.env);
    this.agentName = agentName;
    this.#folder = openFolder(agentMsgFolder);
    this.inboxDir = this.#folder.inboxOf(agentName);
    this.outboxDir = join(agentMsgFolder, "outbox", agentName);
  }

  /**
   * Sends a message, and answers with its id: by file to who has an inbox in the folder, on the bus to who is known there.
   * For anybody else an inbox is made, and the message waits there.
   */
  send(to: string, message: string): string {
    if (!this.#folder.hasInbox(to) && busIsThere()) {
      const id = askBus({ what: "send", agent: this.agentName, to, message });
      if (typeof id === "string") return id;
    }
    const id = unique();
    this.#folder.put({ id, from: this.agentName, to, message, timestamp: new Date().toISOString() });
    return id;
  }

  /** What has come, oldest first; it is removed from where it was unless it is to stay. */
  checkInbox(deleteAfterRead = true): Letter[] {
    this.#folder.makeInbox(this.agentName);
    const letters = deleteAfterRead ? this.#folder.take(this.agentName) : this.#folder.read(this.agentName);
    if (deleteAfterRead) for (const letter of letters) this.#folder.arrived(this.agentName, letter);
    return [...letters, ...this.#onBus(deleteAfterRead)];
  }

  /** Connects to a server under this agent's name. From then on `handleMessage` is given what comes, as it comes. */
  async connectWebSocket(url: string): Promise<void> {
    const warn = (sentence: string) => process.emitWarning(sentence);
    const environment = readEnvironment(process.env);
    const { keyFile } = environment;
    const key = keyFile === undefined ? undefined : () => readPrivateKey(readFile(keyFile));
    await this.#listening?.close();
    this.#listening = await listen({
      agent: this.agentName,
      dial: dialer(environment, key, warn, new AbortController().signal)(this.agentName, url, {}),
      sign: key && ((message, stamp) => sign(messageBytes(message, stamp), key())),
      hear: (letter) => this.handleMessage(letter),
      failed: warn,
    });
  }

  /** Prints a message that came over WebSocket; to be replaced. The message is consumed once this has returned. */
  handleMessage(message: Letter): unknown {
    return console.log(`[${message.from}]: ${message.message}`);
  }

  sendWebSocket(to: string, message: string): void {
    if (!this.#listening?.isOpen) throw invalid("Not connected to WebSocket");
    this.#listening.send(to, message);
  }

  async closeWebSocket(): Promise<void> {
    await this.#listening?.close();
    this.#listening = undefined;
  }

  #onBus(take: boolean): readonly Letter[] {
    if (!busIsThere()) return [];
    try {
      const answer = askBus({ what: take ? "take" : "read", agent: this.agentName });
      return Array.isArray(answer) ? answer : [];
    } catch (error) {
      // What came by file is there all the same.
      process.emitWarning(
        `el-ipc: what waits on the bus can't be read: ${error instanceof Error ? error.message : error}`,
      );
      return [];
    }
  }
}

/** Who only ever used files has no bus, and none is made for looking. */
function busIsThere(): boolean {
  const { url, store, databasePath } = readEnvironment(process.env);
  return url !== undefined || store !== undefined || existsSync(databasePath);
}

const PATIENCE_MS = 60_000;

let asker: ((request: BusRequest) => BusAnswer) | undefined;

function askBus(request: BusRequest): BusAnswer["answer"] {
  asker ??= createAsker();
  const { answer, error } = asker(request);
  if (error !== undefined) throw new IpcError(error.code, error.message, error.reason);
  return answer;
}

/** A worker that has the bus open, and ends with this process. */
function createAsker(): (request: BusRequest) => BusAnswer {
  const { port1: here, port2: there } = new MessageChannel();
  const answered = new Int32Array(new SharedArrayBuffer(4));
  const file = join(import.meta.dirname, "..", "sources.d", "ipc-messenger.js");
  const worker = new Worker(file, { workerData: { port: there, answered }, transferList: [there] });
  worker.unref();
  here.unref();
  return (request) => {
    Atomics.store(answered, 0, 0);
    here.postMessage(request);
    Atomics.wait(answered, 0, 0, PATIENCE_MS);
    const received: { message: BusAnswer } | undefined = receiveMessageOnPort(here);
    if (received !== undefined) return received.message;
    asker = undefined;
    void worker.terminate();
    return { error: { code: "internal", message: "the bus did not answer in a minute", reason: undefined } };
  };
}
