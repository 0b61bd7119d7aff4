import { writeSync } from "node:fs";
import { admit, mayListen } from "./core/access.ts";
import { isSecure } from "./core/agents.ts";
import type { Bus } from "./core/bus.ts";
import { IpcError } from "./core/errors.ts";
import { addressText } from "./core/link.ts";
import { raiseAlarm } from "./core/security.ts";
import { verifyToken } from "./core/token.ts";
import type { Environment } from "./environment.ts";
import { openBus } from "./open.ts";
import { operations } from "./operations/index.ts";
import { perform } from "./operations/perform.ts";
import { serveOverTcp } from "./serve-tcp.ts";
import { dashboard } from "./surfaces/dashboard/files.ts";
import { createLog, errorDetails, type Log } from "./surfaces/http/log.ts";
import type { Mount } from "./surfaces/http/mount.ts";
import { productAt } from "./surfaces/http/probe.ts";
import { serveHttp } from "./surfaces/http/server.ts";
import type { Upgrade } from "./surfaces/http/upgrade.ts";
import type { HttpMcp } from "./surfaces/mcp/http.ts";
import { brokerAt } from "./surfaces/tcp/client.ts";
import type { TcpServer } from "./surfaces/tcp/server.ts";
import type { WebSockets } from "./surfaces/websocket/server.ts";

const DASHBOARD = "/dashboard";

export interface Serving {
  readonly host: string;
  readonly port: number;
  readonly insecure: boolean;
  readonly verbose: boolean;
  /** Called once it listens. */
  readonly listening?: (port: number) => void;
  /** Where lines of JSON over TCP are served, too. */
  readonly tcp?: number | undefined;
}

/** Opens the bus and puts the servers on it, until the signal aborts. */
export async function serve(
  environment: Environment,
  version: string,
  serving: Serving,
  signal: AbortSignal,
): Promise<void> {
  const { host, port, insecure, verbose, tcp } = serving;
  const product = `el-ipc/${version}`;
  const log = createLog(verbose ? "debug" : "info", writeLine);
  let listening = port;
  await using bus = await openBus(environment, { port: () => listening });
  const secure = await isSecure(bus);
  mayListen(host, { hasKey: environment.apiKey !== undefined, secure, insecure });
  await using webSockets = webSocketsOn(bus, log);
  await using mcp = mountMcp(bus, version, (error) =>
    log("error", "fault", { path: MCP_PATH, ...errorDetails(error) }),
  );
  await using server = await serveHttp({
    operations,
    perform: (operation, input, context) => perform(bus, operation, input, context),
    host,
    port,
    door: { apiKey: environment.apiKey, insecure, identify: (token) => verifyToken(bus, token) },
    refused: (refusal, from) => raiseAlarm(bus, refusal, { from }),
    log,
    product,
    mounts: [
      mcp,
      { prefix: DASHBOARD, open: true, handle: dashboard({ folder: import.meta.dirname, prefix: DASHBOARD }) },
    ],
    upgrade: webSockets.upgrade,
  }).catch(async (error: unknown) => {
    throw await listenFault(error, host, port);
  });
  listening = server.port;
  await using lines =
    tcp === undefined ? undefined : await openTcp(bus, environment, { ...serving, port: tcp }, log, product);
  const url = `http://${addressText({ host, port: server.port })}`;
  const about = { database: environment.databasePath, security: secure ? "secure" : "open", version };
  log("info", "listening", {
    url,
    dashboard: `${url}${DASHBOARD}`,
    ...(lines === undefined ? {} : { tcp: tcpUrl(host, lines) }),
    ...about,
  });
  serving.listening?.(listening);
  await aborted(signal);
  log("info", "stopping");
}

/** WebSocket, loaded when somebody first speaks it. */
function webSocketsOn(bus: Bus, log: Log): AsyncDisposable & { readonly upgrade: Upgrade } {
  let loaded: Promise<WebSockets> | undefined;
  const load = async () => {
    const { createWebSockets } = await import("./surfaces/websocket/server.ts");
    return createWebSockets({
      operations,
      perform: (operation, input, context) => perform(bus, operation, input, context),
      failed: (error) => log("error", "fault", { surface: "websocket", ...errorDetails(error) }),
    });
  };
  return {
    async upgrade(...request) {
      loaded ??= load();
      await (await loaded).upgrade(...request);
    },
    [Symbol.asyncDispose]: async () => (await loaded)?.[Symbol.asyncDispose](),
  };
}

