import type { IncomingMessage } from "node:http";
import { WebSocket } from "ws";
import { errorCodes, IpcError, invalid, reasons } from "../../core/errors.ts";
import { BODY_BYTES } from "../../core/limits.ts";
import { decodeFrame, type Frame, type FrameConnection } from "../../wire/frames.ts";

const HANDSHAKE_MS = 10_000;

/** How much of a refusal is read, and for how long. */
const REFUSAL_MS = 2_000;
const REFUSAL_CHARACTERS = 64 * 1024;

/** The server sends something, at least a ping, more often than this. */
const SILENT_MS = 60_000;

export async function connectWebSocket(
  url: string,
  headers: Readonly<Record<string, string>>,
): Promise<FrameConnection> {
  if (!/^wss?:\/\//.test(url) || !URL.canParse(url))
    throw invalid(`${JSON.stringify(url)} is no address: ws://host:port`);
  const socket = new WebSocket(url, {
    headers,
    handshakeTimeout: HANDSHAKE_MS,
    maxPayload: 2 * BODY_BYTES,
    perMessageDeflate: false,
  });
  const received: Frame[] = [];
  let wake = () => {};
  let isEnded = false;
  socket.on("message", (data: Buffer) => {
    const frame = decodeFrame(data.toString());
    if (frame !== undefined) received.push(frame);
    wake();
  });
  const silence = setTimeout(() => socket.terminate(), SILENT_MS);
  for (const sign of ["message", "ping", "pong"] as const) socket.on(sign, () => silence.refresh());
  const closed = new Promise<void>((resolve) => {
    socket.once("close", () => {
      clearTimeout(silence);
      isEnded = true;
      wake();
      resolve();
    });
  });
  await new Promise<void>((resolve, reject) => {
    socket.once("open", resolve);
    socket.once("error", (error) => reject(unreachableError(url, error)));
    socket.once("unexpected-response", async (_, response) => {
      reject(refusalError(url, response.statusCode ?? 0, await readBeginning(response)));
      socket.terminate();
    });
  });
  socket.on("error", () => {});

  async function* frames(): AsyncGenerator<Frame, void, void> {
    for (;;) {
      for (let next = received.shift(); next !== undefined; next = received.shift()) yield next;
      if (isEnded) return;
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

/** Reads the beginning of a refusal, which may be a sentence. */
async function readBeginning(response: IncomingMessage): Promise<string> {
  const late = setTimeout(() => response.destroy(), REFUSAL_MS);
  let text = "";
  try {
    for await (const chunk of response.setEncoding("utf8")) {
      text += chunk;
      if (text.length > REFUSAL_CHARACTERS) break;
    }
  } catch {
    // The body read so far is enough.
  } finally {
    clearTimeout(late);
  }
  return text;
}

/** Our servers explain a refusal; of other servers and proxies only the status is known. */
function refusalError(url: string, status: number, text: string): IpcError {
  const { error, code, reason } = decodeFrame(text) ?? {};
  const known = errorCodes.find((one) => one === code) ?? (status >= 500 ? "internal" : "unauthorized");
  const why = typeof error === "string" && error !== "" ? error : `it answers with status ${status}`;
  const busy = status === 502 || status === 503 || status === 504 ? "busy" : undefined;
  return new IpcError(known, `${url} refuses: ${why}`, reasons.find((one) => one === reason) ?? busy);
}

function unreachableError(url: string, cause: Error): IpcError {
  return new IpcError("internal", `No server answers at ${url} (${cause.message})`, "busy", { cause });
}
