import type { Socket } from "node:net";
import { encodeLine } from "../../wire/json-lines.ts";

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
