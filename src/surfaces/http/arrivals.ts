import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";

/** An answer of at most this size is with the other machine, or lost, as a whole. */
const AT_ONCE_BYTES = 64 * 1024;

/** A client whose connection neither breaks nor says anything counts as having its answer after this. */
const READING_MS = 5_000;

/** Tells whether answers reach those who asked. One for each server. */
export interface Arrivals extends Disposable {
  /**
   * Whether the whole answer was handed to a connection that still stands. Of a long one that alone says little, since
   * the operating system takes more than a client that vanishes has read: whether it was read, its connection tells by
   * its end, by a reset where something was left unread, or by the next request on it.
   */
  hasArrived(response: ServerResponse, bytes: number): Promise<boolean>;
  /** Records a request: its client has read what was answered before on the same connection. */
  noteRequest(response: ServerResponse): void;
}

export function createArrivals(): Arrivals {
  const reading = new Map<Socket, (arrived: boolean) => void>();
  const latest = new WeakMap<Socket, ServerResponse>();

  const isRead = (socket: Socket): Promise<boolean> =>
    new Promise((resolve) => {
      const settle = (arrived: boolean) => {
        clearTimeout(timer);
        socket.off("end", onEnd).off("close", onClose);
        reading.delete(socket);
        if (socket.writableEnded) socket.destroy();
        resolve(arrived);
      };
      const onEnd = () => settle(true);
      const onClose = () => settle(socket.readableEnded);
      const timer = setTimeout(settle, READING_MS, true);
      reading.set(socket, settle);
      socket.once("end", onEnd).once("close", onClose);
    });

  return {
    async hasArrived(response, bytes) {
      const { socket } = response;
      const isLong = bytes > AT_ONCE_BYTES;
      if (socket !== null && isLong) closeOneHalf(socket);
      if (!(await isHandedOver(response))) return false;
      if (socket === null || !isLong || socket.readableEnded) return true;
      if (socket.destroyed) return false;
      return latest.get(socket) === response ? await isRead(socket) : true;
    },
    noteRequest(response) {
      const { socket } = response;
      if (socket === null) return;
      latest.set(socket, response);
      reading.get(socket)?.(true);
    },
    [Symbol.dispose]() {
      for (const settle of [...reading.values()]) settle(true);
    },
  };
}

/** Makes Node close only our half of a connection at first: one that is closed tells nothing of its other end. */
function closeOneHalf(socket: Socket): void {
  socket.destroySoon = () => socket.end();
}

/** Whether the operating system took the whole answer for a connection that stood. */
export function isHandedOver(response: ServerResponse): Promise<boolean> {
  if (response.writableFinished) return Promise.resolve(true);
  if (response.destroyed) return Promise.resolve(false);
  return new Promise((resolve) => {
    response.once("finish", () => resolve(true));
    response.once("close", () => resolve(response.writableFinished));
  });
}
