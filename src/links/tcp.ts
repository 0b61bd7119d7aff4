import { connect, createServer, type Server, type Socket } from "node:net";
import { conflict, IpcError } from "../core/errors.ts";
import { BODY_BYTES, CONTENT_BYTES } from "../core/limits.ts";
import { type Address, type Deadline, formatAddress, type Link, type ReceivedText } from "../core/link.ts";
import { monotonicMs } from "../core/time.ts";
import { createLineSplitter, decodeLine, encodeLine } from "../wire/json-lines.ts";

/** A text that somebody waits to hear the fate of. */
export interface Taken {
  readonly text: string;
  readonly from: string;
  answer(arrived: boolean): Promise<void>;
}

/** Who has connected and says nothing whole is let go after this. */
const IDLE_MS = 30_000;
const MAX_CONNECTIONS = 200;

/** How long an answer may take to leave before this process ends. */
const LINGER_MS = 1_000;

const ANOTHER = "another message was first: whoever listened here has stopped";

/** Listens for one text. Whoever comes later, or says something else, is told so. */
export async function receiveAt(address: Address, { milliseconds, signal }: Deadline): Promise<Taken | undefined> {
  if (signal.aborted) return undefined;
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true });
  server.maxConnections = MAX_CONNECTIONS;
  await listen(server, address);
  let taken: Taken | undefined;
  const received = await new Promise<Taken | undefined>((resolve) => {
    const timer = setTimeout(resolve, milliseconds, undefined);
    const stop = () => resolve(undefined);
    signal.addEventListener("abort", stop, { once: true });
    server.on("connection", (socket) => {
      open.add(socket);
      socket.once("close", () => open.delete(socket));
      meet(socket, (text) => {
        if (taken !== undefined) return refuse(socket, ANOTHER);
        taken = takenFrom(socket, text);
        open.delete(socket);
        clearTimeout(timer);
        signal.removeEventListener("abort", stop);
        resolve(taken);
      });
    });
  });
  server.close();
  for (const socket of open) refuse(socket, "whoever listened here has stopped");
  return received;
}

async function listen(server: Server, { host, port }: Address): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => reject(listenFault(error, { host, port })));
    server.listen({ host, port }, resolve);
  });
  server.on("error", () => {});
}

function listenFault(error: Error, address: Address): Error {
  const code = "code" in error ? error.code : undefined;
  const at = formatAddress(address);
  if (code === "EADDRINUSE")
    return fault(`${at} is taken: something listens there already; choose another port`, error);
  if (code === "EACCES") return fault(`Port ${address.port} needs rights that this user doesn't have`, error);
  return fault(`${address.host} is not an address of this machine`, error);
}

function fault(message: string, cause: Error): IpcError {
  return new IpcError("conflict", message, undefined, { cause });
}

/** Hears a sender out: pings are answered, a message is handed over, and whatever else comes ends it. */
function meet(socket: Socket, hand: (text: string) => void): void {
  const lines = createLineSplitter(BODY_BYTES);
  socket.on("error", () => socket.destroy());
  socket.setTimeout(IDLE_MS, () => refuse(socket, "nothing came for 30 seconds"));
  socket.on("data", (bytes: Buffer) => {
    const fits = lines.push(bytes, (line) => {
      const asked = decodeLine(line);
      if (!socket.writable || !hasType(asked)) return refuse(socket, "this is no line of JSON with a type");
      if (asked.type === "ping") return void socket.write(encodeLine({ type: "pong" }));
      if (asked.type !== "message" || !("text" in asked) || typeof asked.text !== "string") {
        return refuse(socket, "send a message with a text, or a ping");
      }
      if (Buffer.byteLength(asked.text) > CONTENT_BYTES)
        return refuse(socket, "the text must be 1 MiB of UTF-8 at most");
      hand(asked.text);
    });
    if (!fits) refuse(socket, "the line is too long");
  });
  socket.on("end", () => {
    if (lines.held > 0) refuse(socket, "the line has no end");
  });
}

function hasType(value: unknown): value is { readonly type: unknown } {
  return typeof value === "object" && value !== null && "type" in value;
}

function takenFrom(socket: Socket, text: string): Taken {
  socket.setTimeout(0);
  return {
    text,
    from: formatAddress({ host: socket.remoteAddress ?? "", port: socket.remotePort ?? 0 }),
    answer: (arrived) => say(socket, arrived ? { type: "taken" } : { type: "error", error: "it could not be taken" }),
  };
}

function refuse(socket: Socket, error: string): void {
  if (socket.writable) void say(socket, { type: "error", error });
}

/** The last thing that is said: until the other end has it, or is gone, or too slow. */
function say(socket: Socket, value: object): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => socket.destroy(), LINGER_MS);
    socket.once("close", () => {
      clearTimeout(timer);
      resolve();
    });
    if (socket.destroyed) return resolve();
    socket.removeAllListeners("data").resume();
    socket.once("end", () => socket.destroySoon());
    socket.end(encodeLine(value));
  });
}

const MAX_ANSWER_BYTES = 64 * 1024;

