import { audienceOf, type Dial, type Frame, hungUp, outgoing, refusal, type SignMessage } from "./conversation.ts";
import { type Letter, textOf } from "./folder.ts";

export interface Listening {
  send(to: string, message: string): void;
  readonly isOpen: boolean;
  close(): Promise<void>;
}

export interface Listener {
  readonly agent: string;
  readonly dial: Dial;
  readonly sign: SignMessage | undefined;
  /** Given each message; it is consumed once this is done with it. */
  hear(letter: Letter): unknown;
  /** Told of what the server refuses later. */
  failed(sentence: string): void;
}

/** Connects under a name; from then on messages are heard as they come, until either end closes. */
export async function listen({ agent, dial, sign, hear, failed }: Listener): Promise<Listening> {
  const talk = await dial();
  try {
    const frames = talk.frames[Symbol.asyncIterator]();
    const audience = await audienceOf(talk, frames);
    talk.send({ type: "register", agent, ack: "manual" });
    await registered(frames);
    let isOpen = true;
    const listening = async () => {
      for (let next = await frames.next(); !next.done; next = await frames.next()) {
        const frame = next.value;
        if (frame.type === "error") failed(refusal(frame).message);
        if (frame.type !== "message") continue;
        await hear(letterIn(frame));
        talk.send({ type: "received", id: frame.id });
      }
    };
    listening()
      .catch((error: unknown) => failed(error instanceof Error ? error.message : String(error)))
      .finally(() => {
        isOpen = false;
        void talk[Symbol.asyncDispose]();
      });
    return {
      send: (to, message) => talk.send(outgoing({ from: agent, to, message }, audience, sign).frame),
      get isOpen() {
        return isOpen;
      },
      close: async () => talk[Symbol.asyncDispose](),
    };
  } catch (error) {
    await talk[Symbol.asyncDispose]();
    throw error;
  }
}

async function registered(frames: AsyncIterator<Frame>): Promise<void> {
  for (;;) {
    const { value, done } = await frames.next();
    if (done) throw hungUp();
    if (value.type === "error") throw refusal(value);
    if (value.type === "registered") return;
  }
}

function letterIn(frame: Frame): Letter {
  return {
    id: textOf(frame, "id"),
    from: textOf(frame, "from"),
    to: textOf(frame, "to"),
    message: textOf(frame, "message"),
    timestamp: textOf(frame, "timestamp"),
  };
}
