import type { Message } from "../../core/messages.ts";
import type { Frame } from "../../wire/frames.ts";

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

export function answerFrame(id: unknown, { ok, ...fields }: Frame): Frame {
  return ok === true ? { type: "answer", id, ok, ...fields } : { type: "error", id, ...fields };
}
