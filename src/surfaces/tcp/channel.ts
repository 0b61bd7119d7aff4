import { connect, type Socket } from "node:net";
import { IpcError } from "../../core/errors.ts";
import { type Address, formatAddress } from "../../core/link.ts";
import { createLineSplitter, decodeLine, encodeLine } from "../../wire/json-lines.ts";

/** Every answer of ours fits: a batch, or one message more than that, of escapes only. */
const MAX_BYTES = 64 * 1024 * 1024;

export type Answer = Readonly<Record<string, unknown>>;

/** A connection to a broker, on which any number of requests may be on their way. */
export interface Channel {
  /** The lines that answer a request: one, or of a stream each as it comes. */
  ask(request: object, signal: AbortSignal, stream: boolean): AsyncGenerator<Answer, void, void>;
  close(): void;
  readonly closed: Promise<void>;
}

interface Asked {
  readonly answers: Answer[];
  wake: () => void;
}

export async function openChannel(address: Address): Promise<Channel> {
  const at = formatAddress(address);
  const socket = await connected(address, at);
  const lines = createLineSplitter(MAX_BYTES);
  const open = new Map<unknown, Asked>();
  let ids = 0;
  let broken: Error | undefined;

  const hear = (bytes: Buffer): void => {
    const fits = lines.push(bytes, (line) => {
      const answer = decodeLine(line);
      if (!isAnswer(answer)) return void socket.destroy();
      // The original's broker says no id: then there is one request, and this is its answer.
      const asked = open.get(answer.id) ?? (answer.id === undefined ? [...open.values()][0] : undefined);
      asked?.answers.push(answer);
      asked?.wake();
    });
    if (!fits) socket.destroy();
  };
  socket.on("data", hear);
  const closed = new Promise<void>((resolve) => {
    socket.once("error", (error) => {
      broken = error;
    });
    socket.once("close", () => {
      broken ??= new Error("it closed the connection");
      for (const { wake } of open.values()) wake();
      resolve();
    });
  });

  async function* ask(request: object, signal: AbortSignal, stream: boolean): AsyncGenerator<Answer, void, void> {
    const id = ++ids;
    const asked: Asked = { answers: [], wake: () => {} };
    open.set(id, asked);
    // Whoever gives up hangs up: so what was on its way is offered to others at once.
    const giveUp = () => socket.destroy();
    signal.addEventListener("abort", giveUp, { once: true });
    try {
      if (signal.aborted) giveUp();
      else socket.write(encodeLine({ ...request, id }));
      for (;;) {
        for (let next = asked.answers.shift(); next !== undefined; next = asked.answers.shift()) {
          yield next;
          if (!stream) return;
        }
        if (broken !== undefined) throw unreachable(at, broken);
        await new Promise<void>((resolve) => {
          asked.wake = resolve;
        });
      }
    } finally {
      open.delete(id);
      signal.removeEventListener("abort", giveUp);
      if (stream) giveUp();
    }
  }

  return { ask, close: () => socket.destroySoon(), closed };
}

function connected(address: Address, at: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ ...address, noDelay: true, keepAlive: true });
    socket.once("error", (error) => reject(unreachable(at, error)));
    socket.once("connect", () => {
      socket.removeAllListeners("error").on("error", () => {});
      resolve(socket);
    });
  });
}

function isAnswer(value: unknown): value is Answer {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function unreachable(at: string, cause: Error): IpcError {
  return new IpcError("internal", `No server answers at tcp://${at} (${cause.message})`, "busy", { cause });
}

/** Who has so much to read is behind: nothing more is asked of it. */
const BEHIND_BYTES = 1024 * 1024;

/** How long the other end may stop reading the last answer, and take to close. Less than a lease: what is lost is offered again once. */
const LINGER_MS = 3_000;

/** How long it may take until a write to somebody who was killed comes back as a reset. */
const RESET_MS = 100;

export interface Writer {
  /** Says whether the system took all of it for a connection that stood. */
  write(value: object): Promise<boolean>;
  /** Writes an answer, then ends. Says whether the other end closed like one that has read it. */
  last(value: object): Promise<boolean>;
  isBehind(): boolean;
}

/** Writes lines; those of one turn of the event loop together. */
export function createWriter(socket: Socket): Writer {
  let pending = "";
  let written: Promise<boolean> | undefined;
  let carefully = Promise.resolve(true);

  const flush = (): Promise<boolean> =>
    new Promise((resolve) => {
      setImmediate(() => {
        const text = pending;
        pending = "";
        written = undefined;
        if (!socket.readableEnded) return resolve(push(socket, text));
        carefully = carefully.then(() => pushCarefully(socket, text));
        resolve(carefully);
      });
    });

  const last = async (value: object): Promise<boolean> => {
    await written;
    await carefully;
    if (!socket.writable) return false;
    const line = encodeLine(value);
    if (socket.readableEnded) {
      const read = await pushCarefully(socket, line);
      socket.destroySoon();
      return read;
    }
    const closed = new Promise<boolean>((resolve) => {
      let broken = false;
      socket.once("error", () => {
        broken = true;
      });
      socket.once("close", () => resolve(!broken && socket.writableFinished && socket.readableEnded));
    });
    socket.setTimeout(LINGER_MS, () => socket.destroy());
    socket.resume().end(line);
    return await closed;
  };

  return {
    write(value) {
      if (socket.destroyed) return Promise.resolve(false);
      pending += encodeLine(value);
      written ??= flush();
      return written;
    },
    last,
    isBehind: () => socket.writableLength > BEHIND_BYTES,
  };
}

function push(socket: Socket, text: string): Promise<boolean> {
  if (!socket.writable) return Promise.resolve(false);
  return new Promise((resolve) => socket.write(text, (error) => resolve(!error)));
}

/**
 * For who has said that it says no more: it may have been killed, which looks the same until something was written to it.
 * So the line's end follows when a reset would have come, and fails if it has.
 */
async function pushCarefully(socket: Socket, text: string): Promise<boolean> {
  if (!(await push(socket, text.slice(0, -1)))) return false;
  await new Promise((resolve) => setTimeout(resolve, RESET_MS));
  return await push(socket, text.slice(-1));
}