/** Opens the bus and serves it as lines of JSON, until the signal aborts. Answers with a sentence where a broker is there already. */
export async function serveBroker(
  environment: Environment,
  version: string,
  serving: Serving,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { host, insecure, verbose } = serving;
  const log = createLog(verbose ? "debug" : "info", writeLine);
  await using bus = await openBus(environment, { port: () => environment.port });
  const secure = await isSecure(bus);
  mayListen(host, { hasKey: environment.apiKey !== undefined, secure, insecure });
  const opened = await openTcp(bus, environment, serving, log, `el-ipc/${version}`).catch((error: unknown) => {
    if (error instanceof BrokerFound) return error.message;
    throw error;
  });
  if (typeof opened === "string") return opened;
  await using server = opened;
  const about = { database: environment.databasePath, security: secure ? "secure" : "open", version };
  log("info", "listening", { url: tcpUrl(host, server), ...about });
  await aborted(signal);
  log("info", "stopping");
  return undefined;
}

function tcpUrl(host: string, { port }: TcpServer): string {
  return `tcp://${addressText({ host, port })}`;
}

class BrokerFound extends IpcError {}

async function openTcp(
  bus: Bus,
  { apiKey }: Environment,
  { host, port, insecure }: Serving,
  log: Log,
  product: string,
): Promise<TcpServer> {
  try {
    const failed = (error: unknown) => log("error", "fault", { surface: "tcp", ...errorDetails(error) });
    return await serveOverTcp(bus, { host, port, apiKey, insecure, failed, product });
  } catch (error) {
    const broker = hasCode(error, "EADDRINUSE") ? await brokerAt(host, port) : undefined;
    if (broker === undefined) throw await listenFault(error, host, port, "tcp broker");
    throw new BrokerFound("conflict", `${broker} is the broker at ${addressText({ host, port })} already: it is used`);
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

const MCP_PATH = "/mcp";

/** MCP, loaded when somebody first asks for it. */
function mountMcp(bus: Bus, version: string, failed: (error: unknown) => void): Mount & AsyncDisposable {
  let loaded: Promise<HttpMcp> | undefined;
  const load = async () => {
    const { createHttpMcp } = await import("./surfaces/mcp/http.ts");
    return createHttpMcp({
      path: MCP_PATH,
      version,
      operations,
      perform: (operation, input, context) => perform(bus, operation, input, context),
      admit: (caller) => admit(bus, "reader", {}, caller),
      failed,
    });
  };
  return {
    prefix: MCP_PATH,
    async handle(...request) {
      loaded ??= load();
      await (await loaded).handle(...request);
    },
    [Symbol.asyncDispose]: async () => (await loaded)?.[Symbol.asyncDispose](),
  };
}

/** Requests are answered whether or not anybody reads the log. */
function writeLine(line: string): void {
  try {
    writeSync(2, line);
  } catch {
    // As above: a pipe whose reader has gone or is slow, a full disk.
  }
}

/** A port that is taken is asked who it is. */
async function listenFault(error: unknown, host: string, port: number, verb = "serve"): Promise<unknown> {
  if (!(error instanceof Error) || !("code" in error)) return error;
  if (error.code === "EACCES")
    return fault(`Port ${port} needs rights that this user doesn't have; choose another`, error);
  if (error.code === "EADDRNOTAVAIL" || error.code === "ENOTFOUND") {
    return fault(`${host} is not an address of this machine`, error);
  }
  if (error.code !== "EADDRINUSE") return error;
  const product = await productAt(host, port);
  if (product?.startsWith("el-ipc/")) {
    return fault(
      `${product} serves on port ${port} already: use http://localhost:${port}, or choose another port`,
      error,
    );
  }
  return fault(`Port ${port} is taken by another program; choose another: el-ipc ${verb} ${port + 1}`, error);
}

function fault(message: string, cause: Error): IpcError {
  return new IpcError("conflict", message, undefined, { cause });
}
