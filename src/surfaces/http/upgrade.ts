import { type IncomingMessage, type Server, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import type { Caller } from "../../core/caller.ts";
import { type IpcError, isIpcError, publicError } from "../../core/errors.ts";
import type { ServerDoor } from "../../operations/door.ts";
import { statusOf } from "./answer.ts";
import { callerOf, endWithRequestToken } from "./caller.ts";

/** A surface that this server hosts, without knowing it, for requests to speak something else from now on. */
export type Upgrade = (
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  caller: Caller,
  signal: AbortSignal,
) => Promise<void> | void;

export interface Upgrading {
  readonly upgrade: Upgrade;
  readonly door: ServerDoor;
  readonly refused: (refusal: IpcError, from: string) => Promise<void>;
  /** Those that are open, each to be ended when the server stops. */
  readonly open: Set<AbortController>;
}

/** Lets in who may come in, as for any other request, and hands the connection over. */
export function answerUpgrades(server: Server, { upgrade, door, refused, open }: Upgrading): void {
  server.on("upgrade", async (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const controller = new AbortController();
    const drop = () => socket.destroy();
    socket.on("error", drop);
    open.add(controller);
    socket.once("close", () => {
      controller.abort();
      open.delete(controller);
    });
    try {
      const caller = await callerOf(request, door);
      socket.once(
        "close",
        endWithRequestToken(request, caller, door, () => controller.abort()),
      );
      await upgrade(request, socket, head, caller, controller.signal);
    } catch (error) {
      if (isIpcError(error)) await refused(error, request.socket.remoteAddress ?? "");
      refuse(socket, error);
    }
  });
}

function refuse(socket: Duplex, error: unknown): void {
  const { code, message, reason } = publicError(error);
  const status = statusOf(code, reason);
  const body = JSON.stringify({ ok: false, error: message, code, reason });
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    "Content-Type: application/json",
    `Content-Length: ${Buffer.byteLength(body)}`,
    "Connection: close",
  ];
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`, () => socket.destroy());
}
