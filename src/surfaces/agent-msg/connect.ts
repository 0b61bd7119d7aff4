import { createInterface } from "node:readline";
import {
  audienceOf,
  type Dial,
  type Frame,
  isPassing,
  type Outgoing,
  outgoing,
  refusal,
  type Talk,
} from "./conversation.ts";

export interface Connecting {
  readonly agent: string;
  readonly url: string;
  readonly dial: Dial;
  readonly print: (text: string) => void;
  readonly note: (text: string) => void;
  readonly typed: NodeJS.ReadableStream;
  readonly signal: AbortSignal;
}

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;

/** Prints what comes for an agent, and sends what is typed: `NAME what to tell it`. Connects again when it has to. */
export async function connect(connecting: Connecting): Promise<void> {
  const { agent, url, dial, print, note, signal } = connecting;
  const waiting = new Map<string, Outgoing>();
  const kept = new Set<string>();
  const typed: [string, string][] = [];
  let current: { readonly talk: Talk; readonly audience: string } | undefined;
  let reached = false;
  let pause = FIRST_PAUSE_MS;

  const sendTyped = () => {
    if (current === undefined) return;
    for (const [to, text] of typed.splice(0)) {
      const message = outgoing(agent, to, text, current.audience);
      waiting.set(message.id, message);
      current.talk.send(message.frame);
    }
  };

  const lines = createInterface({ input: connecting.typed });
  lines.on("line", (line) => {
    const [, to, text] = /^\s*(\S+)\s+(.*\S)\s*$/.exec(line) ?? [];
    if (to === undefined || text === undefined) {
      if (line.trim() !== "") note("Type a name and a message: agent-b Hello");
      return;
    }
    typed.push([to, text]);
    sendTyped();
  });

  const forget = (id: string): void => {
    waiting.delete(id);
    kept.delete(id);
  };

  const hear = (frame: Frame): void => {
    const sent = waiting.get(String(frame.id));
    switch (frame.type) {
      case "registered":
        print(`✓ Connected to ${url} as ${agent}`);
        pause = FIRST_PAUSE_MS;
        return;
      case "message":
        print(`[${frame.from} at ${frame.timestamp}]: ${frame.message}`);
        // Only now: what couldn't be printed comes again.
        current?.talk.send({ type: "received", id: frame.id });
        return;
      case "stored":
        if (sent !== undefined && frame.connected !== true && !kept.has(sent.id)) {
          kept.add(sent.id);
          print(`… kept for ${sent.to}, who is away`);
        }
        return;
      case "delivered":
        if (sent !== undefined) print(`✓ Delivered to ${sent.to}`);
        forget(String(frame.id));
        return;
      case "error":
        if (frame.id === undefined) throw refusal(frame);
        note(`Error: ${refusal(frame).message}`);
        forget(String(frame.id));
        return;
    }
  };

  const converse = async (): Promise<void> => {
    await using talk = await dial();
    const hangUp = () => void talk[Symbol.asyncDispose]();
    signal.addEventListener("abort", hangUp, { once: true });
    try {
      const frames = talk.frames[Symbol.asyncIterator]();
      const audience = await audienceOf(talk, frames);
      reached = true;
      current = { talk, audience };
      talk.send({ type: "register", agent, ack: "manual" });
      for (const { frame } of waiting.values()) talk.send(frame);
      sendTyped();
      for (let next = await frames.next(); !next.done; next = await frames.next()) hear(next.value);
    } finally {
      current = undefined;
      signal.removeEventListener("abort", hangUp);
    }
  };

  try {
    while (!signal.aborted) {
      try {
        await converse();
      } catch (error) {
        if (signal.aborted) return;
        if (!reached || !isPassing(error)) throw error;
      }
      if (signal.aborted) return;
      if (pause === FIRST_PAUSE_MS) note("The connection is lost; trying again");
      await sleep(pause, signal);
      pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
    }
  } finally {
    lines.close();
  }
}

function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds * (0.5 + Math.random()));
    signal.addEventListener("abort", () => resolve(clearTimeout(timer)), { once: true });
  });
}
