import { IpcError, isIpcError } from "../../core/errors.ts";
import { mailboxOf } from "../../core/names.ts";
import type { SignedMessage, Stamp } from "../../core/signature.ts";
import { createStamp } from "../../core/stamp.ts";

export type Frame = Readonly<Record<string, unknown>>;

/** What a WebSocket client gives: frames there, frames back. */
export interface Talk extends AsyncDisposable {
  send(frame: Frame): void;
  readonly frames: AsyncIterable<Frame>;
}

/** Connects, and shows who this is where the server wants to know. */
export type Dial = () => Promise<Talk>;

/** Signs a message, for who has a key. */
export type SignMessage = (message: SignedMessage, stamp: Stamp) => string;

/** A message on its way: sent again under the same stamp when a connection breaks, so that it is stored once. */
export interface Outgoing {
  readonly id: string;
  readonly to: string;
  readonly frame: Frame;
}

/** Asks a server for one thing that it answers. */
export async function answerTo(talk: Talk, frames: AsyncIterator<Frame>, ask: string): Promise<unknown> {
  talk.send({ type: "ask", id: ask, ask });
  for (;;) {
    const { value, done } = await frames.next();
    if (done) throw hungUp();
    if (value.type === "error") throw refusal(value);
    if (value.type === "answer" && value.id === ask) return value.answer;
  }
}

/** Learns whose bus a server's is, so that what is sent can be sent again. */
export async function audienceOf(talk: Talk, frames: AsyncIterator<Frame>): Promise<string> {
  const health = await answerTo(talk, frames, "health");
  return typeof health === "object" && health !== null && "did" in health ? String(health.did) : "";
}

export interface Writing {
  readonly from: string;
  readonly to: string;
  readonly message: string;
}

export function outgoing({ from, to, message }: Writing, audience: string, sign: SignMessage | undefined): Outgoing {
  const stamp = createStamp(audience, Date.now());
  const signature = sign?.({ channel: mailboxOf(to), sender: from, content: message }, stamp);
  const signed = signature === undefined ? {} : { signature };
  return {
    id: stamp.nonce,
    to,
    frame: { type: "message", id: stamp.nonce, from, to, message, v: 2, ...stamp, ...signed },
  };
}

/** What a server refused, in its words. */
export function refusal({ error }: Frame): IpcError {
  return new IpcError("conflict", typeof error === "string" ? error : "The server refused");
}

export function hungUp(): IpcError {
  return new IpcError("internal", "The server closed the connection", "busy");
}

export function isPassing(error: unknown): boolean {
  return isIpcError(error) && error.reason === "busy";
}
