import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Caller } from "../../core/caller.ts";
import { elapsed } from "../../core/clock.ts";
import { IpcError, isIpcError, notFound } from "../../core/errors.ts";
import { portOf } from "../../core/link.ts";
import { createAlarmBudget } from "../../core/security.ts";
import { createDelivery, type Perform } from "../../operations/deliver.ts";
import type { ServerDoor } from "../../operations/door.ts";
import { isStream, type Operation } from "../../operations/operation.ts";
import { answerError, answerEvents, answerJson } from "./answer.ts";
import { createArrivals } from "./arrival.ts";
import { callerOf, endWithRequestToken, strangerOf } from "./caller.ts";
import { answerHalfRequest } from "./half-request.ts";
import { errorDetails, type Log } from "./log.ts";
import { createMetrics } from "./metrics.ts";
import { type Mount, mountAt } from "./mount.ts";
import { openApi } from "./openapi.ts";
import { inputOf, isTooLarge, readBody } from "./request.ts";
import { type Route, routesOf } from "./routes.ts";
import { targetOf } from "./target.ts";
import { answerUpgrades, type Upgrade } from "./upgrade.ts";

export interface HttpOptions {
  readonly operations: readonly Operation[];
  /** Other surfaces, by their paths. */
  readonly mounts: readonly Mount[];
  readonly perform: Perform;
  readonly host: string;
  readonly port: number;
  readonly door: ServerDoor;
  readonly log: Log;
  /** Hears of each request that was refused before it reached the bus. */
  readonly refused: (refusal: IpcError, from: string) => Promise<void>;
  /** What the server calls itself, in its header of that name; how a second one recognises it. */
  readonly product: string;
  /** What speaks WebSocket here. */
  readonly upgrade?: Upgrade;
}

export interface HttpServer extends AsyncDisposable {
  readonly port: number;
}

/** A request must have arrived within these, headers and then body; an open connection may idle for so long. */
const HEADERS_MS = 15_000;
const REQUEST_MS = 60_000;
const IDLE_MS = 65_000;

/** Where clients ask how to sign in by OAuth. There is none; who is told so plainly goes on without. */
const OAUTH_DISCOVERY = /\/\.well-known\/(oauth-|openid-configuration)/;

/** More than any bus has waiters, and fewer than would take all of a process's memory. */
const MOST_CONNECTIONS = 15_000;

/** How long a shutdown waits for answers on their way. */
const GRACE_MS = 5_000;

