import { conflict, IpcError, isIpcError } from "../../core/errors.ts";
import { mailboxOf } from "../../core/names.ts";
import { createStamp, type SignedMessage, type Stamp } from "../../core/signature.ts";
import { monotonicMs } from "../../core/time.ts";
import type { Frame, FrameConnection } from "../../wire/frames.ts";
import { type Letter, letterOf, type NewLetter } from "./folder.ts";

/** Connects to a server, and proves the agent's identity where the server requires it. */
export type Dial = () => Promise<FrameConnection>;

export type SignMessage = (message: SignedMessage, stamp: Stamp) => string;

/** After a lost connection the same frame is sent again. By its stamp, the server stores it only once. */
export interface OutgoingMessage {
  readonly id: string;
  readonly to: string;
  readonly frame: Frame;
}

export function createOutgoing(
  { from, to, message }: NewLetter,
  audience: string,
  sign: SignMessage | undefined,
): OutgoingMessage {
  const stamp = createStamp(audience, Date.now());
  const signature = sign?.({ channel: mailboxOf(to), sender: from, content: message }, stamp);
  const signed = signature === undefined ? {} : { signature };
  return {
    id: stamp.nonce,
    to,
    frame: { type: "message", id: stamp.nonce, from, to, message, v: 2, ...stamp, ...signed },
  };
}

export async function askServer(
  connection: FrameConnection,
  frames: AsyncIterator<Frame>,
  question: string,
): Promise<unknown> {
  connection.send({ type: "ask", id: question, ask: question });
  const { answer } = await receive(frames, ["answer"], question);
  return answer;
}

/** Asks for the DID of the server's bus, which is part of every stamp. */
export async function askAudience(connection: FrameConnection, frames: AsyncIterator<Frame>): Promise<string> {
  const health = await askServer(connection, frames, "health");
  return typeof health === "object" && health !== null && "did" in health ? String(health.did) : "";
}

/** Skips frames until one has this id and one of these types. Throws an error about the id or the connection. */
async function receive(frames: AsyncIterator<Frame>, types: readonly string[], id?: string): Promise<Frame> {
  for (;;) {
    const { value, done } = await frames.next();
    if (done) throw new IpcError("internal", "The server closed the connection", "busy");
    if (value.type === "error" && (value.id === id || value.id === undefined)) throw refusal(value);
    if (value.id === id && types.includes(String(value.type))) return value;
  }
}

export function refusal({ error }: Frame): IpcError {
  return new IpcError("conflict", typeof error === "string" ? error : "The server refused");
}

export function isTemporary(error: unknown): boolean {
  return isIpcError(error) && error.reason === "busy";
}

interface SendOptions extends NewLetter {
  /** Whether to fail unless the message is delivered in time. */
  readonly wait: boolean;
  /** The timeout for the server's answer, and again for the delivery. */
  readonly milliseconds: number;
  readonly sign: SignMessage | undefined;
}

const ANSWER_MS = 30_000;

/** A connected agent usually gets its message within this time. */
const DELIVERY_MS = 2_000;

/** Returns a sentence that reports the outcome. */
export async function sendByWebSocket(
  dial: Dial,
  { wait, milliseconds, sign, ...letter }: SendOptions,
): Promise<string> {
  const { to } = letter;
  await using connection = await dial();
  const frames = connection.frames[Symbol.asyncIterator]();
  const { id, frame } = createOutgoing(letter, await askAudience(connection, frames), sign);
  connection.send(frame);
  const stored = await orTimeout(receive(frames, ["stored", "delivered"], id), Math.max(milliseconds, ANSWER_MS));
  if (stored === undefined) throw conflict("The server did not answer in that time; the message may have been sent");
  if (stored.type === "delivered") return `✓ Delivered to ${to}`;
  const patience = wait ? milliseconds : stored.connected === true ? DELIVERY_MS : 0;
  const delivered = patience > 0 ? await orTimeout(receive(frames, ["delivered"], id), patience) : undefined;
  if (delivered !== undefined) return `✓ Delivered to ${to}`;
  const kept = `kept until ${to} takes it`;
  if (wait) throw conflict(`Not delivered in ${milliseconds / 1_000} seconds; message ${stored.message_id} is ${kept}`);
  return `✓ Message sent to ${to} (${stored.message_id}), ${kept}`;
}

/** Asks whether an agent is connected, and measures the response time. */
export async function pingAgent(dial: Dial, agent: string) {
  await using connection = await dial();
  const started = monotonicMs();
  connection.send({ type: "ping", id: "ping", agent });
  const pong = await orTimeout(receive(connection.frames[Symbol.asyncIterator](), ["pong"], "ping"), ANSWER_MS);
  if (pong === undefined) throw conflict("The server did not answer in that time");
  if (typeof pong.online !== "boolean") throw conflict("This server can't tell who is connected");
  return { isOnline: pong.online, milliseconds: Math.max(1, Math.round(monotonicMs() - started)) };
}

/** Resolves to undefined at the timeout. */
async function orTimeout<T>(promise: Promise<T>, milliseconds: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, milliseconds, undefined);
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

export interface Listener extends AsyncDisposable {
  readonly isOpen: boolean;
  send(to: string, message: string): void;
}

export interface ListenerSettings {
  readonly agent: string;
  readonly dial: Dial;
  readonly sign: SignMessage | undefined;
  /** A message is consumed once this has finished. */
  onMessage(letter: Letter): unknown;
  /** Called with each later error. */
  onError(sentence: string): void;
}

/** Receives an agent's messages until either end closes. */
export async function openListener(settings: ListenerSettings): Promise<Listener> {
  const { agent, dial, sign, onError } = settings;
  const connection = await dial();
  try {
    const frames = connection.frames[Symbol.asyncIterator]();
    const audience = await askAudience(connection, frames);
    connection.send({ type: "register", agent, ack: "manual" });
    await receive(frames, ["registered"]);
    let isOpen = true;
    receiveLetters(connection, frames, settings)
      .catch((error: unknown) => onError(error instanceof Error ? error.message : String(error)))
      .finally(() => {
        isOpen = false;
        void connection[Symbol.asyncDispose]();
      });
    return {
      send: (to, message) => connection.send(createOutgoing({ from: agent, to, message }, audience, sign).frame),
      get isOpen() {
        return isOpen;
      },
      [Symbol.asyncDispose]: async () => connection[Symbol.asyncDispose](),
    };
  } catch (error) {
    await connection[Symbol.asyncDispose]();
    throw error;
  }
}

async function receiveLetters(
  connection: FrameConnection,
  frames: AsyncIterator<Frame>,
  { onMessage, onError }: ListenerSettings,
): Promise<void> {
  for (let next = await frames.next(); !next.done; next = await frames.next()) {
    const frame = next.value;
    if (frame.type === "error") onError(refusal(frame).message);
    if (frame.type !== "message") continue;
    await onMessage(letterOf(frame));
    connection.send({ type: "received", id: frame.id });
  }
}
