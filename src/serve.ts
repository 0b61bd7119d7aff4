import { once } from "node:events";
import { writeSync } from "node:fs";
import { join } from "node:path";
import { admit, type Caller, isSecure } from "./core/access.ts";
import type { Bus } from "./core/bus.ts";
import { hasCode, IpcError } from "./core/errors.ts";
import { formatAddress } from "./core/link.ts";
import type { Environment } from "./environment.ts";
import { openBus } from "./open.ts";
import { listToolOperations } from "./operations/index.ts";
import { checkListenAddress, type ListeningServer } from "./server/addresses.ts";
import { createConnections } from "./server/connections.ts";
import { type ExposedBus, exposeBus } from "./server/entrance.ts";
import { createLog, errorDetails, type Log } from "./server/log.ts";
import { createDashboard } from "./surfaces/dashboard/files.ts";
import { productAt } from "./surfaces/http/client.ts";
import { serveHttp } from "./surfaces/http/server.ts";
import { brokerAt } from "./surfaces/tcp/client.ts";
import { serveTcp } from "./surfaces/tcp/server.ts";
import { printable } from "./wire/printable.ts";

const DASHBOARD = "/dashboard";

/** The folder of the built dashboard, as seen from both sources.d and src. */
const BUILT = join(import.meta.dirname, "..", "sources.d");

const MCP_PATH = "/mcp";

export interface ServeOptions {
  readonly host: string;
  readonly port: number;
  readonly insecure: boolean;
  readonly verbose: boolean;
  readonly listening?: (port: number) => void;
  /** The port of a second server, which speaks JSON lines over TCP. */
  readonly tcp?: number | undefined;
}

/** Serves the bus over HTTP, with WebSocket, MCP and the dashboard, until the signal aborts. */
export async function serve(
  environment: Environment,
  version: string,
  options: ServeOptions,
  signal: AbortSignal,
): Promise<void> {
  const { host, tcp } = options;
  const product = `el-ipc/${version}`;
  const log = createServerLog(process.stderr, options);
  let port = options.port;
  await using bus = await openBus(environment, { port: () => port, signal });
  const { exposed, secure } = await exposeSafely(bus, environment, options);
  await using webSockets = loadOnFirstUse(async () => {
    const { createWebSockets } = await import("./surfaces/websocket/server.ts");
    return createWebSockets({
      ...exposed,
      connections: createConnections(bus),
      reportFault: faultLog(log, { surface: "websocket" }),
    });
  });
  await using mcp = loadOnFirstUse(async () => {
    const { createHttpMcp } = await import("./surfaces/mcp/http.ts");
    const reader = (caller: Caller) => admit(bus, "reader", {}, caller);
    const reportFault = faultLog(log, { path: MCP_PATH });
    return createHttpMcp({
      ...exposed,
      operations: listToolOperations(),
      path: MCP_PATH,
      version,
      admit: reader,
      reportFault,
    });
  });
  await using server = await serveHttp({
    ...exposed,
    host,
    port,
    log,
    product,
    mounts: [
      { prefix: MCP_PATH, handle: async (...request) => (await mcp.load()).handle(...request) },
      { prefix: DASHBOARD, open: true, handle: createDashboard({ folder: BUILT, prefix: DASHBOARD }) },
    ],
    upgrade: async (...request) => (await webSockets.load()).upgrade(...request),
  }).catch(async (error: unknown) => {
    throw await listenError(error, host, port);
  });
  port = server.port;
  await using lines =
    tcp === undefined ? undefined : await serveLines(exposed, { ...options, port: tcp }, log, product);
  const url = `http://${formatAddress({ host, port })}`;
  log("info", "listening", {
    url,
    dashboard: `${url}${DASHBOARD}`,
    ...(lines === undefined ? {} : { tcp: tcpUrl(host, lines) }),
    ...describe(environment, version, secure),
  });
  options.listening?.(port);
  if (!signal.aborted) await once(signal, "abort");
  log("info", "stopping");
}

/** Serves the bus as JSON lines until the signal aborts. Returns a sentence if a broker is there already. */
export async function serveBroker(
  environment: Environment,
  version: string,
  options: ServeOptions,
  signal: AbortSignal,
): Promise<string | undefined> {
  const log = createServerLog(process.stderr, options);
  await using bus = await openBus(environment, { port: () => environment.port, signal });
  const { exposed, secure } = await exposeSafely(bus, environment, options);
  const opened = await serveLines(exposed, options, log, `el-ipc/${version}`).catch((error: unknown) => {
    if (error instanceof BrokerFound) return error.message;
    throw error;
  });
  if (typeof opened === "string") return opened;
  await using server = opened;
  log("info", "listening", { url: tcpUrl(options.host, server), ...describe(environment, version, secure) });
  if (!signal.aborted) await once(signal, "abort");
  log("info", "stopping");
  return undefined;
}

