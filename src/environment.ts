import { resolve } from "node:path";
import { invalid } from "./core/errors.ts";

export const DEFAULT_PORT = 9876;

/** What the environment variables say. */
export interface Environment {
  readonly databasePath: string;
  readonly durability: "full" | "normal";
  readonly port: number;
  readonly apiKey: string | undefined;
  readonly cardName: string;
  readonly cardDescription: string;
  readonly cardUrl: string | undefined;
  readonly url: string | undefined;
  readonly agent: string | undefined;
  readonly keyFile: string | undefined;
  readonly debug: boolean;
}

export function readEnvironment(variables: NodeJS.ProcessEnv): Environment {
  const text = (name: string) => variables[name] || undefined;
  return {
    databasePath: resolve(text("IPC_DB_PATH") ?? "/tmp/el-ipc.db"),
    durability: durabilityOf(text("IPC_DURABILITY")),
    port: portOf(text("IPC_PORT")),
    apiKey: text("IPC_API_KEY"),
    cardName: text("IPC_AGENT_NAME") ?? "el-ipc agent",
    cardDescription: text("IPC_AGENT_DESC") ?? "An el-ipc agent with Ed25519 identity",
    cardUrl: text("IPC_AGENT_URL"),
    url: text("IPC_URL"),
    agent: text("IPC_AGENT"),
    keyFile: text("IPC_KEY"),
    debug: text("IPC_DEBUG") !== undefined,
  };
}

function durabilityOf(text: string | undefined): "full" | "normal" {
  if (text === undefined || text === "full") return "full";
  if (text === "normal") return "normal";
  throw invalid(`IPC_DURABILITY must be full or normal, not ${JSON.stringify(text)}`);
}

function portOf(text: string | undefined): number {
  if (text === undefined) return DEFAULT_PORT;
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= 65_535) return port;
  throw invalid(`IPC_PORT must be a port from 0 to 65535, not ${JSON.stringify(text)}`);
}
