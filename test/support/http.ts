import {
  Agent,
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type RequestListener,
  request,
} from "node:http";
import { connect, createServer as createSocketServer, type Server, type Socket } from "node:net";

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The body as a value, where it is JSON. */
  readonly json: unknown;
}

export interface Question {
  readonly headers?: Readonly<Record<string, string>>;
  /** An object is sent as JSON. */
  readonly body?: unknown;
  /** Sent as Authorization: Bearer. */
  readonly bearer?: string | undefined;
  /** Connections to use again; without it each question has its own. */
  readonly agent?: Agent;
  readonly signal?: AbortSignal;
}

/** Asks with exactly these headers: `fetch` may not name a Host. */
export async function ask(url: string, what: string, question: Question = {}): Promise<Answer> {
  const response = await openAnswer(url, what, question);
  const text = Buffer.concat(await Array.fromAsync(response)).toString();
  return { status: response.statusCode ?? 0, headers: response.headers, text, json: parseJson(text) };
}

/** The answer once it begins, for a stream. */
export function openAnswer(url: string, what: string, question: Question = {}): Promise<IncomingMessage> {
  const { headers = {}, body, bearer, agent = false, signal } = question;
  const [method = "GET", path = "/"] = what.split(/ (.*)/s);
  const bytes =
    body === undefined || typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body);
  const length = bytes === undefined ? {} : { "Content-Length": Buffer.byteLength(bytes) };
  const authorization = bearer === undefined ? {} : { Authorization: `Bearer ${bearer}` };
  return new Promise((resolve, reject) => {
    const { hostname: host, port } = new URL(url);
    const options = { host, port, method, path, headers: { ...length, ...authorization, ...headers }, agent };
    const asked = request({ ...options, ...(signal ? { signal } : {}) }, resolve);
    asked.on("error", reject);
    asked.end(bytes);
  });
}

/** Connections that several questions use. */
export function sharedConnections(): Agent & Disposable {
  const agent = new Agent({ keepAlive: true });
  return Object.assign(agent, { [Symbol.dispose]: () => agent.destroy() });
}

export interface Reply {
  readonly status: number;
  /** The body where it is a JSON object, else an empty one. */
  readonly json: Readonly<Record<string, unknown>>;
  readonly text: string;
}

/** Asks for a JSON object. */
export async function askObject(url: string, what: string, question: Question = {}): Promise<Reply> {
  const type = question.body === undefined ? {} : { "Content-Type": "application/json" };
  const { status, text } = await ask(url, what, { ...question, headers: { ...type, ...question.headers } });
  return { status, json: objectIn(text), text };
}

export interface RawConnection extends Disposable {
  readonly socket: Socket;
  /** All that came until the other end closed, or reset. */
  readonly all: Promise<string>;
  /** The text received so far. */
  soFar(): string;
}

/** A bare connection on which anything can be said. */
export async function connectRaw(url: string, text: string | Uint8Array = ""): Promise<RawConnection> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  let came = "";
  socket.setEncoding("latin1").on("data", (chunk) => {
    came += chunk;
  });
  socket.on("error", () => {});
  const all = new Promise<string>((resolve) => socket.on("close", () => resolve(came)));
  await new Promise((resolve) => socket.on("connect", resolve).on("close", resolve));
  if (text.length > 0) socket.write(text);
  return { socket, all, soFar: () => came, [Symbol.dispose]: () => socket.destroy() };
}

export interface StandIn extends Disposable {
  readonly url: string;
  readonly port: number;
}

/** A server that is none of ours. */
export function startStandIn(answer: RequestListener): Promise<StandIn> {
  const server = createServer(answer);
  return standInOn(server, () => server.closeAllConnections());
}

/** Something that listens and speaks no HTTP. */
export function startStandInSocket(meet: (socket: Socket) => void): Promise<StandIn> {
  const sockets = new Set<Socket>();
  const server = createSocketServer((socket) => {
    sockets.add(socket.on("error", () => {}));
    meet(socket);
  });
  return standInOn(server, () => {
    for (const socket of sockets) socket.destroy();
  });
}

async function standInOn(server: Server, leave: () => void): Promise<StandIn> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("it has no port");
  return {
    url: `http://127.0.0.1:${address.port}`,
    port: address.port,
    [Symbol.dispose]() {
      server.close();
      leave();
    },
  };
}

/** The body of an answer as it came over a wire. */
export function bodyIn(answer: string): unknown {
  return parseJson(Buffer.from(answer.slice(answer.indexOf("\r\n\r\n") + 4), "latin1").toString());
}

export function statusesIn(answers: string): readonly number[] {
  return [...answers.matchAll(/^HTTP\/1\.1 (\d{3})/gm)].map(([, status]) => Number(status));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export function objectIn(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The objects of a JSON array. */
export function objectsIn(text: string): readonly Readonly<Record<string, unknown>>[] {
  const value: unknown = JSON.parse(text);
  return Array.isArray(value) ? value.filter(isObject) : [];
}
