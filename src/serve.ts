import { writeSync } from "node:fs";
import { join } from "node:path";
import { serveBus, serveOverTcp } from "./brokers.ts";
import { admit, type Caller, isSecure } from "./core/access.ts";
import type { Bus } from "./core/bus.ts";
import { hasCode, IpcError } from "./core/errors.ts";
import { formatAddress } from "./core/link.ts";
import type { Environment } from "./environment.ts";
import { openBus } from "./open.ts";
import { listToolOperations } from "./operations/index.ts";
import { createConnections } from "./server/connections.ts";
import { checkListenAddress } from "./server/loopback.ts";
import { createDashboard } from "./surfaces/dashboard/files.ts";
import { productAt } from "./surfaces/http/client.ts";
import { createLog, errorDetails, type Log, serveHttp } from "./surfaces/http/server.ts";
import { brokerAt } from "./surfaces/tcp/client.ts";
import type { TcpServer } from "./surfaces/tcp/server.ts";
import { printable } from "./wire/printable.ts";

const DASHBOARD = "/dashboard";

/** Where the build puts the dashboard, seen from sources.d itself and from src. */
const BUILT = join(import.meta.dirname, "..", "sources.d");

const MCP_PATH = "/mcp";

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
  const log = logTo(process.stderr, verbose);
  let listening = port;
  await using bus = await openBus(environment, { port: () => listening, signal });
  const secure = await isSecure(bus);
  checkListenAddress(host, { hasKey: environment.apiKey !== undefined, secure, insecure });
  const served = serveBus(bus, { apiKey: environment.apiKey, insecure });
  const failed = (from: object) => (error: unknown) => log("error", "fault", { ...from, ...errorDetails(error) });
  await using webSockets = onFirstUse(async () => {
    const { createWebSockets } = await import("./surfaces/websocket/server.ts");
    return createWebSockets({
      ...served,
      connections: createConnections(bus),
      failed: failed({ surface: "websocket" }),
    });
  });
  await using mcp = onFirstUse(async () => {
    const { createHttpMcp } = await import("./surfaces/mcp/http.ts");
    const reader = (caller: Caller) => admit(bus, "reader", {}, caller);
    return createHttpMcp({
      ...served,
      operations: listToolOperations(),
      path: MCP_PATH,
      version,
      admit: reader,
      failed: failed({ path: MCP_PATH }),
    });
  });
  await using server = await serveHttp({
    ...served,
    host,
    port,
    log,
    product,
    mounts: [
      { prefix: MCP_PATH, handle: async (...request) => (await mcp.loaded()).handle(...request) },
      { prefix: DASHBOARD, open: true, handle: createDashboard({ folder: BUILT, prefix: DASHBOARD }) },
    ],
    upgrade: async (...request) => (await webSockets.loaded()).upgrade(...request),
  }).catch(async (error: unknown) => {
    throw await listenFault(error, host, port);
  });
  listening = server.port;
  await using lines =
    tcp === undefined ? undefined : await openTcp(bus, environment, { ...serving, port: tcp }, log, product);
  const url = `http://${formatAddress({ host, port: server.port })}`;
  const about = { database: environment.place, security: secure ? "secure" : "open", version };
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

interface OnFirstUse<T> extends AsyncDisposable {
  loaded(): Promise<T>;
}

/** What is loaded when somebody first asks for it, so that a server without such clients doesn't carry it. */
function onFirstUse<T extends AsyncDisposable>(load: () => Promise<T>): OnFirstUse<T> {
  let loading: Promise<T> | undefined;
  return {
    loaded() {
      loading ??= load();
      return loading;
    },
    [Symbol.asyncDispose]: async () => (await loading?.catch(() => undefined))?.[Symbol.asyncDispose](),
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
  const log = logTo(process.stderr, verbose);
  await using bus = await openBus(environment, { port: () => environment.port, signal });
  const secure = await isSecure(bus);
  checkListenAddress(host, { hasKey: environment.apiKey !== undefined, secure, insecure });
  const opened = await openTcp(bus, environment, serving, log, `el-ipc/${version}`).catch((error: unknown) => {
    if (error instanceof BrokerFound) return error.message;
    throw error;
  });
  if (typeof opened === "string") return opened;
  await using server = opened;
  const about = { database: environment.place, security: secure ? "secure" : "open", version };
  log("info", "listening", { url: tcpUrl(host, server), ...about });
  await aborted(signal);
  log("info", "stopping");
  return undefined;
}

function tcpUrl(host: string, { port }: TcpServer): string {
  return `tcp://${formatAddress({ host, port })}`;
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
    throw new BrokerFound(
      "conflict",
      `${broker} is the broker at ${formatAddress({ host, port })} already: it is used`,
    );
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** Standard error gets JSON lines; a terminal gets a greeting for a person instead of the first and the last of them. */
function logTo({ isTTY }: { readonly isTTY?: boolean }, verbose: boolean): Log {
  const log = createLog(verbose ? "debug" : "info", writeLine);
  if (isTTY !== true) return log;
  return (level, event, details) => {
    if (event === "stopping") writeLine("Stopping.\n");
    else if (event === "listening") writeLine(greeting(details));
    else log(level, event, details);
  };
}

function greeting({ url, dashboard, database }: Readonly<Record<string, unknown>> = {}): string {
  const lines = [
    `Serving the bus ${database} at ${url}`,
    ...(dashboard === undefined ? [] : [`Dashboard: ${dashboard}`]),
    "Press Ctrl-C to stop.",
  ];
  return `${printable(lines.join("\n"))}\n`;
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
