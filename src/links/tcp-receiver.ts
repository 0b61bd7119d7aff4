import { createServer, type Server, type Socket } from "node:net";
import { IpcError } from "../core/errors.ts";
import { BODY_BYTES, CONTENT_BYTES } from "../core/limits.ts";
import { type Address, addressText, type Within } from "../core/link.ts";
import { createLineSplitter, decodeLine, encodeLine } from "../wire/json-lines.ts";

/** A text that somebody waits to hear the fate of. */
export interface Taken {
  readonly text: string;
  readonly from: string;
  answer(arrived: boolean): Promise<void>;
}

/** Who has connected and says nothing whole is let go after this. */
const IDLE_MS = 30_000;
const MOST_CONNECTIONS = 200;

/** How long an answer may take to leave before this process ends. */
const LINGER_MS = 1_000;

const ANOTHER = "another message was first: whoever listened here has stopped";

/** Listens for one text. Whoever comes later, or says something else, is told so. */
export async function receiveAt(address: Address, { milliseconds, signal }: Within): Promise<Taken | undefined> {
  if (signal.aborted) return undefined;
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true });
  server.maxConnections = MOST_CONNECTIONS;
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
  const at = addressText(address);
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
    from: addressText({ host: socket.remoteAddress ?? "", port: socket.remotePort ?? 0 }),
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
