import assert from "node:assert/strict";
import { retryWhileBusy } from "../../src/storage/sqlite/connection.ts";
import { openDatabase } from "../../src/storage/sqlite/database.ts";
import type { TemporaryBus } from "./bus.ts";
import { type Answer, ask, openAnswer, type Question } from "./http.ts";
import { mailLeasesEndOnNats, secondsPassOnNats } from "./nats-time.ts";
import type { Server } from "./program.ts";

export interface Peer {
  readonly id: string;
  readonly role: string;
  readonly capabilities: readonly string[];
  readonly status: string;
  readonly waiting_for: string | null;
  readonly agent: string | null;
  readonly connected_at: number;
  readonly last_seen: number;
}

export interface Command {
  readonly id: string;
  readonly kind: string;
  readonly from: string;
  readonly fromId: string | null;
  readonly target: string;
  readonly targetRole: string;
  readonly action: string;
  readonly params: unknown;
  readonly ts: number;
  readonly status: string;
  readonly attempts: number;
  readonly holder: string | null;
  readonly leaseUntil: number | null;
  readonly result: unknown;
  readonly ackedAt: number | null;
}

export interface Signal {
  readonly name: string;
  readonly data: unknown;
  readonly from: string;
  readonly ts: number;
}

export interface Message {
  readonly id: number;
  readonly channel: string;
  readonly from: string;
  readonly data: unknown;
  readonly ts: number;
}

/** The answer of a server, with the fields that a test asks for. */
export interface ServerAnswer {
  readonly ok: boolean;
  readonly error: string;
  readonly code: string;
  readonly id: string | number;
  readonly peer: Peer;
  readonly peers: readonly Peer[];
  readonly suggestions: readonly string[];
  readonly command: Command;
  readonly commands: readonly Command[];
  readonly signal: Signal;
  readonly signals: readonly Signal[];
  readonly messages: readonly Message[];
  readonly channels: readonly { readonly channel: string; readonly count: number }[];
  readonly secure_mode: boolean;
  readonly now: number;
  readonly removed: number;
  readonly backup: string;
}

function isServerAnswer(value: unknown): value is ServerAnswer {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function answerIn({ json, text }: Answer): ServerAnswer {
  return isServerAnswer(json) ? json : assert.fail(`this is no object: ${text}`);
}

/** Asks a server, and expects an answer with this status. */
export async function askFor(
  server: Server,
  what: string,
  body?: unknown,
  status = 200,
  headers: Readonly<Record<string, string>> = {},
): Promise<ServerAnswer> {
  const answer = await ask(server.url, what, body === undefined ? { headers } : { headers, body });
  assert.equal(answer.status, status, `${what}: ${answer.text}`);
  return answerIn(answer);
}

/** Connects a session; answers with its id. */
export async function connect(server: Server, role: string, capabilities: readonly string[] = []): Promise<string> {
  return String((await askFor(server, "POST /peers/connect", { role, capabilities })).id);
}

/** Orders something; answers with the command's id. */
export async function sendCommand(server: Server, target: string, action = "work", more: object = {}): Promise<string> {
  const { command } = await askFor(server, "POST /commands/send", { from: "human", target, action, ...more });
  return command.id;
}

/** Waits for a command over HTTP. */
export function waitForCommand(
  server: Server,
  peer: string,
  milliseconds = 5_000,
  asking: Question = {},
): Promise<Answer> {
  return ask(server.url, `GET /commands/${peer}/wait?timeout=${milliseconds}`, asking);
}

/** The command that a peer is handed out next; undefined when none comes in time. */
export async function takeCommand(server: Server, peer: string, milliseconds = 5_000): Promise<Command | undefined> {
  const answer = await waitForCommand(server, peer, milliseconds);
  return answer.status === 408 ? undefined : answerIn(answer).command;
}

export async function findCommand(server: Server, id: string): Promise<Command> {
  const { commands } = await askFor(server, "GET /commands");
  return commands.find((one) => one.id === id) ?? assert.fail(`there is no command ${id}`);
}

/** As if the time had gone by for which what a mailbox handed out is nobody else's. */
export async function endMailLeases(bus: TemporaryBus): Promise<void> {
  const address = bus.environment.IPC_STORE;
  if (address !== undefined) return mailLeasesEndOnNats(address);
  const file = await openDatabase({ path: bus.file("bus.db") });
  await retryWhileBusy(() => file.exec("UPDATE taken SET lease_until = lease_until - 10"));
  file.close();
}

/** As if so many seconds had gone by. Who waits notices as soon as its clock asks the store. */
export async function letSecondsPass(bus: TemporaryBus, seconds: number): Promise<void> {
  const address = bus.environment.IPC_STORE;
  if (address !== undefined) return secondsPassOnNats(address, seconds);
  const file = await openDatabase({ path: bus.file("bus.db") });
  await retryWhileBusy(() => file.exec("BEGIN IMMEDIATE"));
  file.exec(`UPDATE peers SET last_seen = last_seen - ${seconds}, connected_at = connected_at - ${seconds};
    UPDATE orders SET created_at = created_at - ${seconds}, lease_until = lease_until - ${seconds},
      expires_at = expires_at - ${seconds}, ended_at = ended_at - ${seconds};
    COMMIT`);
  file.close();
}

export interface WatchedEvent {
  readonly id: string;
  readonly ts: number;
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
}

function isWatchedEvent(value: unknown): value is WatchedEvent {
  return isServerAnswer(value) && "type" in value && "data" in value;
}

/** Types of events that are sent each time; others are counted or summed up. */
const CHANGE = /^(snapshot|message|peer_\w+|command_\w+|signal_\w+)$/;

export interface Watch extends Disposable {
  /** All changes that came so far. */
  readonly events: readonly WatchedEvent[];
  /** Waits until there are so many of a type. */
  untilCame(type: string, count?: number): Promise<readonly WatchedEvent[]>;
  readonly ended: Promise<unknown>;
}

/** Follows GET /events, from an event on or from the beginning. */
export async function watch(
  server: Server,
  lastEventId?: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Watch> {
  const resumed = lastEventId === undefined ? {} : { "Last-Event-ID": lastEventId };
  const response = await openAnswer(server.url, "GET /events", { headers: { ...headers, ...resumed } });
  assert.equal(response.statusCode, 200);
  assert.equal(response.headers["content-type"], "text/event-stream");
  const events: WatchedEvent[] = [];
  let rest = "";
  response.setEncoding("utf8").on("data", (chunk: string) => {
    const blocks = (rest + chunk).split("\n\n");
    rest = blocks.pop() ?? "";
    for (const block of blocks) {
      const [, id, data] = /^id: (.*)\ndata: (.*)$/.exec(block) ?? [];
      if (data === undefined) continue;
      const event: unknown = JSON.parse(data);
      assert.ok(isWatchedEvent(event) && event.id === id, data);
      if (CHANGE.test(event.type)) events.push(event);
    }
  });
  response.on("error", () => {});
  const ended = new Promise((resolve) => response.on("close", resolve));
  return {
    events,
    ended,
    async untilCame(type, count = 1) {
      const end = Date.now() + 10_000;
      for (;;) {
        const found = events.filter((event) => event.type === type);
        if (found.length >= count) return found;
        if (Date.now() > end) assert.fail(`no ${type} came: ${events.map((event) => event.type).join(" ")}`);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    },
    [Symbol.dispose]: () => void response.destroy(),
  };
}
