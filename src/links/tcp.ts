import { connect, createServer, type Server, type Socket } from "node:net";
import { conflict, hasCode, IpcError } from "../core/errors.ts";
import { BODY_BYTES, CONTENT_BYTES } from "../core/limits.ts";
import { type Address, type Deadline, formatAddress, type Link, type ReceivedText } from "../core/link.ts";
import { monotonicMs } from "../core/time.ts";
import { createLineSplitter, decodeLine, encodeLine } from "../wire/json-lines.ts";

/** Point-to-point over TCP: a line of JSON each way, as docs/wire.md describes it. */
export function createTcpLink(): Link {
  const unsettled = new Map<number, Received>();
  let receipts = 0;

  return {
    send: sendText,
    ping: measureRoundTrip,
    async receive(address, deadline): Promise<ReceivedText | undefined> {
      const received = await receiveText(address, deadline);
      if (received === undefined) return undefined;
      const receipt = ++receipts;
      unsettled.set(receipt, received);
      return { text: received.text, from: received.from, receipt };
    },
    async settle(receipt, arrived) {
      const received = unsettled.get(receipt);
      unsettled.delete(receipt);
      await received?.answer(arrived);
    },
  };
}

/** A connection that sends no data for this long is closed. */
const IDLE_MS = 30_000;
const MAX_CONNECTIONS = 200;

/** Time for an answer to leave before this process ends. */
const LINGER_MS = 1_000;

/** Listens for one text; undefined if none comes. Later senders get an error, as does any other request. */
async function receiveText(address: Address, { milliseconds, signal }: Deadline): Promise<Received | undefined> {
  if (signal.aborted) return undefined;
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true });
  server.maxConnections = MAX_CONNECTIONS;
  await listen(server, address);
  let first: Received | undefined;
  const received = await new Promise<Received | undefined>((resolve) => {
    const timer = setTimeout(resolve, milliseconds, undefined);
    const stop = () => resolve(undefined);
    signal.addEventListener("abort", stop, { once: true });
    server.on("connection", (socket) => {
      open.add(socket);
      socket.once("close", () => open.delete(socket));
      serveSender(socket, (text) => {
        if (first !== undefined) return refuse(socket, "another message came first, and the receiver has stopped");
        first = receivedFrom(socket, text);
        open.delete(socket);
        clearTimeout(timer);
        signal.removeEventListener("abort", stop);
        resolve(first);
      });
    });
  });
  server.close();
  for (const socket of open) refuse(socket, "the receiver has stopped");
  return received;
}

async function listen(server: Server, address: Address): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => reject(listenError(error, address)));
    server.listen({ ...address }, resolve);
  });
  server.on("error", () => {});
}

function listenError(cause: Error, address: Address): IpcError {
  const { host, port } = address;
  let fault = `${host} is not an address of this machine`;
  if (hasCode(cause, "EACCES")) fault = `Port ${port} needs rights that this user doesn't have`;
  if (hasCode(cause, "EADDRINUSE")) {
    fault = `${formatAddress(address)} is taken: something listens there already; choose another port`;
  }
  return new IpcError("conflict", fault, undefined, { cause });
}

/** Answers pings and hands over a message; anything else ends the connection. */
function serveSender(socket: Socket, handOver: (text: string) => void): void {
  const lines = createLineSplitter(BODY_BYTES);
  socket.on("error", () => socket.destroy());
  socket.setTimeout(IDLE_MS, () => refuse(socket, "nothing came for 30 seconds"));
  socket.on("data", (bytes: Buffer) => {
    const fits = lines.push(bytes, (line) => {
      const request = decodeLine(line);
      if (!socket.writable || !hasType(request)) return refuse(socket, "this is no line of JSON with a type");
      if (request.type === "ping") return void socket.write(encodeLine({ type: "pong" }));
      if (request.type !== "message" || !("text" in request) || typeof request.text !== "string") {
        return refuse(socket, "send a message with a text, or a ping");
      }
      if (Buffer.byteLength(request.text) > CONTENT_BYTES)
        return refuse(socket, "the text must be 1 MiB of UTF-8 at most");
      handOver(request.text);
    });
    if (!fits) refuse(socket, "the line is too long");
  });
  socket.on("end", () => {
    if (lines.held > 0) refuse(socket, "the line has no end");
  });
}

function hasType(value: unknown): value is { readonly type: unknown; readonly error?: unknown } {
  return typeof value === "object" && value !== null && "type" in value;
}

type Received = ReturnType<typeof receivedFrom>;

/** A text whose sender waits for the answer. */
function receivedFrom(socket: Socket, text: string) {
  socket.setTimeout(0);
  return {
    text,
    from: formatAddress({ host: socket.remoteAddress ?? "", port: socket.remotePort ?? 0 }),
    answer: (arrived: boolean) =>
      sendLast(socket, arrived ? { type: "taken" } : { type: "error", error: "it could not be taken" }),
  };
}

