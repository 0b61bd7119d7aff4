import { appendFileSync, mkdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { KnownServers } from "./client/signer.ts";
import { invalid } from "./core/errors.ts";

export const DEFAULT_PORT = 9876;

export interface Environment {
  readonly databasePath: string;
  /** The address of a NATS server that keeps the bus instead of the database. */
  readonly store: string | undefined;
  readonly replicas: number;
  /** Waits for an unreachable NATS server. */
  readonly retry: boolean;
  /** Names the database or NATS server, without its password. */
  readonly place: string;
  readonly durability: "full" | "normal";
  readonly port: number;
  readonly apiKey: string | undefined;
  readonly cardName: string;
  readonly cardDescription: string;
  readonly cardUrl: string | undefined;
  readonly url: string | undefined;
  readonly agent: string | undefined;
  readonly keyFile: string | undefined;
  readonly token: string | undefined;
  readonly signatures: "any" | "v2";
  readonly readsNeedToken: boolean;
  readonly configFolder: string;
  /** The Python original's folder. */
  readonly agentMsgFolder: string;
  readonly debug: boolean;
}

export function readEnvironment(variables: NodeJS.ProcessEnv): Environment {
  const text = (name: string) => variables[name] || undefined;
  const databasePath = resolve(text("IPC_DB_PATH") ?? "/tmp/el-ipc.db");
  const home = text("HOME") ?? process.getBuiltinModule("node:os").homedir();
  return {
    databasePath,
    ...storeOf("IPC_STORE", text("IPC_STORE"), databasePath),
    retry: false,
    replicas: Number(oneOf("IPC_NATS_REPLICAS", text("IPC_NATS_REPLICAS"), ["1", "3", "5"])),
    durability: oneOf("IPC_DURABILITY", text("IPC_DURABILITY"), ["full", "normal"]),
    port: portOf(text("IPC_PORT")),
    apiKey: text("IPC_API_KEY"),
    cardName: text("IPC_AGENT_NAME") ?? "el-ipc agent",
    cardDescription: text("IPC_AGENT_DESC") ?? "An el-ipc agent with Ed25519 identity",
    cardUrl: text("IPC_AGENT_URL"),
    url: text("IPC_URL"),
    agent: text("IPC_AGENT"),
    keyFile: text("IPC_KEY"),
    token: text("IPC_TOKEN"),
    signatures: oneOf("IPC_SIG_POLICY", text("IPC_SIG_POLICY"), ["any", "v2"]),
    readsNeedToken: oneOf("IPC_READ_AUTH", text("IPC_READ_AUTH"), ["optional", "required"]) === "required",
    configFolder: join(text("XDG_CONFIG_HOME") ?? join(home, ".config"), "el-ipc"),
    agentMsgFolder: join(home, ".agent-msg"),
    debug: text("IPC_DEBUG") !== undefined,
  };
}

function oneOf<const T extends string>(name: string, text: string | undefined, values: readonly [T, ...T[]]): T {
  const value = text === undefined ? values[0] : values.find((known) => known === text);
  if (value !== undefined) return value;
  throw invalid(`${name} must be ${values.join(" or ")}, not ${JSON.stringify(text)}`);
}

export function withStore(environment: Environment, named: string | undefined, retry = false): Environment {
  const { databasePath } = environment;
  const kept = named === undefined ? environment : { ...environment, ...storeOf("--store", named, databasePath) };
  if (retry && kept.store === undefined) throw invalid("--retry waits for a NATS server: name one with --store");
  return { ...kept, retry };
}

export function withDatabase(environment: Environment, databasePath: string): Environment {
  return { ...environment, databasePath, ...storeOf("", undefined, databasePath) };
}

function storeOf(name: string, text: string | undefined, databasePath: string): Pick<Environment, "store" | "place"> {
  if (text === undefined) return { store: undefined, place: databasePath };
  if (/^(nats|tls):\/\//.test(text)) return { store: text, place: withoutLogin(text) };
  throw invalid(`${name} must be nats://HOST:PORT or tls://HOST:PORT; for a database file set IPC_DB_PATH`);
}

function withoutLogin(address: string): string {
  return address.replace(/\/\/[^/]*@/, "//").replace(/\?.*$/s, "");
}

function portOf(text: string | undefined): number {
  if (text === undefined) return DEFAULT_PORT;
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= 65_535) return port;
  throw invalid(`IPC_PORT must be a port from 0 to 65535, not ${JSON.stringify(text)}`);
}

/** User state kept outside the database: two text files that a person may read and edit. */
export interface UserState extends KnownServers {
  /** Databases that have had an operator. One without an operator was replaced, and must not be used as new. */
  hasDatabase(path: string): boolean;
  /** Returns whether the line could be written. */
  addDatabase(path: string): boolean;
  readonly databasesFile: string;
}

export function createUserState(folder: string): UserState {
  const databasesFile = join(folder, "databases");
  const serversFile = join(folder, "servers");

  const add = (file: string, line: string): boolean => {
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      appendFileSync(file, `${line}\n`, { mode: 0o600 });
      return true;
    } catch {
      return false;
    }
  };

  return {
    hasDatabase: (path) => lines(databasesFile).includes(path),
    addDatabase: (path) => lines(databasesFile).includes(path) || add(databasesFile, path),
    databasesFile,
    serverDid: (url) => {
      const line = lines(serversFile).find((known) => known.startsWith(`${url} `));
      return line?.slice(url.length + 1);
    },
    addServer: (url, did) => add(serversFile, `${url} ${did}`),
    serversFile,
  };
}

function lines(file: string): string[] {
  try {
    return readFileSync(file, "utf8").split("\n");
  } catch {
    return [];
  }
}
