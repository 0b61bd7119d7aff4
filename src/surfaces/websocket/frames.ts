import type { Duplex } from "node:stream";
import type { WebSocket } from "ws";
import { publicError } from "../../core/errors.ts";
import type { Message } from "../../core/messages.ts";
import type { BufferBudget } from "../../server/budget.ts";

export type Frame = Readonly<Record<string, unknown>>;

/** A frame's object; undefined where it is none. */
export function frameIn(text: string): Frame | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isFrame(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** A message as its recipient gets it. */
export function messageFrame(to: string, { id, sender, content, timestamp, signed, attested }: Message): Frame {
  return {
    type: "message",
    id,
    from: sender,
    to,
    message: content,
    timestamp: new Date(timestamp * 1_000).toISOString(),
    ...(signed ? { signed } : {}),
    ...(attested ? { attested } : {}),
  };
}

export function errorFrame(error: unknown, id: unknown): Frame {
  const { code, message, reason } = publicError(error);
  return { type: "error", id, error: message, code, reason };
}

export function isFrame(value: unknown): value is Frame {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const TRY_AGAIN = 1013;

/** Counts what comes of a frame that isn't whole yet; too much of such from all connections ends those who send it. */
export function boundPartial(socket: WebSocket, raw: Duplex, room: BufferBudget): void {
  let held = 0;
  socket.on("message", () => {
    held = 0;
  });
  raw.on("data", (bytes: Buffer) => {
    held += bytes.length;
    if (!room.hold(socket, held, () => {})) socket.close(TRY_AGAIN, "too many large messages are on their way");
  });
}
