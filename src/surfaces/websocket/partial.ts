import type { Duplex } from "node:stream";
import type { WebSocket } from "ws";
import type { Room } from "../../operations/room.ts";

const TRY_AGAIN = 1013;

/** Counts what comes of a frame that isn't whole yet; too much of such from all connections ends those who send it. */
export function boundPartial(socket: WebSocket, raw: Duplex, room: Room): void {
  let held = 0;
  socket.on("message", () => {
    held = 0;
  });
  raw.on("data", (bytes: Buffer) => {
    held += bytes.length;
    if (!room.hold(socket, held, () => {})) socket.close(TRY_AGAIN, "too many large messages are on their way");
  });
}
