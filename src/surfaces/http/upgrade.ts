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

/** Of a request the original says no more than that it is unauthorized; but nobody upgraded one there. */
const SHOW_WHO = [
  "this server asks for its API key or an agent's token: send it as Authorization: Bearer (our commands: IPC_API_KEY,",
  "IPC_TOKEN or IPC_KEY), or in a browser offer the subprotocols el-ipc and bearer.TOKEN",
].join(" ");

function refuse(socket: Duplex, error: unknown): void {
  const { code, message, reason } = publicError(error);
  const status = statusOf(code, reason);
  const sentence = message === "unauthorized" ? SHOW_WHO : message;
  const body = JSON.stringify({ ok: false, error: sentence, code, reason });
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    "Content-Type: application/json",
    `Content-Length: ${Buffer.byteLength(body)}`,
    "Connection: close",
    ...(status === 401 ? ["WWW-Authenticate: Bearer"] : []),
  ];
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`, () => socket.destroy());
}
