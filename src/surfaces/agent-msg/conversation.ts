import { conflict, IpcError, isIpcError } from "../../core/errors.ts";
import { mailboxOf } from "../../core/names.ts";
import { createStamp, type SignedMessage, type Stamp } from "../../core/signature.ts";
import { monotonicMs } from "../../core/time.ts";

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

export interface Sending extends Writing {
  /** Not done before it was delivered. */
  readonly wait: boolean;
  /** For an answer, and for that. */
  readonly milliseconds: number;
  readonly sign: SignMessage | undefined;
}

const ANSWER_MS = 30_000;

/** Whoever is connected takes it in less, or not soon. */
const SOON_MS = 2_000;

/** Sends one message. Answers with what became of it. */
export async function sendOnce(dial: Dial, { wait, milliseconds, sign, ...message }: Sending): Promise<string> {
  const { to } = message;
  await using talk = await dial();
  const frames = talk.frames[Symbol.asyncIterator]();
  const { id, frame } = outgoing(message, await audienceOf(talk, frames), sign);
  talk.send(frame);
  const stored = await next(frames, id, ["stored", "delivered"], Math.max(milliseconds, ANSWER_MS));
  if (stored === undefined) throw conflict("The server did not answer in that time; the message may have been sent");
  if (stored.type === "delivered") return `✓ Delivered to ${to}`;
  const patience = wait ? milliseconds : stored.connected === true ? SOON_MS : 0;
  const delivered = patience > 0 ? await next(frames, id, ["delivered"], patience) : undefined;
  if (delivered !== undefined) return `✓ Delivered to ${to}`;
  const kept = `kept until ${to} takes it`;
  if (wait) throw conflict(`Not delivered in ${milliseconds / 1_000} seconds; message ${stored.message_id} is ${kept}`);
  return `✓ Message sent to ${to} (${stored.message_id}), ${kept}`;
}

/** Whether an agent is connected now, and how long the server took to say so. */
export async function presenceOf(
  dial: Dial,
  agent: string,
): Promise<{ readonly online: boolean; readonly ms: number }> {
  await using talk = await dial();
  const started = monotonicMs();
  talk.send({ type: "ping", id: "ping", agent });
  const pong = await next(talk.frames[Symbol.asyncIterator](), "ping", ["pong"], ANSWER_MS);
  if (pong === undefined) throw conflict("The server did not answer in that time");
  if (typeof pong.online !== "boolean") throw conflict("This server can't tell who is connected");
  return { online: pong.online, ms: Math.max(1, Math.round(monotonicMs() - started)) };
}

/** The next frame of these types about something; undefined when the time is up. */
async function next(
  frames: AsyncIterator<Frame>,
  id: string,
  types: readonly string[],
  milliseconds: number,
): Promise<Frame | undefined> {
  const end = monotonicMs() + milliseconds;
  for (;;) {
    const came = await within(frames.next(), Math.max(0, end - monotonicMs()));
    if (came === undefined) return undefined;
    if (came.done) throw hungUp();
    const { value } = came;
    if (value.type === "error" && (value.id === id || value.id === undefined)) throw refusal(value);
    if (value.id === id && types.includes(String(value.type))) return value;
  }
}

async function within<T>(promise: Promise<T>, milliseconds: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, milliseconds, undefined);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
