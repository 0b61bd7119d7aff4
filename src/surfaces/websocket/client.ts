import { WebSocket } from "ws";
import { IpcError, invalid } from "../../core/errors.ts";
import { BODY_BYTES } from "../../core/limits.ts";
import { type Frame, frameIn } from "./frames.ts";

export interface Reaching {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** A connection to a server: frames there, frames back. */
export interface Talk extends AsyncDisposable {
  send(frame: Frame): void;
  /** Each frame that comes, until the connection ends. */
  readonly frames: AsyncIterable<Frame>;
}

const HANDSHAKE_MS = 10_000;

/** The server says something, a ping at least, more often than this. */
const SILENT_MS = 60_000;

export async function talkTo({ url, headers }: Reaching): Promise<Talk> {
  if (!/^wss?:\/\//.test(url) || !URL.canParse(url))
    throw invalid(`${JSON.stringify(url)} is no address: ws://host:port`);
  const socket = new WebSocket(url, {
    headers,
    handshakeTimeout: HANDSHAKE_MS,
    maxPayload: 2 * BODY_BYTES,
    perMessageDeflate: false,
  });
  const came: Frame[] = [];
  let wake = () => {};
  let ended = false;
  socket.on("message", (data: Buffer) => {
    const frame = frameIn(data.toString());
    if (frame !== undefined) came.push(frame);
    wake();
  });
  const silence = setTimeout(() => socket.terminate(), SILENT_MS);
  for (const sign of ["message", "ping", "pong"] as const) socket.on(sign, () => silence.refresh());
  const closed = new Promise<void>((resolve) => {
    socket.once("close", () => {
      clearTimeout(silence);
      ended = true;
      wake();
      resolve();
    });
  });
  await new Promise<void>((resolve, reject) => {
    socket.once("open", resolve);
    socket.once("error", (error) => reject(unreachable(url, error)));
    socket.once("unexpected-response", (_, response) => {
      reject(new IpcError("unauthorized", `${url} refuses: it answers with status ${response.statusCode}`));
      socket.terminate();
    });
  });
  socket.on("error", () => {});

  async function* frames(): AsyncGenerator<Frame, void, void> {
    for (;;) {
      for (let next = came.shift(); next !== undefined; next = came.shift()) yield next;
      if (ended) return;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  }

  return {
    send: (frame) => {
      if (socket.readyState === socket.OPEN) socket.send(JSON.stringify(frame));
    },
    frames: frames(),
    async [Symbol.asyncDispose]() {
      socket.close();
      const late = setTimeout(() => socket.terminate(), 1_000);
      await closed;
      clearTimeout(late);
    },
  };
}

function unreachable(url: string, cause: Error): IpcError {
  return new IpcError("internal", `No server answers at ${url} (${cause.message})`, "busy", { cause });
}
