import { elapsed } from "../../core/clock.ts";
import { conflict, IpcError } from "../../core/errors.ts";
import { audienceOf, type Dial, type Frame, outgoing, refusal } from "./conversation.ts";

export interface Sending {
  readonly from: string;
  readonly to: string;
  readonly message: string;
  /** Not done before it was delivered. */
  readonly wait: boolean;
  readonly milliseconds: number;
}

/** Whoever is connected takes it in less, or not soon. */
const SOON_MS = 2_000;

/** Sends one message. Answers with what became of it. */
export async function sendOnce(dial: Dial, { from, to, message, wait, milliseconds }: Sending): Promise<string> {
  await using talk = await dial();
  const frames = talk.frames[Symbol.asyncIterator]();
  const { id, frame } = outgoing(from, to, message, await audienceOf(talk, frames));
  talk.send(frame);
  const stored = await next(frames, id, ["stored", "delivered"], milliseconds);
  if (stored === undefined) throw conflict("The server did not answer in that time; the message may have been sent");
  if (stored.type === "delivered") return `✓ Delivered to ${to}`;
  const patience = wait ? milliseconds : stored.connected === true ? SOON_MS : 0;
  const delivered = patience > 0 ? await next(frames, id, ["delivered"], patience) : undefined;
  if (delivered !== undefined) return `✓ Delivered to ${to}`;
  const kept = `kept until ${to} takes it`;
  if (wait) throw conflict(`Not delivered in that time; message ${stored.message_id} is ${kept}`);
  return `✓ Message sent to ${to} (${stored.message_id}), ${kept}`;
}

/** Whether an agent is connected now. */
export async function isOnline(dial: Dial, agent: string, milliseconds: number): Promise<boolean> {
  await using talk = await dial();
  talk.send({ type: "ping", id: "ping", agent });
  const pong = await next(talk.frames[Symbol.asyncIterator](), "ping", ["pong"], milliseconds);
  if (pong === undefined) throw conflict("The server did not answer in that time");
  if (typeof pong.online !== "boolean") throw conflict("This server can't tell who is connected");
  return pong.online;
}

/** The next frame of these types about something; undefined when the time is up. */
async function next(
  frames: AsyncIterator<Frame>,
  id: string,
  types: readonly string[],
  milliseconds: number,
): Promise<Frame | undefined> {
  const end = elapsed() + milliseconds;
  for (;;) {
    const left = Math.max(0, end - elapsed());
    const came = await Promise.race([
      frames.next(),
      new Promise<undefined>((resolve) => setTimeout(resolve, left, undefined)),
    ]);
    if (came === undefined) return undefined;
    if (came.done) throw new IpcError("internal", "The server closed the connection", "busy");
    const { value } = came;
    if (value.type === "error" && (value.id === id || value.id === undefined)) throw refusal(value);
    if (value.id === id && types.includes(String(value.type))) return value;
  }
}
