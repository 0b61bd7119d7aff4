import type { Socket } from "node:net";
import { encodeLine } from "../../wire/json-lines.ts";

/** A client that leaves more than this unread is behind: nothing more is read from it. */
const BEHIND_BYTES = 1024 * 1024;

/**
 * How long the other end may stop reading the last answer, and take to close. Less than a lease: what is lost is offered
 * again once.
 */
const LINGER_MS = 3_000;

/** How long it may take until a write to a client that was killed comes back as a reset. */
const RESET_MS = 100;

export interface Writer {
  /** Resolves to whether the system took all of it for a connection that stood. */
  write(value: object): Promise<boolean>;
  /** Writes an answer, then ends. Resolves to whether the other end closed like one that has read it. */
  writeLast(value: object): Promise<boolean>;
  /** Ends once all is written. */
  end(): Promise<void>;
  isBehind(): boolean;
}

/** Writes lines; those of one turn of the event loop together. */
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

/** Resolves, once a connection has closed, to whether all was written and the other end closed without a reset. */
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
 * Writes to a client that has ended its side. It may have been killed, which looks the same until something was written
 * to it. So the line's end follows when a reset would have come, and fails if it has.
 */
async function pushCautiously(socket: Socket, text: string): Promise<boolean> {
  if (!(await push(socket, text.slice(0, -1)))) return false;
  await new Promise((resolve) => setTimeout(resolve, RESET_MS));
  return await push(socket, text.slice(-1));
}
