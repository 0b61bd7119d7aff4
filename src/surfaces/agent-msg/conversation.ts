import { IpcError, isIpcError } from "../../core/errors.ts";
import { createStamp } from "../../core/stamp.ts";

export type Frame = Readonly<Record<string, unknown>>;

/** What a WebSocket client gives: frames there, frames back. */
export interface Talk extends AsyncDisposable {
  send(frame: Frame): void;
  readonly frames: AsyncIterable<Frame>;
}

export type Dial = () => Promise<Talk>;

/** A message on its way: sent again under the same stamp when a connection breaks, so that it is stored once. */
export interface Outgoing {
  readonly id: string;
  readonly to: string;
  readonly frame: Frame;
}

/** Learns whom a server's bus is, so that what is sent can be sent again. Other frames that come before are handed on. */
export async function audienceOf(talk: Talk, frames: AsyncIterator<Frame>): Promise<string> {
  talk.send({ type: "ask", id: "health", ask: "health" });
  for (;;) {
    const { value, done } = await frames.next();
    if (done) throw new IpcError("internal", "The server closed the connection", "busy");
    if (value.type === "error") throw refusal(value);
    if (value.type !== "answer" || value.id !== "health") continue;
    const { answer } = value;
    return typeof answer === "object" && answer !== null && "did" in answer ? String(answer.did) : "";
  }
}

export function outgoing(from: string, to: string, message: string, audience: string): Outgoing {
  const stamp = createStamp(audience, Date.now());
  const id = stamp.nonce;
  return { id, to, frame: { type: "message", id, from, to, message, v: 2, ...stamp } };
}

/** What a server refused, in its words. */
export function refusal({ error }: Frame): IpcError {
  return new IpcError("conflict", typeof error === "string" ? error : "The server refused");
}

export function isPassing(error: unknown): boolean {
  return isIpcError(error) && error.reason === "busy";
}