/** How long to wait before trying again where nobody listens. */
const PAUSE_MS = 100;

/** Sends a text, as soon as somebody listens there. */
export async function sendOver(address: Address, text: string, { milliseconds, signal }: Deadline): Promise<void> {
  const end = monotonicMs() + milliseconds;
  let nobody: NobodyThere | undefined;
  for (;;) {
    try {
      const answer = await ask(address, { type: "message", text }, { milliseconds: end - monotonicMs(), signal });
      if (answer.type === "taken") return;
      throw conflict(`${formatAddress(address)} did not take it: ${errorIn(answer)}`);
    } catch (error) {
      if (error instanceof NobodyThere) nobody = error;
      else if (!(error instanceof NoConnection)) throw error;
      if (monotonicMs() + PAUSE_MS >= end || signal.aborted) throw nobody ?? error;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
}

export async function timeARoundTrip(address: Address, within: Deadline): Promise<number> {
  const answer = await ask(address, { type: "ping" }, within);
  if (answer.type === "pong") return answer.milliseconds;
  throw conflict(`${formatAddress(address)} gave no pong: ${errorIn(answer)}`);
}

class NobodyThere extends IpcError {}

/** The time was up before there was a connection. */
class NoConnection extends IpcError {}

interface Answer {
  readonly type: unknown;
  readonly error?: unknown;
  /** From the request to this. */
  readonly milliseconds: number;
}

/** One line there, one line back. */
async function ask(address: Address, value: object, { milliseconds, signal }: Deadline): Promise<Answer> {
  const at = formatAddress(address);
  const socket = connect({ ...address, noDelay: true });
  const end = monotonicMs() + milliseconds;
  try {
    await within(socket, end, signal, at, (resolve) => socket.once("connect", resolve));
    const asked = performance.now();
    const line = await within<Buffer>(socket, end, signal, at, (resolve, reject) => {
      const lines = createLineSplitter(MAX_ANSWER_BYTES);
      socket.on("data", (bytes: Buffer) => {
        if (!lines.push(bytes, resolve)) reject(conflict(`${at} answers in another way than el-ipc`));
      });
      socket.write(encodeLine(value));
    });
    const taken = performance.now() - asked;
    const answer = decodeLine(line);
    if (typeof answer !== "object" || answer === null || !("type" in answer)) {
      throw conflict(`${at} answers in another way than el-ipc: is that \`el-ipc tcp receive\`?`);
    }
    return { ...answer, milliseconds: taken };
  } finally {
    socket.destroy();
  }
}

type Settle<T> = (resolve: (value: T) => void, reject: (error: Error) => void) => void;

/** What comes of a connection, unless it breaks, the time is up, or nobody wants it any more. */
function within<T>(socket: Socket, end: number, signal: AbortSignal, at: string, settle: Settle<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(lateness(socket, at)), Math.max(0, end - monotonicMs()));
    const give = () => reject(conflict("given up"));
    const broken = (error?: Error) => reject(faultOf(at, error));
    signal.addEventListener("abort", give, { once: true });
    socket.once("error", broken).once("close", () => broken());
    const settled =
      <V>(done: (value: V) => void) =>
      (value: V) => {
        clearTimeout(timer);
        signal.removeEventListener("abort", give);
        done(value);
      };
    settle(settled(resolve), settled(reject));
  });
}

function lateness(socket: Socket, at: string): IpcError {
  const said = `${at} did not answer in that time`;
  return socket.connecting ? new NoConnection("conflict", said) : conflict(`${said}; it may still have taken it`);
}

function faultOf(at: string, error: Error | undefined): IpcError {
  const code = error !== undefined && "code" in error ? error.code : undefined;
  const [port = ""] = /\d+$/.exec(at) ?? [];
  if (code === "ECONNREFUSED") {
    return new NobodyThere("not_found", `Nobody listens at ${at}: start \`el-ipc tcp receive ${port}\` there`);
  }
  if (code === "ENOTFOUND" || code === "EAI_AGAIN")
    return new IpcError("not_found", `There is no host of that name: ${at}`);
  const why = error === undefined ? "it closed the connection" : error.message;
  return new IpcError("conflict", `${at} gave no answer: ${why}`);
}

function errorIn({ error }: Answer): string {
  return typeof error === "string" ? error.slice(0, 200) : "it gave no reason";
}

/** Point-to-point over TCP: a line of JSON each way. docs/wire.md says it for strangers. */
export function createTcpLink(): Link {
  const taken = new Map<number, Taken>();
  let receipts = 0;

  return {
    send: (address: Address, text: string, within: Deadline) => sendOver(address, text, within),
    ping: (address, within) => timeARoundTrip(address, within),
    async receive(address, within): Promise<ReceivedText | undefined> {
      const received = await receiveAt(address, within);
      if (received === undefined) return undefined;
      const receipt = ++receipts;
      taken.set(receipt, received);
      return { text: received.text, from: received.from, receipt };
    },
    async settle(receipt, arrived) {
      const received = taken.get(receipt);
      taken.delete(receipt);
      await received?.answer(arrived);
    },
  };
}
