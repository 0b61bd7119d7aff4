import { type IncomingHttpHeaders, type IncomingMessage, request } from "node:http";
import { connect, type Socket } from "node:net";

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
    const options = { method, headers: { ...length, ...headers }, agent: false, ...(signal ? { signal } : {}) };
    const asked = request(new URL(path, url), options, resolve);
    asked.on("error", reject);
    asked.end(bytes);
  });
}

/** Waits for the first event of a stream whose text matches, from here on. */
export async function* lines(response: IncomingMessage): AsyncGenerator<string, void, void> {
  let rest = "";
  for await (const chunk of response.setEncoding("utf8")) {
    rest += chunk;
    const whole = rest.split("\n");
    rest = whole.pop() ?? "";
    yield* whole;
  }
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
