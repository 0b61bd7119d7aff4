import type { KeyObject } from "node:crypto";
import { type Client, type ClientOptions, createClient } from "./client/client.ts";
import { readFile } from "./client/files.ts";
import type { ServerTarget } from "./client/remote.ts";
import { THIS_PROCESS } from "./core/access.ts";
import { readPrivateKey } from "./core/keys.ts";
import { createUserState, type Environment } from "./environment.ts";
import { openBus, openLink } from "./open.ts";
import { createLocalEndpoint, createStorelessEndpoint, type Endpoint } from "./operations/perform.ts";
import { createHttpEndpoint } from "./surfaces/http/client.ts";

export interface ConnectOptions extends Pick<ClientOptions, "url" | "agent" | "key" | "token" | "warn"> {
  readonly environment: Environment;
  /** Opens a secured bus even if it has lost its operator. */
  readonly seeding?: boolean;
  /** Ends the wait for an unreachable store. */
  readonly signal?: AbortSignal;
}

const FOREVER = new AbortController().signal;

export function connectClient({ environment, url, signal = FOREVER, seeding, ...options }: ConnectOptions): Client {
  const openLocal = async () => {
    const { warn } = options;
    const bus = await openBus(environment, { port: () => environment.port, signal, warn, seeding: seeding ?? false });
    return { ...createLocalEndpoint(bus, THIS_PROCESS), [Symbol.asyncDispose]: () => bus[Symbol.asyncDispose]() };
  };
  return createClient({
    ...options,
    url,
    knownServers: createUserState(environment.configFolder),
    signal,
    open: (token) => (url === undefined ? openLocal() : openServer({ url, apiKey: environment.apiKey, token })),
    storeless: createStorelessEndpoint({ link: openLink() }, THIS_PROCESS),
  });
}

export async function openServer(server: ServerTarget): Promise<Endpoint & AsyncDisposable> {
  if (server.url.startsWith("tcp://")) return (await import("./surfaces/tcp/client.ts")).openTcpEndpoint(server);
  return { ...createHttpEndpoint(server), [Symbol.asyncDispose]: async () => {} };
}

/** Reads a private key. Text is a path, unless it is PEM. */
export function loadKey(key: string | Uint8Array | undefined): KeyObject | undefined {
  if (key === undefined) return undefined;
  if (typeof key !== "string") return readPrivateKey(key);
  return readPrivateKey(key.includes("-----BEGIN ") ? Buffer.from(key) : readFile(key));
}
