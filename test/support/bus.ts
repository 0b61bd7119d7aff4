import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { createKeyPair } from "../../src/core/keys.ts";
import {
  type Environment,
  type Program,
  type Result,
  run,
  type Server,
  type Starting,
  start,
  startServer,
  temporaryFolder,
  untilListening,
  waitUntil,
} from "./program.ts";

/** A bus in a folder of its own, and its programs. */
export interface TemporaryBus extends Disposable {
  readonly environment: Environment;
  file(name: string): string;
  /** Writes a file of the bus's folder, for its owner alone as a key must be; answers with its path. */
  place(name: string, content: string | Uint8Array): string;
  run(...words: string[]): Promise<Result>;
  /** The output of a command, as a value; throws where it fails. */
  answer(...words: string[]): Promise<unknown>;
  start(words: readonly string[], starting?: Starting): Program;
  serve(more?: Environment, ...words: string[]): Promise<Server>;
  /** The same bus for somebody with these in their environment. */
  with(more: Environment): TemporaryBus;
}

export function temporaryBus(): TemporaryBus {
  const folder = temporaryFolder();
  const on = (environment: Environment): TemporaryBus => ({
    environment,
    file: folder.file,
    place(name, content) {
      writeFileSync(folder.file(name), content, { mode: 0o600 });
      return folder.file(name);
    },
    run: (...words) => run(words, environment),
    async answer(...words) {
      const { code, stdout, stderr } = await run(words, environment);
      if (code !== 0) throw new Error(stderr);
      return JSON.parse(stdout);
    },
    start: (words, starting = {}) => start(words, environment, starting),
    serve: (more = {}, ...words) => startServer({ ...environment, ...more }, ...words),
    with: (more) => on({ ...environment, ...more }),
    [Symbol.dispose]: () => folder[Symbol.dispose](),
  });
  return on(storeIn(folder));
}

/** Where a bus of one's own is kept: in a file, or on the server that `TEST_STORE` names. */
function storeIn(folder: { file(name: string): string }): Environment {
  const server = process.env.TEST_STORE;
  const path = { IPC_DB_PATH: folder.file("bus.db") };
  return server === undefined ? path : { ...path, IPC_STORE: `${server}/${randomBytes(6).toString("hex")}` };
}

/** Why a test is skipped that is about the database's file. */
export const aboutTheFile = {
  skip: process.env.TEST_STORE !== undefined && "the bus is kept in no file",
};

/** A bus in secure mode: the operator `ops`, and each of these agents with its key in NAME.key. */
export async function secureBus(...agents: string[]): Promise<TemporaryBus> {
  const bus = temporaryBus();
  bus.place("ops.key", (await expectSuccess(bus.run("seed", "ops"))).stdout);
  for (const name of agents) placeKeys(bus, name);
  const signed = ["--as", "ops", "--key", bus.file("ops.key")];
  for (const name of agents) {
    await expectSuccess(bus.run("register", name, "--pubkey", bus.file(`${name}.pub`), ...signed));
  }
  return bus;
}

/** NAME.key and NAME.pub, as `keygen --out` makes them but without a process. */
export function placeKeys(bus: TemporaryBus, name: string): void {
  const { privateKey, publicKey } = createKeyPair();
  bus.place(`${name}.key`, privateKey);
  bus.place(`${name}.pub`, publicKey);
}

export async function expectSuccess(result: Promise<Result>): Promise<Result> {
  const { code, stderr } = await result;
  if (code !== 0) throw new Error(`it ended with ${code}: ${stderr}`);
  return result;
}

export function textIn(path: string): string {
  return readFileSync(path, "utf8");
}

/** A message as its readers get it. */
export interface Message {
  readonly id: number;
  readonly sender: string;
  readonly content: string;
  readonly timestamp: number;
  readonly signed?: boolean;
}

export function messagesOf(answer: unknown): readonly Message[] {
  if (Array.isArray(answer) && answer.every(isMessage)) return answer;
  throw new Error(`these are no messages: ${JSON.stringify(answer)}`);
}

function isMessage(value: unknown): value is Message {
  return typeof value === "object" && value !== null && "id" in value && "content" in value;
}

export function contentsOf(answer: unknown): readonly string[] {
  return messagesOf(answer).map(({ content }) => content);
}

/** A broker of the built program on a port of its own. */
export function startBroker(bus: TemporaryBus, more: Environment = {}, ...words: string[]): Promise<Server> {
  return untilListening(bus.with(more).start(["tcp", "broker", "0", ...words]));
}

/** The port on which a server speaks TCP, too. */
export async function tcpPortOf({ untilLogged: said }: Pick<Server, "untilLogged">): Promise<number> {
  return Number(/"tcp":"tcp:\/\/[^"]*:(\d+)"/.exec(await said("tcp"))?.[1]);
}

/** A token of an agent, whose key lies in the bus's folder. */
export async function tokenOf(bus: TemporaryBus, agent: string): Promise<string> {
  const { stdout, stderr, code } = await bus.run("token", agent, "--key", bus.file(`${agent}.key`));
  if (code !== 0) throw new Error(stderr);
  return stdout.trim();
}

/** Until somebody waits for a message of this bus. */
export async function untilOneWaits(bus: TemporaryBus): Promise<void> {
  await untilBellsHang(bus, 1);
  await sleep(50);
}

/** Until somebody waits for so many different things. */
export async function untilBellsHang(bus: TemporaryBus, count: number): Promise<void> {
  const bells = bus.environment.IPC_STORE === undefined ? bellFiles : bellSubjects;
  await waitUntil(async () => (await bells(bus)) >= count, `${count} bells`);
}

function bellFiles(bus: TemporaryBus): number {
  const folder = bus.file("bus.db-bells");
  return existsSync(folder) ? readdirSync(folder).length : 0;
}

/** The server that the tests have started says who listens to what. */
async function bellSubjects({ environment: { IPC_STORE = "" } }: TemporaryBus): Promise<number> {
  const answer = await fetch(`${process.env.TEST_MONITOR}/subsz?subs=1&limit=100000`);
  const bell = new RegExp(`"${new URL(IPC_STORE).pathname.slice(1)}\\.bell\\.[^"]+"`, "g");
  return new Set((await answer.text()).match(bell)).size;
}
