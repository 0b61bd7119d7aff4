import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Caller } from "../../core/access.ts";
import { errorAnswer, type IpcError, invalid, isIpcError, notFound } from "../../core/errors.ts";
import { createAlarmBudget } from "../../core/security.ts";
import { createSerialQueue, type SerialQueue } from "../../core/serial.ts";
import { monotonicMs } from "../../core/time.ts";
import { isStream, parseRequest } from "../../operations/operation.ts";
import { type ListeningServer, listen } from "../../server/addresses.ts";
import type { ExposedBus } from "../../server/entrance.ts";
import { errorDetails, type Log } from "../../server/log.ts";
import type { Mount, Upgrade } from "../../server/mount.ts";
import { answerError, answerEvents, answerJson, endWithError } from "./answer.ts";
import { type Arrivals, createArrivals, isHandedOver } from "./arrivals.ts";
import { anonymousCaller, callerOf, watchRequestToken } from "./caller.ts";
import { createMetrics, type Metrics } from "./metrics.ts";
import { createPages, type Pages } from "./pages.ts";
import { isTooLarge, readBody, readInput, targetOf } from "./request.ts";
import { createRoutes, type Found, type Route, type Routes } from "./routes.ts";
import { acceptUpgrades } from "./upgrade.ts";

export interface HttpOptions extends ExposedBus {
  readonly host: string;
  readonly port: number;
  readonly mounts: readonly Mount[];
  readonly upgrade?: Upgrade;
  readonly log: Log;
  /** Sent in the `Server` header, by which a second server recognises it. */
  readonly product: string;
}

/** Timeouts for a request's headers, for its body, and for an idle connection. */
const HEADERS_MS = 15_000;
const REQUEST_MS = 60_000;
const IDLE_MS = 65_000;

/** Paths of OAuth discovery. A client that gets a plain 404 goes on without OAuth. */
const OAUTH_DISCOVERY = /\/\.well-known\/(oauth-|openid-configuration)/;

/** More than any bus has waiters, and few enough for a process's memory. */
const MAX_CONNECTIONS = 15_000;

/** How long a shutdown waits for pending answers. */
const GRACE_MS = 5_000;

interface Site {
  readonly options: HttpOptions;
  readonly routes: Routes;
  readonly pages: Pages;
  readonly metrics: Metrics;
  readonly arrivals: Arrivals;
  /** Logs a refusal, unless a flood of attempts would fill the log. */
  readonly logRefusal: (refusal: IpcError, path: string) => void;
  /** Open requests and upgraded connections, which end when the server stops. */
  readonly open: Set<AbortController>;
  /** Answers the requests of a connection in turn. */
  readonly queues: WeakMap<Socket, SerialQueue>;
  isClosing: boolean;
}

export async function serveHttp(options: HttpOptions): Promise<ListeningServer> {
  const open = new Set<AbortController>();
  const metrics = createMetrics(() => open.size);
  const site: Site = {
    options,
    routes: createRoutes(options.operations),
    pages: createPages(options.operations, options.product, metrics),
    metrics,
    arrivals: createArrivals(),
    logRefusal: createRefusalLog(options.log),
    open,
    queues: new WeakMap(),
    isClosing: false,
  };
  const timeouts = { headersTimeout: HEADERS_MS, requestTimeout: REQUEST_MS, keepAliveTimeout: IDLE_MS };
  const server = createServer({ ...timeouts, connectionsCheckingInterval: 5_000 });
  server.on("request", (request, response) => handleRequest(site, request, response));
  server.on("checkContinue", (request, response) => {
    if (!isTooLarge(request)) response.writeContinue();
    handleRequest(site, request, response);
  });
  server.on("clientError", answerHalfRequest);
  if (options.upgrade !== undefined) acceptUpgrades(server, { ...options, upgrade: options.upgrade, open });
  server.maxConnections = MAX_CONNECTIONS;
  const port = await listen(server, options);
  return {
    port,
    async [Symbol.asyncDispose]() {
      site.isClosing = true;
      const closed = new Promise((resolve) => server.close(resolve));
      for (const ending of open) ending.abort();
      site.arrivals[Symbol.dispose]();
      const grace = setTimeout(() => server.closeAllConnections(), GRACE_MS);
      const idle = setInterval(() => server.closeIdleConnections(), 20);
      await closed;
      clearTimeout(grace);
      clearInterval(idle);
    },
  };
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly from: string;
  /** Ends the request's waits. */
  readonly ending: AbortController;
  path: string;
  /** Set for a request to the bus. */
  route: Route | undefined;
  isMounted: boolean;
}

/**
 * The path of a request:
 *
 * handleRequest   opens an exchange, and queues it behind earlier requests of its connection
 * answerRequest   finds the target, admits the caller, chooses a mount, a route or a page; a failure is an error answer
 * answerRoute     reads the input, performs the operation, hands its answer over, and follows up on it
 * closeExchange   runs once the response is closed: metrics and log
 *
 * Pipelined requests are answered in turn, so that each sees the follow-ups of the one before.
 */
function handleRequest(site: Site, request: IncomingMessage, response: ServerResponse): void {
  const exchange = openExchange(site, request, response);
  let inTurn = site.queues.get(request.socket);
  if (inTurn === undefined) {
    inTurn = createSerialQueue();
    site.queues.set(request.socket, inTurn);
  }
  void inTurn(() => answerRequest(site, exchange));
}

