import { createServer, type IncomingHttpHeaders, type IncomingMessage, type RequestListener, request } from "node:http";
import { connect, createServer as createSocketServer, type Server, type Socket } from "node:net";

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The body as a value, where it is JSON. */
  readonly json: unknown;
}

export interface Asking {
  readonly headers?: Readonly<Record<string, string>>;
  /** An object is sent as JSON. */
  readonly body?: unknown;
  readonly signal?: AbortSignal;
}

/** Asks over a connection of its own, with exactly these headers: `fetch` may not name a Host. */
export async function ask(url: string, what: string, asking: Asking = {}): Promise<Answer> {
  const response = await open(url, what, asking);
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  return { status: response.statusCode ?? 0, headers: response.headers, text, json: parsed(text) };
}

/** The answer once it begins, for a stream. */
export function open(url: string, what: string, { headers = {}, body, signal }: Asking = {}): Promise<IncomingMessage> {
  const [method = "GET", path = "/"] = what.split(/ (.*)/s);
  const bytes =
    body === undefined || typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body);
  const length = bytes === undefined ? {} : { "Content-Length": Buffer.byteLength(bytes) };
  return new Promise((resolve, reject) => {
    const { hostname: host, port } = new URL(url);
    const options = { host, port, method, path, headers: { ...length, ...headers }, agent: false };
    const asked = request({ ...options, ...(signal ? { signal } : {}) }, resolve);
    asked.on("error", reject);
    asked.end(bytes);
  });
}

export interface Wire extends Disposable {
  readonly socket: Socket;
  /** All that came until the other end closed, or reset. */
  readonly all: Promise<string>;
  /** What has come so far. */
  soFar(): string;
}

/** A bare connection on which anything can be said. */
export async function wire(url: string, text: string | Uint8Array = ""): Promise<Wire> {
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
export function standIn(answer: RequestListener): Promise<StandIn> {
  const server = createServer(answer);
  return standing(server, () => server.closeAllConnections());
}

/** Something that listens and speaks no HTTP. */
export function standInSocket(meet: (socket: Socket) => void): Promise<StandIn> {
  const sockets = new Set<Socket>();
  const server = createSocketServer((socket) => {
    sockets.add(socket.on("error", () => {}));
    meet(socket);
  });
  return standing(server, () => {
    for (const socket of sockets) socket.destroy();
  });
}

async function standing(server: Server, leave: () => void): Promise<StandIn> {
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
  return parsed(Buffer.from(answer.slice(answer.indexOf("\r\n\r\n") + 4), "latin1").toString());
}

export function statusesIn(answers: string): readonly number[] {
  return [...answers.matchAll(/^HTTP\/1\.1 (\d{3})/gm)].map(([, status]) => Number(status));
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
