// Clients on plain sockets, written from docs/wire.md alone: not a line of src, and no package.
import { createHash, randomBytes, randomInt } from "node:crypto";
import { connect, createServer, type Socket } from "node:net";

export type Frame = Readonly<Record<string, unknown>>;

const given = new Set<number>();

/**
 * A port that nobody has, and that nobody is told twice. It isn't one of those that the system gives to whoever asks for
 * any: those go to others before it is used.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 32_000);
    if (given.has(port)) continue;
    given.add(port);
    if (await isFree(port)) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

/** What comes, in order, for whoever asks next. */
function createQueue<T>() {
  const came: T[] = [];
  const waiting: ((value: T | undefined) => void)[] = [];
  let over = false;
  return {
    came,
    add(value: T) {
      const next = waiting.shift();
      if (next === undefined) came.push(value);
      else next(value);
    },
    end() {
      over = true;
      for (const next of waiting.splice(0)) next(undefined);
    },
    /** The next one; undefined once there will be none. */
    next: (): Promise<T | undefined> => {
      const value = came.shift();
      if (value !== undefined || over) return Promise.resolve(value);
      return new Promise((resolve) => waiting.push(resolve));
    },
  };
}

export interface Lines extends Disposable {
  readonly socket: Socket;
  say(value: unknown): void;
  next(): Promise<Frame>;
  readonly closed: Promise<void>;
}

/** A connection on which lines of JSON are said. */
export async function connectLines(port: number): Promise<Lines> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  const queue = createQueue<Frame>();
  const partial: string[] = [];
  socket.setEncoding("utf8").on("data", (text: string) => {
    const parts = text.split("\n");
    for (const part of parts.slice(0, -1)) {
      partial.push(part);
      queue.add(JSON.parse(partial.splice(0).join("")));
    }
    partial.push(parts.at(-1) ?? "");
  });
  socket.on("error", () => {});
  const closed = new Promise<void>((resolve) => {
    socket.once("close", () => {
      queue.end();
      resolve();
    });
  });
  await new Promise<void>((resolve) => socket.once("connect", resolve).once("close", resolve));
  return {
    socket,
    closed,
    say: (value) => void socket.write(`${JSON.stringify(value)}\n`),
    async next() {
      const answer = await queue.next();
      if (answer === undefined) throw new Error("the connection has ended");
      return answer;
    },
    [Symbol.dispose]: () => socket.destroy(),
  };
}

/** One request on a connection of its own, as the original's clients make it. */
export async function askLine(port: number, request: unknown): Promise<Frame> {
  using line = await connectLines(port);
  line.say(request);
  const answer = await line.next();
  await line.closed;
  return answer;
}

export interface RawWebSocket extends Disposable {
  readonly socket: Socket;
  say(frame: unknown): void;
  /** Any frame at all: its first byte, and what it carries. */
  frame(opcode: number, payload: Buffer): void;
  next(): Promise<Frame>;
  /** The next frame of a type; others that come before are passed over. */
  nextOf(type: string): Promise<Frame>;
  /** From now on no ping is answered. */
  ignorePings(): void;
  /** The code with which the other end closed. */
  readonly closed: Promise<number | undefined>;
}

/** Speaks RFC 6455 over a bare connection. A refused handshake is an Error with its status and body. */
export async function connectWebSocket(
  port: number,
  { path = "/", headers = {} }: { path?: string; headers?: Readonly<Record<string, string>> } = {},
): Promise<RawWebSocket> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  const queue = createQueue<Frame>();
  socket.on("error", () => {});
  const key = randomBytes(16).toString("base64");
  const asked = { Host: `127.0.0.1:${port}`, Upgrade: "websocket", Connection: "Upgrade", ...headers };
  const more = { "Sec-WebSocket-Key": key, "Sec-WebSocket-Version": "13" };
  const head = Object.entries({ ...asked, ...more }).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`GET ${path} HTTP/1.1\r\n${head.join("")}\r\n`);

  let bytes = Buffer.alloc(0);
  let open = false;
  let deaf = false;
  let code: number | undefined;
  let fragments: Buffer[] = [];
  let opened: () => void = () => {};
  let refused: (error: Error) => void = () => {};

  const frame = (opcode: number, payload: Buffer): void => {
    const mask = randomBytes(4);
    const length =
      payload.length < 126
        ? Buffer.from([0x80 | payload.length])
        : payload.length < 65_536
          ? Buffer.from([0xfe, payload.length >> 8, payload.length & 0xff])
          : Buffer.concat([Buffer.from([0xff, 0, 0, 0, 0]), uint32(payload.length)]);
    const masked = Buffer.from(payload.map((byte, index) => byte ^ (mask[index % 4] ?? 0)));
    socket.write(Buffer.concat([Buffer.from([0x80 | opcode]), length, mask, masked]));
  };

  const handshake = (): boolean => {
    const end = bytes.indexOf("\r\n\r\n");
    if (end === -1) return false;
    const text = bytes.subarray(0, end).toString();
    bytes = bytes.subarray(end + 4);
    const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
    if (/^HTTP\/1\.1 101/.test(text) && text.includes(accept)) {
      open = true;
      opened();
      return true;
    }
    socket.prependOnceListener("close", () => refused(new Error(`${text.split("\r\n")[0]} ${bytes}`)));
    return false;
  };

  const parse = (): boolean => {
    const [first = 0, second = 0] = bytes;
    if (bytes.length < 2) return false;
    const short = second & 0x7f;
    const from = short === 126 ? 4 : short === 127 ? 10 : 2;
    if (bytes.length < from) return false;
    const length = short === 126 ? bytes.readUInt16BE(2) : short === 127 ? bytes.readUInt32BE(6) : short;
    if (bytes.length < from + length) return false;
    const payload = Buffer.from(bytes.subarray(from, from + length));
    bytes = bytes.subarray(from + length);
    const opcode = first & 0x0f;
    if (opcode === 9 && !deaf) frame(10, payload);
    if (opcode === 8) {
      code = payload.length >= 2 ? payload.readUInt16BE(0) : undefined;
      socket.end();
    }
    if (opcode <= 2) {
      fragments.push(payload);
      if (first & 0x80) {
        queue.add(JSON.parse(Buffer.concat(fragments).toString()));
        fragments = [];
      }
    }
    return true;
  };

  socket.on("data", (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk]);
    if (!open && !handshake()) return;
    while (parse());
  });
  const closed = new Promise<number | undefined>((resolve) => {
    socket.once("close", () => {
      queue.end();
      refused(new Error("the connection has ended"));
      resolve(code);
    });
  });
  await new Promise<void>((resolve, reject) => {
    opened = resolve;
    refused = reject;
  });
  const next = async () => {
    const said = await queue.next();
    if (said === undefined) throw new Error("the connection has ended");
    return said;
  };
  return {
    socket,
    frame,
    closed,
    next,
    say: (value) => frame(1, Buffer.from(JSON.stringify(value))),
    async nextOf(type) {
      for (;;) {
        const said = await next();
        if (said.type === type) return said;
      }
    },
    ignorePings() {
      deaf = true;
    },
    [Symbol.dispose]: () => socket.destroy(),
  };
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