/** Exposes a bus, unless strangers could reach an open bus at the address. */
async function exposeSafely(
  bus: Bus,
  { apiKey }: Environment,
  { host, insecure }: ServeOptions,
): Promise<{ exposed: ExposedBus; secure: boolean }> {
  const secure = await isSecure(bus);
  checkListenAddress(host, { hasKey: apiKey !== undefined, secure, insecure });
  return { exposed: exposeBus(bus, { apiKey, insecure }), secure };
}

function describe({ place }: Environment, version: string, secure: boolean) {
  return { database: place, security: secure ? "secure" : "open", version };
}

/** Logs JSON lines to standard error. A terminal gets a greeting instead of the first and the last line. */
function createServerLog({ isTTY }: { readonly isTTY?: boolean }, { verbose }: ServeOptions): Log {
  const log = createLog(verbose ? "debug" : "info", writeLine);
  if (isTTY !== true) return log;
  return (level, event, details) => {
    if (event === "stopping") writeLine("Stopping.\n");
    else if (event === "listening") writeLine(formatGreeting(details));
    else log(level, event, details);
  };
}

function formatGreeting({ url, dashboard, database }: Readonly<Record<string, unknown>> = {}): string {
  const lines = [
    `Serving the bus ${database} at ${url}`,
    ...(dashboard === undefined ? [] : [`Dashboard: ${dashboard}`]),
    "Press Ctrl-C to stop.",
  ];
  return `${printable(lines.join("\n"))}\n`;
}

function faultLog(log: Log, source: object): (error: unknown) => void {
  return (error) => log("error", "fault", { ...source, ...errorDetails(error) });
}

/** Loads a surface for its first client, so that other servers don't pay for it. */
function loadOnFirstUse<T extends AsyncDisposable>(create: () => Promise<T>) {
  let loading: Promise<T> | undefined;
  return {
    load: () => (loading ??= create()),
    [Symbol.asyncDispose]: async () => (await loading?.catch(() => undefined))?.[Symbol.asyncDispose](),
  };
}

function tcpUrl(host: string, { port }: ListeningServer): string {
  return `tcp://${formatAddress({ host, port })}`;
}

class BrokerFound extends IpcError {}

async function serveLines(
  exposed: ExposedBus,
  { host, port }: ServeOptions,
  log: Log,
  product: string,
): Promise<ListeningServer> {
  try {
    return await serveTcp({ ...exposed, host, port, product, reportFault: faultLog(log, { surface: "tcp" }) });
  } catch (error) {
    const broker = hasCode(error, "EADDRINUSE") ? await brokerAt(host, port) : undefined;
    if (broker === undefined) throw await listenError(error, host, port, "tcp broker");
    throw new BrokerFound(
      "conflict",
      `${broker} is the broker at ${formatAddress({ host, port })} already: it is used`,
    );
  }
}

/** Writes a log line. A closed pipe, a slow reader or a full disk must not stop the server. */
function writeLine(line: string): void {
  try {
    writeSync(2, line);
  } catch {
    // See above.
  }
}

/** Explains why an address can't be listened on. If the port is in use, asks what serves there. */
async function listenError(error: unknown, host: string, port: number, verb = "serve"): Promise<unknown> {
  if (!(error instanceof Error) || !("code" in error)) return error;
  if (error.code === "EACCES")
    return conflictError(`Port ${port} needs rights that this user doesn't have; choose another`, error);
  if (error.code === "EADDRNOTAVAIL" || error.code === "ENOTFOUND") {
    return conflictError(`${host} is not an address of this machine`, error);
  }
  if (error.code !== "EADDRINUSE") return error;
  const product = await productAt(host, port);
  if (product?.startsWith("el-ipc/")) {
    return conflictError(
      `${product} serves on port ${port} already: use http://localhost:${port}, or choose another port`,
      error,
    );
  }
  return conflictError(`Port ${port} is taken by another program; choose another: el-ipc ${verb} ${port + 1}`, error);
}

function conflictError(message: string, cause: Error): IpcError {
  return new IpcError("conflict", message, undefined, { cause });
}