export async function serveHttp(options: HttpOptions): Promise<HttpServer> {
  const { operations, mounts, perform, door, log, product } = options;
  const routes = routesOf(operations);
  const open = new Set<AbortController>();
  const deliver = createDelivery(perform);
  const metrics = createMetrics(() => open.size);
  const arrivals = createArrivals();
  const refusals = createAlarmBudget();
  const handled = new WeakMap<Socket, Promise<void>>();
  const named = { Server: product };
  let closing = false;

  const introduce = (response: ServerResponse) => response.setHeader("Server", product);

  /** Of what a connection asks at once the answers go out in turn; so each finds what the one before has settled. */
  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    handled.set(request.socket, answer(request, response, handled.get(request.socket)));
  };

  const answer = async (
    request: IncomingMessage,
    response: ServerResponse,
    before: Promise<void> | undefined,
  ): Promise<void> => {
    const started = elapsed();
    // While there is a socket: one that broke has none.
    const from = request.socket.remoteAddress ?? "";
    const controller = new AbortController();
    open.add(controller);
    let route: Route | undefined;
    let mount: Mount | undefined;
    let path = "";
    if (closing) {
      response.setHeader("Connection", "close");
      controller.abort();
    }
    arrivals.asked(response);
    response.once("close", () => {
      // Making its error costs as much as a third of a send, and of an answer that arrived nobody hears it.
      if (!response.writableFinished || mount !== undefined) controller.abort();
      open.delete(controller);
      const seconds = (elapsed() - started) / 1_000;
      const answered = { method: request.method ?? "", status: response.statusCode };
      if (route !== undefined) metrics.answered(route.method, route.path, answered.status, seconds);
      log("debug", "request", { ...answered, path, ms: Math.round(seconds * 1_000) });
    });
    try {
      await before;
      const target = targetOf(request);
      path = target.path;
      if (OAUTH_DISCOVERY.test(path)) throw notFound("there is no OAuth here");
      mount = mountAt(mounts, path);
      const caller = mount?.open ? strangerOf(request) : await callerOf(request, door);
      if (caller.identity !== undefined) {
        const stop = endWithRequestToken(request, caller, door, () => controller.abort());
        response.once("close", stop);
      }
      const found = mount === undefined ? routes.find(request.method ?? "", path) : undefined;
      if (found === undefined) introduce(response);
      if (mount !== undefined) {
        const visit = { path, caller, signal: controller.signal, body: () => readBody(request) };
        return await mount.handle(request, response, visit);
      }
      const page = pages.get(path);
      if (page !== undefined && /^(GET|HEAD)$/.test(request.method ?? "")) return await page(response, caller);
      if (found === undefined) return refuseRoute(response, path);
      route = found.route;
      const input = await inputOf(request, found, target.query);
      const context = { caller, signal: controller.signal };
      await deliver(route.operation, input, context, (answer) => handOver(response, answer));
    } catch (error) {
      if (route === undefined && isIpcError(error)) await options.refused(error, from);
      fail(response, error, path);
    }
  };

  /** Writes an answer out. A wait that ended with nothing answers null. */
  const handOver = async (response: ServerResponse, answer: unknown): Promise<boolean> => {
    if (isStream(answer)) {
      introduce(response);
      await answerEvents(response, answer);
      return true;
    }
    if (response.destroyed) return false;
    const nothing = answer === null;
    const bytes = answerJson(response, nothing ? 408 : 200, nothing ? { ok: false, error: "timeout" } : answer, named);
    return arrivals.hasArrived(response, bytes);
  };

  /** As an alarm: a flood of attempts is not to fill the log. */
  const logRefusal = ({ reason, message }: IpcError, path: string): void => {
    const untold = refusals.spend(reason ?? "", elapsed() / 1_000);
    if (untold !== undefined)
      log("warn", "refused", { path, reason, error: message, ...(untold > 0 ? { untold } : {}) });
  };

  const fail = (response: ServerResponse, error: unknown, path: string): void => {
    if (!isIpcError(error)) log("error", "fault", { path, ...errorDetails(error) });
    else if (error.code === "unauthorized") logRefusal(error, path);
    else if (error.code === "internal") log("error", "fault", { path, ...errorDetails(error) });
    if (response.headersSent) return void response.destroy();
    introduce(response);
    answerError(response, error);
  };

  const refuseRoute = (response: ServerResponse, path: string): void => {
    const methods = pages.has(path) ? ["GET"] : routes.methods(path);
    if (methods.length === 0) throw notFound("not found");
    response.setHeader("Allow", methods.join(", "));
    answerJson(response, 405, { ok: false, error: `use ${methods.join(" or ")} for ${path}`, code: "invalid" });
  };

  const answerMetrics = async (response: ServerResponse, caller: Caller): Promise<void> => {
    if (caller.from === "beyond" && !caller.admitted && !caller.identity?.operator) {
      throw new IpcError(
        "unauthorized",
        "figures are for this machine, an operator's token, or who has the API key",
        "from_beyond",
      );
    }
    response.setHeader("Content-Type", metrics.contentType);
    response.end(await metrics.text());
  };

  const answerIndex = async (response: ServerResponse): Promise<void> => {
    const endpoints = operations.flatMap(({ http, summary }) =>
      http === undefined ? [] : { endpoint: http, summary },
    );
    answerJson(response, 200, { ok: true, server: product, endpoints });
  };

  const answerOpenApi = async (response: ServerResponse): Promise<void> => {
    answerJson(response, 200, await openApi());
  };

  /** What is asked of this server and not of the bus. */
  const pages = new Map([
    ["/", answerIndex],
    ["/metrics", answerMetrics],
    ["/openapi.json", answerOpenApi],
  ]);

  const server = createServer(
    {
      headersTimeout: HEADERS_MS,
      requestTimeout: REQUEST_MS,
      keepAliveTimeout: IDLE_MS,
      connectionsCheckingInterval: 5_000,
    },
    handle,
  );
  server.on("checkContinue", (request: IncomingMessage, response: ServerResponse) => {
    if (!isTooLarge(request)) response.writeContinue();
    handle(request, response);
  });
  server.on("clientError", answerHalfRequest);
  if (options.upgrade !== undefined) {
    answerUpgrades(server, { upgrade: options.upgrade, door, refused: options.refused, open });
  }
  server.maxConnections = MOST_CONNECTIONS;

  const port = await new Promise<number>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port: options.port, host: options.host, backlog: 4_096 }, () => {
      server.off("error", reject);
      resolve(portOf(server.address()));
    });
  });

  return {
    port,
    async [Symbol.asyncDispose]() {
      closing = true;
      const closed = new Promise((resolve) => server.close(resolve));
      for (const controller of open) controller.abort();
      arrivals[Symbol.dispose]();
      const grace = setTimeout(() => server.closeAllConnections(), GRACE_MS);
      const idle = setInterval(() => server.closeIdleConnections(), 20);
      await closed;
      clearTimeout(grace);
      clearInterval(idle);
    },
  };
}
