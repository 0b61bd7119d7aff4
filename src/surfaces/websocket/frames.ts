import { publicError } from "../../core/errors.ts";
import type { Message } from "../../core/messages.ts";

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

export function messagesIn(answer: unknown): readonly Message[] {
  if (!isFrame(answer)) return [];
  const found = answer.messages ?? (answer.message === undefined ? [] : [answer.message]);
  return Array.isArray(found) ? found.filter(isMessage) : [];
}

function isMessage(value: unknown): value is Message {
  return isFrame(value) && typeof value.id === "number" && typeof value.content === "string";
}

export function isFrame(value: unknown): value is Frame {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
