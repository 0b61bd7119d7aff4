import type { Socket } from "node:net";
import { encodeLine } from "../../wire/json-lines.ts";

/** Who has so much to read is behind: nothing more is asked of it. */
const BEHIND_BYTES = 1024 * 1024;

/** How long the other end may take to read the last answer. Less than a lease, so that what is lost is offered again once. */
const LINGER_MS = 5_000;

/** Of who has said that it says no more, or was killed: how long the reset that tells these apart may be on its way. */
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

  const flush = (): Promise<boolean> =>
    new Promise((resolve) => {
      setImmediate(() => {
        const text = pending;
        pending = "";
        written = undefined;
        if (!socket.writable) return resolve(false);
        const early = socket.readableEnded;
        socket.write(text, (error) => {
          if (error) resolve(false);
          else if (early) setTimeout(() => resolve(!socket.destroyed), RESET_MS);
          else resolve(true);
        });
      });
    });

  const last = async (value: object): Promise<boolean> => {
    await written;
    if (!socket.writable) return false;
    const halfClosed = socket.readableEnded;
    const closed = new Promise<boolean>((resolve) => {
      let broken = false;
      socket.once("error", () => {
        broken = true;
      });
      socket.once("close", () => resolve(!broken && socket.writableFinished && socket.readableEnded));
    });
    const timer = setTimeout(() => socket.destroy(), LINGER_MS);
    const line = encodeLine(value);
    socket.resume();
    if (halfClosed) socket.write(line, () => setTimeout(() => socket.end(), RESET_MS));
    else socket.end(line);
    const read = await closed;
    clearTimeout(timer);
    return read;
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
