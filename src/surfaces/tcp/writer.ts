import type { Socket } from "node:net";
import { encodeLine } from "../../wire/json-lines.ts";

/** Reading pauses for a client that leaves more than this unread. */
const BEHIND_BYTES = 1024 * 1024;

/**
 * How long the client may take to read the last answer and close. Shorter than a lease, so that a lost message is offered
 * again only once.
 */
const LINGER_MS = 3_000;

/** The time for a write to a killed client to return as a reset. */
const RESET_MS = 100;

export interface Writer {
  /** Resolves to whether the system took all of it for a connection that stood. */
  write(value: object): Promise<boolean>;
  /** Writes an answer, then ends. Resolves to whether the client closed as if it had read it. */
  writeLast(value: object): Promise<boolean>;
  /** Ends once everything is written. */
  end(): Promise<void>;
  isBehind(): boolean;
}

/** Writes lines, batching those of one turn of the event loop. */
export function createWriter(socket: Socket): Writer {
  let pending = "";
  let flushing: Promise<boolean> | undefined;
  let cautious = Promise.resolve(true);
  let isEnding = false;

  const flush = (): Promise<boolean> =>
    new Promise((resolve) => {
      setImmediate(() => {
        const text = pending;
        pending = "";
        flushing = undefined;
        if (!socket.readableEnded) return resolve(push(socket, text));
        cautious = cautious.then(() => pushCautiously(socket, text));
        resolve(cautious);
      });
    });

  return {
    write(value) {
      if (socket.destroyed) return Promise.resolve(false);
      pending += encodeLine(value);
      flushing ??= flush();
      return flushing;
    },
    async writeLast(value) {
      isEnding = true;
      await flushing;
      await cautious;
      if (!socket.writable) return false;
      const line = encodeLine(value);
      if (socket.readableEnded) {
        const isRead = await pushCautiously(socket, line);
        socket.destroySoon();
        return isRead;
      }
      const closed = closesInOrder(socket);
      socket.setTimeout(LINGER_MS, () => socket.destroy());
      socket.resume().end(line);
      return await closed;
    },
    async end() {
      if (isEnding) return;
      isEnding = true;
      await flushing;
      await cautious;
      socket.destroySoon();
    },
    isBehind: () => socket.writableLength > BEHIND_BYTES,
  };
}

/** Resolves on close to whether all was written and the client closed without a reset. */
function closesInOrder(socket: Socket): Promise<boolean> {
  return new Promise((resolve) => {
    let isBroken = false;
    socket.once("error", () => {
      isBroken = true;
    });
    socket.once("close", () => resolve(!isBroken && socket.writableFinished && socket.readableEnded));
  });
}

function push(socket: Socket, text: string): Promise<boolean> {
  if (!socket.writable) return Promise.resolve(false);
  return new Promise((resolve) => socket.write(text, (error) => resolve(!error)));
}

/**
 * Writes to a client that has ended its side. If it was killed, only a write reveals that. So the line's end is written
 * after the time for a reset, and fails if one has come.
 */
async function pushCautiously(socket: Socket, text: string): Promise<boolean> {
  if (!(await push(socket, text.slice(0, -1)))) return false;
  await new Promise((resolve) => setTimeout(resolve, RESET_MS));
  return await push(socket, text.slice(-1));
}