function refuse(socket: Socket, error: string): void {
  if (socket.writable) void sendLast(socket, { type: "error", error });
}

/** Sends a last line; resolves when the other end has it or is gone, or after LINGER_MS. */
function sendLast(socket: Socket, value: object): Promise<void> {
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

const RETRY_MS = 100;

/** Sends a text as soon as a receiver listens there. */
async function sendText(address: Address, text: string, { milliseconds, signal }: Deadline): Promise<void> {
  const end = monotonicMs() + milliseconds;
  let lastRefusal: NobodyListens | undefined;
  for (;;) {
    try {
      const answer = await ask(address, { type: "message", text }, { milliseconds: end - monotonicMs(), signal });
      if (answer.type === "taken") return;
      throw conflict(`${formatAddress(address)} did not take it: ${reasonIn(answer)}`);
    } catch (error) {
      if (error instanceof NobodyListens) lastRefusal = error;
      else if (!(error instanceof NotConnected)) throw error;
      if (monotonicMs() + RETRY_MS >= end || signal.aborted) throw lastRefusal ?? error;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

async function measureRoundTrip(address: Address, deadline: Deadline): Promise<number> {
  const answer = await ask(address, { type: "ping" }, deadline);
  if (answer.type === "pong") return answer.milliseconds;
  throw conflict(`${formatAddress(address)} gave no pong: ${reasonIn(answer)}`);
}

class NobodyListens extends IpcError {}

/** The time was up before there was a connection. */
class NotConnected extends IpcError {}

/** Sends a line and reads one back; returns it with the milliseconds in between. */
async function ask(address: Address, value: object, { milliseconds, signal }: Deadline) {
  const at = formatAddress(address);
  const socket = connect({ ...address, noDelay: true });
  const limits = { at, end: monotonicMs() + milliseconds, signal };
  try {
    await settleInTime(socket, limits, (resolve) => socket.once("connect", resolve));
    const sentAt = monotonicMs();
    const line = await settleInTime<Buffer>(socket, limits, (resolve, reject) => {
      const lines = createLineSplitter(MAX_ANSWER_BYTES);
      socket.on("data", (bytes: Buffer) => {
        if (!lines.push(bytes, resolve)) reject(conflict(`${at} does not answer as el-ipc does`));
      });
      socket.write(encodeLine(value));
    });
    const took = monotonicMs() - sentAt;
    const answer = decodeLine(line);
    if (!hasType(answer)) {
      throw conflict(`${at} does not answer as el-ipc does: is that \`el-ipc tcp receive\`?`);
    }
    return { ...answer, milliseconds: took };
  } finally {
    socket.destroy();
  }
}

/** A promise that also rejects when the connection breaks, the time is up, or the signal aborts. `at` is for errors. */
function settleInTime<T>(
  socket: Socket,
  { at, end, signal }: { at: string; end: number; signal: AbortSignal },
  execute: (resolve: (value: T) => void, reject: (error: Error) => void) => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(timeoutError(socket, at)), Math.max(0, end - monotonicMs()));
    const abort = () => reject(conflict("given up"));
    const fail = (error?: Error) => reject(connectionError(at, error));
    signal.addEventListener("abort", abort, { once: true });
    socket.once("error", fail).once("close", () => fail());
    const settle =
      <V>(done: (value: V) => void) =>
      (value: V) => {
        clearTimeout(timer);
        signal.removeEventListener("abort", abort);
        done(value);
      };
    execute(settle(resolve), settle(reject));
  });
}

function timeoutError(socket: Socket, at: string): IpcError {
  const fault = `${at} did not answer in that time`;
  return socket.connecting ? new NotConnected("conflict", fault) : conflict(`${fault}; it may still have taken it`);
}

function connectionError(at: string, error: Error | undefined): IpcError {
  const [port = ""] = /\d+$/.exec(at) ?? [];
  if (hasCode(error, "ECONNREFUSED")) {
    return new NobodyListens("not_found", `Nobody listens at ${at}: start \`el-ipc tcp receive ${port}\` there`);
  }
  if (hasCode(error, "ENOTFOUND") || hasCode(error, "EAI_AGAIN")) {
    return new IpcError("not_found", `There is no host of that name: ${at}`);
  }
  const why = error === undefined ? "it closed the connection" : error.message;
  return new IpcError("conflict", `${at} gave no answer: ${why}`);
}

function reasonIn({ error }: { readonly error?: unknown }): string {
  return typeof error === "string" ? error.slice(0, 200) : "it gave no reason";
}
