import { existsSync } from "node:fs";
import { join } from "node:path";
import { MessageChannel, receiveMessageOnPort, Worker } from "node:worker_threads";
import { IpcError, invalid } from "./core/errors.ts";
import { createDialer } from "./dial.ts";
import { readEnvironment } from "./environment.ts";
import type { BusAnswer, BusRequest } from "./messenger-worker.ts";
import { type Folder, type Letter, openFolder, sendLetter } from "./surfaces/agent-msg/folder.ts";
import { type Listener, openListener } from "./surfaces/agent-msg/websocket.ts";

/**
 * The messenger class of agent-msg, over `~/.agent-msg` and the bus. `send` and `checkInbox` are synchronous, as in the
 * original, so they block on a worker when they need the bus.
 */
export class AgentMessenger {
  readonly agentName: string;
  readonly inboxDir: string;
  readonly outboxDir: string;
  readonly #folder: Folder;
  #listener: Listener | undefined;

  constructor(agentName: string) {
    const { agentMsgFolder } = readEnvironment(process.env);
    this.agentName = agentName;
    this.#folder = openFolder(agentMsgFolder);
    this.inboxDir = this.#folder.inboxOf(agentName);
    this.outboxDir = join(agentMsgFolder, "outbox", agentName);
  }

  /**
   * Sends a message and returns its id: through the folder to a name registered there, over the bus to a name known there,
   * and else into a new inbox.
   */
  send(to: string, message: string): string {
    const letter = { from: this.agentName, to, message };
    const id = sendLetter(this.#folder, letter, () => {
      const sent = hasBus() ? askBus({ verb: "send", agent: this.agentName, to, message }) : undefined;
      return typeof sent === "string" ? sent : undefined;
    });
    return id ?? this.#folder.put(letter);
  }

  /** Returns the messages in the folder and then those on the bus, oldest first, and by default removes them. */
  checkInbox(deleteAfterRead = true): Letter[] {
    this.#folder.makeInbox(this.agentName);
    const letters = deleteAfterRead ? this.#folder.take(this.agentName) : this.#folder.read(this.agentName);
    if (deleteAfterRead) for (const letter of letters) this.#folder.acknowledge(this.agentName, letter);
    return [...letters, ...this.#checkBus(deleteAfterRead)];
  }

  /** Connects to a server under this agent's name. `handleMessage` gets the messages. */
  async connectWebSocket(url: string): Promise<void> {
    const warn = (sentence: string) => process.emitWarning(sentence);
    const { dialer, sign } = createDialer(readEnvironment(process.env), warn, new AbortController().signal);
    await this.closeWebSocket();
    this.#listener = await openListener({
      agent: this.agentName,
      dial: dialer(this.agentName, url, {}),
      sign,
      onMessage: (letter) => this.handleMessage(letter),
      onError: warn,
    });
  }

  /** Prints a message from the WebSocket; override it. The message is consumed once this returns. */
  handleMessage(message: Letter): unknown {
    return console.log(`[${message.from}]: ${message.message}`);
  }

  sendWebSocket(to: string, message: string): void {
    if (!this.#listener?.isOpen) throw invalid("Not connected to WebSocket");
    this.#listener.send(to, message);
  }

  async closeWebSocket(): Promise<void> {
    await this.#listener?.[Symbol.asyncDispose]();
    this.#listener = undefined;
  }

  #checkBus(take: boolean): readonly Letter[] {
    if (!hasBus()) return [];
    try {
      const answer = askBus({ verb: take ? "take" : "read", agent: this.agentName });
      return Array.isArray(answer) ? answer : [];
    } catch (error) {
      // The folder's messages must still be returned.
      const reason = error instanceof Error ? error.message : error;
      process.emitWarning(`el-ipc: the messages on the bus can't be read: ${reason}`);
      return [];
    }
  }
}

/** Whether there is a bus. Looking for one must not create it. */
function hasBus(): boolean {
  const { url, store, databasePath } = readEnvironment(process.env);
  return url !== undefined || store !== undefined || existsSync(databasePath);
}

const ANSWER_MS = 60_000;

let askWorker: ((request: BusRequest) => BusAnswer) | undefined;

function askBus(request: BusRequest): BusAnswer["answer"] {
  askWorker ??= startWorker();
  const { answer, error } = askWorker(request);
  if (error !== undefined) throw new IpcError(error.code, error.message, error.reason);
  return answer;
}

/** Starts a worker that holds the bus open until this process ends. */
function startWorker(): (request: BusRequest) => BusAnswer {
  const { port1: here, port2: there } = new MessageChannel();
  const answered = new Int32Array(new SharedArrayBuffer(4));
  const file = join(import.meta.dirname, "..", "sources.d", "ipc-messenger.js");
  const worker = new Worker(file, { workerData: { port: there, answered }, transferList: [there] });
  worker.unref();
  here.unref();
  return (request) => {
    Atomics.store(answered, 0, 0);
    here.postMessage(request);
    Atomics.wait(answered, 0, 0, ANSWER_MS);
    const received: { message: BusAnswer } | undefined = receiveMessageOnPort(here);
    if (received !== undefined) return received.message;
    askWorker = undefined;
    void worker.terminate();
    return { error: { code: "internal", message: "the bus did not answer in a minute", reason: undefined } };
  };
}
