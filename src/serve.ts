import { writeSync } from "node:fs";
import { admit, mayListen } from "./core/access.ts";
import { isSecure } from "./core/agents.ts";
import type { Bus } from "./core/bus.ts";
import { IpcError } from "./core/errors.ts";
import { raiseAlarm } from "./core/security.ts";
import { verifyToken } from "./core/token.ts";
import type { Environment } from "./environment.ts";
import { openBus } from "./open.ts";
import { operations } from "./operations/index.ts";
import { perform } from "./operations/perform.ts";
import { createLog, errorDetails } from "./surfaces/http/log.ts";
import type { Mount } from "./surfaces/http/mount.ts";
import { productAt } from "./surfaces/http/probe.ts";
import { serveHttp } from "./surfaces/http/server.ts";
import type { HttpMcp } from "./surfaces/mcp/http.ts";

export interface Serving {
  readonly host: string;
  readonly port: number;
  readonly insecure: boolean;
  readonly verbose: boolean;
}

/** Opens the bus and puts the servers on it, until the signal aborts. */
export async function serve(
  environment: Environment,
  version: string,
  serving: Serving,
  signal: AbortSignal,
): Promise<void> {
  const { host, port, insecure, verbose } = serving;
  const product = `el-ipc/${version}`;
  const log = createLog(verbose ? "debug" : "info", writeLine);
  let listening = port;
  await using bus = await openBus(environment, { port: () => listening });
  const secure = await isSecure(bus);
  mayListen(host, { hasKey: environment.apiKey !== undefined, secure, insecure });
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
    mounts: [mcp],
  }).catch(async (error: unknown) => {
    throw await listenFault(error, host, port);
  });
  listening = server.port;
  const url = `http://${host.includes(":") ? `[${host}]` : host}:${server.port}`;
  log("info", "listening", { url, database: environment.databasePath, security: secure ? "secure" : "open", version });
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
  log("info", "stopping");
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
async function listenFault(error: unknown, host: string, port: number): Promise<unknown> {
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
  return fault(`Port ${port} is taken by another program; choose another: el-ipc serve ${port + 1}`, error);
}

function fault(message: string, cause: Error): IpcError {
  return new IpcError("conflict", message, undefined, { cause });
}
