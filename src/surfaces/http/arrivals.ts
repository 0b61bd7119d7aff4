import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";

/** An answer up to this size arrives, or is lost, as a whole. */
const AT_ONCE_BYTES = 64 * 1024;

/** A client counts as having its answer if its connection neither breaks nor carries anything for this long. */
const READING_MS = 5_000;

/** Tells whether answers reach their clients. One for each server. */
export interface Arrivals extends Disposable {
  /**
   * Whether the whole answer was handed to a connection that still stands. That proves little for a long answer, since the
   * operating system buffers more than a vanished client has read. A long answer was read if its connection then closes
   * without a reset, or carries another request.
   */
  hasArrived(response: ServerResponse, bytes: number): Promise<boolean>;
  /** Records a request: its client has read the earlier answers of its connection. */
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

/** Makes Node close only our half of a connection: a closed socket no longer reports its other end. */
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
