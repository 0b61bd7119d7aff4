import type { Socket } from "node:net";
import type { Caller } from "../../core/caller.ts";
import { type IpcError, isIpcError } from "../../core/errors.ts";
import { callerShowing, endWithToken, isLoopbackAddress, type ServerDoor } from "../../operations/door.ts";

export interface Entrance {
  readonly door: ServerDoor;
  readonly refused: (refusal: IpcError, from: string) => Promise<void>;
}

/** Who asks on a connection: what was shown there last holds from then on, and ends the connection when it ends. */
export function createCallers(socket: Socket, { door, refused }: Entrance) {
  const from = isLoopbackAddress(socket.remoteAddress) ? "local" : "beyond";
  let caller: Promise<Caller> | undefined;
  let stop = () => {};

  const identify = async (shown: string): Promise<Caller> => {
    try {
      const known = await callerShowing(shown, from, door);
      stop = endWithToken(shown, known, door, () => socket.destroy());
      if (socket.destroyed) stop();
      return known;
    } catch (error) {
      if (isIpcError(error)) await refused(error, socket.remoteAddress ?? "");
      throw error;
    }
  };

  socket.once("close", () => stop());

  return (token: unknown): Promise<Caller> => {
    if (caller !== undefined && token === undefined) return caller;
    stop();
    caller = identify(typeof token === "string" ? token : "");
    return caller;
  };
}
