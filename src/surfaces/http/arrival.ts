import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";

/** What is no longer than this is with the other machine, or lost, as a whole. */
const AT_ONCE_BYTES = 64 * 1024;

/** How long a client whose connection neither breaks nor says anything may be at an answer before it counts as having it. */
const READING_MS = 5_000;

/** Whether answers come to those who asked. One for each server. */
export interface Arrivals extends Disposable {
  /**
   * Whether the whole answer was handed to a connection that still stands. Of a long one that alone says little, since
   * the operating system takes more than a client that vanishes has read: whether it has, its connection tells by its end,
   * by a reset where something was left unread, or by what is asked on it next.
   */
  hasArrived(response: ServerResponse, bytes: number): Promise<boolean>;
  /** Something was asked on a connection: what was answered there before has arrived. */
  asked(response: ServerResponse): void;
}

export function createArrivals(): Arrivals {
  const reading = new Map<Socket, (arrived: boolean) => void>();
  const latest = new WeakMap<Socket, ServerResponse>();

  const isRead = (socket: Socket): Promise<boolean> =>
    new Promise((resolve) => {
      const done = (arrived: boolean) => {
        clearTimeout(timer);
        socket.off("end", ended).off("close", closed);
        reading.delete(socket);
        if (socket.writableEnded) socket.destroy();
        resolve(arrived);
      };
      const ended = () => done(true);
      const closed = () => done(socket.readableEnded);
      const timer = setTimeout(done, READING_MS, true);
      reading.set(socket, done);
      socket.once("end", ended).once("close", closed);
    });

  return {
    async hasArrived(response, bytes) {
      const { socket } = response;
      const long = bytes > AT_ONCE_BYTES;
      if (socket !== null && long) closeInTurn(socket);
      if (!(await isHandedOver(response))) return false;
      if (socket === null || !long || socket.readableEnded) return true;
      if (socket.destroyed) return false;
      return latest.get(socket) === response ? await isRead(socket) : true;
    },
    asked(response) {
      const { socket } = response;
      if (socket === null) return;
      latest.set(socket, response);
      reading.get(socket)?.(true);
    },
    [Symbol.dispose]() {
      for (const done of [...reading.values()]) done(true);
    },
  };
}

/** Where we are to close it, only our half of it at first: a connection that is closed tells nothing of its other end. */
function closeInTurn(socket: Socket): void {
  socket.destroySoon = () => socket.end();
}

function isHandedOver(response: ServerResponse): Promise<boolean> {
  if (response.writableFinished) return Promise.resolve(true);
  if (response.destroyed) return Promise.resolve(false);
  return new Promise((resolve) => {
    response.once("finish", () => resolve(true));
    response.once("close", () => resolve(response.writableFinished));
  });
}
