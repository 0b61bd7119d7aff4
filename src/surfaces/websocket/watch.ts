import type { WebSocket } from "ws";

/** Whoever is silent is asked so often whether it is there, and ended when it hasn't answered by the next time. */
const BEAT_MS = 25_000;

/** Ends connections whose other end is gone without a word. One timer for all of them. */
export function watchOver(): (socket: WebSocket) => void {
  const heard = new Map<WebSocket, boolean>();
  let timer: NodeJS.Timeout | undefined;

  const beat = () => {
    for (const [socket, alive] of heard) {
      // Of who is let wait nothing is heard, unless it is waited for itself.
      if (!alive && (!socket.isPaused || socket.bufferedAmount > 0)) {
        socket.terminate();
        continue;
      }
      heard.set(socket, false);
      // Its number is none that somebody waits for.
      socket.ping("0");
    }
  };

  return (socket) => {
    const hear = () => heard.set(socket, true);
    hear();
    socket.on("pong", hear).on("message", hear).on("ping", hear);
    socket.once("close", () => {
      heard.delete(socket);
      if (heard.size > 0) return;
      clearInterval(timer);
      timer = undefined;
    });
    timer ??= setInterval(beat, BEAT_MS);
  };
}