function openExchange(site: Site, request: IncomingMessage, response: ServerResponse): Exchange {
  const startedMs = monotonicMs();
  const ending = new AbortController();
  // Read now, since a broken connection has no address.
  const from = request.socket.remoteAddress ?? "";
  const exchange: Exchange = { request, response, from, ending, path: "", route: undefined, isMounted: false };
  site.open.add(ending);
  if (site.isClosing) {
    response.setHeader("Connection", "close");
    ending.abort();
  }
  site.arrivals.noteRequest(response);
  response.once("close", () => closeExchange(site, exchange, startedMs));
  return exchange;
}

function closeExchange(site: Site, { request, response, ending, path, route, isMounted }: Exchange, startedMs: number) {
  // Aborting costs as much as a third of a send, and nothing on the bus listens after an answer that arrived.
  if (!response.writableFinished || isMounted) ending.abort();
  site.open.delete(ending);
  const seconds = (monotonicMs() - startedMs) / 1_000;
  const method = request.method ?? "";
  const status = response.statusCode;
  if (route !== undefined) site.metrics.countAnswer(route.method, route.path, status, seconds);
  site.options.log("debug", "request", { method, status, path, ms: Math.round(seconds * 1_000) });
}

async function answerRequest(site: Site, exchange: Exchange): Promise<void> {
  const { options, routes, pages } = site;
  const { request, response, ending } = exchange;
  try {
    const { path, query } = targetOf(request);
    exchange.path = path;
    if (OAUTH_DISCOVERY.test(path)) throw notFound("there is no OAuth here");
    const mount = options.mounts.find(({ prefix }) => path === prefix || path.startsWith(`${prefix}/`));
    exchange.isMounted = mount !== undefined;
    const caller = mount?.open ? anonymousCaller(request) : await callerOf(request, options.entrance);
    if (caller.identity !== undefined) {
      response.once(
        "close",
        watchRequestToken(request, caller, options.entrance, () => ending.abort()),
      );
    }
    const found = mount === undefined ? routes.find(request.method ?? "", path) : undefined;
    if (found !== undefined) return await answerRoute(site, exchange, found, query, caller);
    nameServer(response, options);
    if (mount !== undefined) {
      const body = () => readBody(request, options.budget);
      return await mount.handle(request, response, { path, caller, signal: ending.signal, body });
    }
    const page = /^(GET|HEAD)$/.test(request.method ?? "") ? pages.get(path) : undefined;
    if (page === undefined) refuseRoute(site, response, path);
    else await page(response, caller);
  } catch (error) {
    if (exchange.route === undefined && isIpcError(error)) await options.reportRefusal(error, exchange.from);
    answerFailure(site, exchange, error);
  }
}

async function answerRoute(
  { options, arrivals }: Site,
  exchange: Exchange,
  found: Found,
  query: string,
  caller: Caller,
): Promise<void> {
  const { request, response, ending } = exchange;
  exchange.route = found.route;
  const input = await readInput(request, found, query, options.budget);
  const endpoint = options.endpointFor(caller);
  const asked = parseRequest(found.route.operation, input);
  await options.deliver(endpoint, asked, ending.signal, (answer, needsProof) => {
    if (isStream(answer)) {
      nameServer(response, options);
      return answerEvents(response, answer);
    }
    if (response.destroyed) return false;
    // The answer to a wait that timed out is null.
    const [status, body] = answer === null ? [408, { ok: false, error: "timeout" }] : [200, answer];
    const bytes = answerJson(response, status, body, { Server: options.product });
    return needsProof ? arrivals.hasArrived(response, bytes) : isHandedOver(response);
  });
}

function nameServer(response: ServerResponse, { product }: HttpOptions): void {
  response.setHeader("Server", product);
}

function refuseRoute({ routes, pages }: Site, response: ServerResponse, path: string): void {
  const methods = pages.has(path) ? ["GET"] : routes.methods(path);
  if (methods.length === 0) throw notFound("not found");
  response.setHeader("Allow", methods.join(", "));
  answerJson(response, 405, errorAnswer(invalid(`use ${methods.join(" or ")} for ${path}`)));
}

function answerFailure({ options, logRefusal }: Site, { response, path }: Exchange, error: unknown): void {
  if (isIpcError(error) && error.code === "unauthorized") logRefusal(error, path);
  else if (!isIpcError(error) || error.code === "internal")
    options.log("error", "fault", { path, ...errorDetails(error) });
  if (response.headersSent) return void response.destroy();
  nameServer(response, options);
  answerError(response, error);
}

function createRefusalLog(log: Log): Site["logRefusal"] {
  const budget = createAlarmBudget();
  return ({ reason, message }, path) => {
    const unreported = budget.spend(reason ?? "", monotonicMs() / 1_000);
    if (unreported === undefined) return;
    log("warn", "refused", { path, reason, error: message, ...(unreported > 0 ? { untold: unreported } : {}) });
  };
}

/** Answers a malformed or incomplete request, and closes its connection. */
function answerHalfRequest(error: Error & { code?: string }, socket: Socket): void {
  if (!socket.writable || error.code === "ECONNRESET") {
    socket.destroy();
    return;
  }
  const [status, sentence]: readonly [number, string] =
    error.code === "ERR_HTTP_REQUEST_TIMEOUT"
      ? [408, "the request took too long to arrive"]
      : error.code === "HPE_HEADER_OVERFLOW"
        ? [431, "the headers are too large"]
        : [400, "this is not an HTTP request that can be understood"];
  endWithError(socket, errorAnswer(invalid(sentence)), status);
}
