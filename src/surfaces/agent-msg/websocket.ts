import { conflict, IpcError, isIpcError } from "../../core/errors.ts";
import { mailboxOf } from "../../core/names.ts";
import { createStamp, type SignedMessage, type Stamp } from "../../core/signature.ts";
import { monotonicMs } from "../../core/time.ts";
import type { Frame, FrameConnection } from "../../wire/frames.ts";
import { type Letter, type NewLetter, textOf } from "./folder.ts";

/** Connects to a server, with proof of the agent's identity where the server asks for it. */
export type Dial = () => Promise<FrameConnection>;

export type SignMessage = (message: SignedMessage, stamp: Stamp) => string;

/** A message on its way. After a lost connection the same frame is sent again: by its stamp the server stores it once. */
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

/** Asks a server a question of one word. */
export async function askServer(
  connection: FrameConnection,
  frames: AsyncIterator<Frame>,
  question: string,
): Promise<unknown> {
  connection.send({ type: "ask", id: question, ask: question });
  const { answer } = await receive(frames, ["answer"], question);
  return answer;
}

/** Asks for the DID of the server's bus, which is a part of every stamp. */
export async function askAudience(connection: FrameConnection, frames: AsyncIterator<Frame>): Promise<string> {
  const health = await askServer(connection, frames, "health");
  return typeof health === "object" && health !== null && "did" in health ? String(health.did) : "";
}

/** Receives frames until one of these types comes with this id. An error about it, or about the connection, is thrown. */
async function receive(frames: AsyncIterator<Frame>, types: readonly string[], id?: string): Promise<Frame> {
  for (;;) {
    const { value, done } = await frames.next();
    if (done) throw new IpcError("internal", "The server closed the connection", "busy");
    if (value.type === "error" && (value.id === id || value.id === undefined)) throw refusal(value);
    if (value.id === id && types.includes(String(value.type))) return value;
  }
}

/** The error in an error frame. */
export function refusal({ error }: Frame): IpcError {
  return new IpcError("conflict", typeof error === "string" ? error : "The server refused");
}

/** Whether another attempt may succeed. */
export function isTemporary(error: unknown): boolean {
  return isIpcError(error) && error.reason === "busy";
}

export interface Sending extends NewLetter {
  /** Whether only a delivered message counts as sent. */
  readonly wait: boolean;
  /** The time for the server's answer, and again for the delivery. */
  readonly milliseconds: number;
  readonly sign: SignMessage | undefined;
}

const ANSWER_MS = 30_000;

/** A connected agent gets its message within this time, or not soon. */
const DELIVERY_MS = 2_000;

/** Sends one message. Returns a sentence about what became of it. */
export async function sendByWebSocket(dial: Dial, { wait, milliseconds, sign, ...letter }: Sending): Promise<string> {
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

/** Asks whether an agent is connected, and measures how long the answer took. */
export async function pingAgent(
  dial: Dial,
  agent: string,
): Promise<{ readonly isOnline: boolean; readonly milliseconds: number }> {
  await using connection = await dial();
  const started = monotonicMs();
  connection.send({ type: "ping", id: "ping", agent });
  const pong = await orTimeout(receive(connection.frames[Symbol.asyncIterator](), ["pong"], "ping"), ANSWER_MS);
  if (pong === undefined) throw conflict("The server did not answer in that time");
  if (typeof pong.online !== "boolean") throw conflict("This server can't tell who is connected");
  return { isOnline: pong.online, milliseconds: Math.max(1, Math.round(monotonicMs() - started)) };
}

/** Undefined when the time is up. */
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
  /** Called with each message, which is consumed once this has finished. */
  onMessage(letter: Letter): unknown;
  /** Called with whatever the server refuses later. */
  onError(sentence: string): void;
}

/** Connects as an agent and receives its messages until either end closes. */
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
    await onMessage({
      id: textOf(frame, "id"),
      from: textOf(frame, "from"),
      to: textOf(frame, "to"),
      message: textOf(frame, "message"),
      timestamp: textOf(frame, "timestamp"),
    });
    connection.send({ type: "received", id: frame.id });
  }
}
