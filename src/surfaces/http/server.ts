import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Caller } from "../../core/access.ts";
import { IpcError, invalid, isIpcError, notFound, publicError } from "../../core/errors.ts";
import { createAlarmBudget } from "../../core/security.ts";
import { monotonicMs } from "../../core/time.ts";
import { isStream, type Operation, parseRequest } from "../../operations/operation.ts";
import { createDelivery, type EndpointFor } from "../../server/deliver.ts";
import type { Entrance } from "../../server/entrance.ts";
import { listeningPort } from "../../server/loopback.ts";
import { printable } from "../../wire/printable.ts";
import { answerError, answerEvents, answerJson, createArrivals, openApi, statusOf } from "./answer.ts";
import { callerOf, endWithRequestToken, strangerOf } from "./caller.ts";
import { createMetrics } from "./metrics.ts";
import { inputOf, isTooLarge, readBody } from "./request.ts";
import { type Route, routesOf } from "./routes.ts";

/** What is no whole request is answered, too, and its connection closed. */
export function answerHalfRequest(error: Error & { code?: string }, socket: Socket): void {
  if (!socket.writable || error.code === "ECONNRESET") {
    socket.destroy();
    return;
  }
  const [status, text] =
    error.code === "ERR_HTTP_REQUEST_TIMEOUT"
      ? ["408 Request Timeout", "the request took too long to arrive"]
      : error.code === "HPE_HEADER_OVERFLOW"
        ? ["431 Request Header Fields Too Large", "the headers are too large"]
        : ["400 Bad Request", "this is not an HTTP request that can be understood"];
  const body = JSON.stringify({ ok: false, error: text, code: "invalid" });
  socket.end(
    `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
    // Who goes on holding its own end would keep the connection.
    () => socket.destroy(),
  );
}

export type Level = "debug" | "info" | "warn" | "error";

/** One line of JSON per event on standard error. Never given a secret: no header, no query, no body. */
export type Log = (level: Level, event: string, details?: Readonly<Record<string, unknown>>) => void;

const LEVELS: readonly Level[] = ["debug", "info", "warn", "error"];

export function createLog(least: Level, write: (line: string) => void): Log {
  return (level, event, details) => {
    if (LEVELS.indexOf(level) < LEVELS.indexOf(least)) return;
    write(`${printable(JSON.stringify({ time: new Date().toISOString(), level, event, ...details }))}\n`);
  };
}

/** An unexpected error for the log, with its cause. */
export function errorDetails(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { error: String(error) };
  return { error: error.message, stack: error.stack, ...(error.cause ? { cause: errorDetails(error.cause) } : {}) };
}

/** What a mounted surface is told about a request, beside the request itself. */
export interface Visit {
  /** All of it, the prefix included, and without the query. */
  readonly path: string;
  readonly caller: Caller;
  /** Aborts when the connection or the caller's token ends, and when the server stops. */
  readonly signal: AbortSignal;
  /** All of its body, as bounded as any. */
  body(): Promise<Buffer>;
}

/** Another surface on this server: everything at and under a path is its own, whatever the method. */
export interface Mount {
  readonly prefix: string;
  /**
   * What it hands out is no secret, so it goes to anybody: a browser must load a page before a person can show it a key.
   * Without this a visitor has passed the same door as any other request.
   */
  readonly open?: true;
  handle(request: IncomingMessage, response: ServerResponse, visit: Visit): Promise<void>;
}

export function mountAt(mounts: readonly Mount[], path: string): Mount | undefined {
  return mounts.find(({ prefix }) => path === prefix || path.startsWith(`${prefix}/`));
}

export interface Target {
  readonly path: string;
  readonly query: string;
}

const ABSOLUTE = /^https?:\/\/([^/?#]*)(.*)$/is;

/** What a request's first line asks for. Throws where the request names more than one host: who asks must be sure. */
export function targetOf({ url = "", headers, rawHeaders }: IncomingMessage): Target {
  const named = rawHeaders.filter((text, index) => index % 2 === 0 && text.length === 4 && /^host$/i.test(text));
  if (named.length > 1) throw invalid("the request has more than one Host header");
  if (url.startsWith("/")) return split(url);
  // The whole address, as to a proxy. Its host counts, and must be the one that the header names.
  const [, host, rest] = ABSOLUTE.exec(url) ?? [];
  if (host === undefined || rest === undefined) return split(url);
  if (host.toLowerCase() !== headers.host?.toLowerCase()) {
    throw invalid("the request's address names one host, and its Host header another");
  }
  return split(rest.startsWith("/") ? rest : `/${rest}`);
}

function split(target: string): Target {
  const mark = target.indexOf("?");
  return mark === -1 ? { path: target, query: "" } : { path: target.slice(0, mark), query: target.slice(mark + 1) };
}

/** A surface that this server hosts, without knowing it, for requests to speak something else from now on. */
export type Upgrade = (
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  caller: Caller,
  signal: AbortSignal,
) => Promise<void> | void;

export interface Upgrading {
  readonly upgrade: Upgrade;
  readonly door: Entrance;
  readonly refused: (refusal: IpcError, from: string) => Promise<void>;
  /** Those that are open, each to be ended when the server stops. */
  readonly open: Set<AbortController>;
}

/** Lets in who may come in, as for any other request, and hands the connection over. */
export function answerUpgrades(server: Server, { upgrade, door, refused, open }: Upgrading): void {
  server.on("upgrade", async (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const controller = new AbortController();
    const drop = () => socket.destroy();
    socket.on("error", drop);
    open.add(controller);
    socket.once("close", () => {
      controller.abort();
      open.delete(controller);
    });
    try {
      const caller = await callerOf(request, door);
      socket.once(
        "close",
        endWithRequestToken(request, caller, door, () => controller.abort()),
      );
      await upgrade(request, socket, head, caller, controller.signal);
    } catch (error) {
      if (isIpcError(error)) await refused(error, request.socket.remoteAddress ?? "");
      refuse(socket, error);
    }
  });
}

/** Of a request the original says no more than that it is unauthorized; but nobody upgraded one there. */
const SHOW_WHO = [
  "this server asks for its API key or an agent's token: send it as Authorization: Bearer (our commands: IPC_API_KEY,",
  "IPC_TOKEN or IPC_KEY), or in a browser offer the subprotocols el-ipc and bearer.TOKEN",
].join(" ");

function refuse(socket: Duplex, error: unknown): void {
  const { code, message, reason } = publicError(error);
  const status = statusOf(code, reason);
  const sentence = message === "unauthorized" ? SHOW_WHO : message;
  const body = JSON.stringify({ ok: false, error: sentence, code, reason });
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    "Content-Type: application/json",
    `Content-Length: ${Buffer.byteLength(body)}`,
    "Connection: close",
    ...(status === 401 ? ["WWW-Authenticate: Bearer"] : []),
  ];
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`, () => socket.destroy());
}

export interface HttpOptions {
  readonly operations: readonly Operation[];
  /** Other surfaces, by their paths. */
  readonly mounts: readonly Mount[];
  readonly endpointFor: EndpointFor;
  readonly host: string;
  readonly port: number;
  readonly door: Entrance;
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
const MAX_CONNECTIONS = 15_000;

/** How long a shutdown waits for answers on their way. */
const GRACE_MS = 5_000;

export async function serveHttp(options: HttpOptions): Promise<HttpServer> {
  const { operations, mounts, door, log, product } = options;
  const routes = routesOf(operations);
  const open = new Set<AbortController>();
  const deliver = createDelivery(options.endpointFor);
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
    const started = monotonicMs();
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
      const seconds = (monotonicMs() - started) / 1_000;
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
      await deliver(parseRequest(route.operation, input), context, (answer) => handOver(response, answer));
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
    const untold = refusals.spend(reason ?? "", monotonicMs() / 1_000);
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
  server.maxConnections = MAX_CONNECTIONS;

  const port = await new Promise<number>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port: options.port, host: options.host, backlog: 4_096 }, () => {
      server.off("error", reject);
      resolve(listeningPort(server.address()));
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
