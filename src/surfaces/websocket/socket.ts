import type { WebSocket } from "ws";
import { monotonicMs } from "../../core/time.ts";
import type { Frame } from "./frames.ts";

/** Who has so much to read is behind: nothing more is asked of it. */
const BEHIND_BYTES = 1024 * 1024;

/** Whoever says nothing, takes nothing and answers no ping for so long is gone. */
export const SILENT_MS = 30_000;

const CHECK_MS = 1_000;

/** A WebSocket that knows how far the other end has come. */
export interface Line {
  send(frame: Frame): void;
  /** Whether the other end answers a ping that stands behind everything sent so far; false once it is gone. */
  confirm(patience?: number): Promise<boolean>;
  isBehind(): boolean;
  /** Ends as soon as it isn't behind any more. */
  flowing(): Promise<void>;
  readonly isOpen: boolean;
}

interface Asked {
  readonly number: number;
  readonly settle: (answered: boolean) => void;
}

export function lineOver(socket: WebSocket): Line {
  const asked: Asked[] = [];
  let number = 0;
  let flowing: (() => void)[] = [];

  const drained = () => {
    if (socket.bufferedAmount > BEHIND_BYTES && socket.readyState === socket.OPEN) return;
    const waiting = flowing;
    flowing = [];
    for (const go of waiting) go();
  };

  socket.on("pong", (data: Buffer) => {
    // One answer may stand for several pings: what came before is answered, too.
    const answered = Number(data.toString());
    while (asked[0] !== undefined && asked[0].number <= answered) asked.shift()?.settle(true);
  });
  socket.once("close", () => {
    for (const { settle } of asked.splice(0)) settle(false);
    drained();
  });

  return {
    send: (frame) => {
      if (socket.readyState === socket.OPEN) socket.send(JSON.stringify(frame), drained);
    },
    confirm: (patience = SILENT_MS) =>
      new Promise((resolve) => {
        if (socket.readyState !== socket.OPEN) return resolve(false);
        let left = socket.bufferedAmount;
        let since = monotonicMs();
        const check = setInterval(
          () => {
            if (socket.bufferedAmount < left) since = monotonicMs();
            left = socket.bufferedAmount;
            if (monotonicMs() - since >= patience) settle(false);
          },
          Math.min(CHECK_MS, patience),
        );
        const settle = (answered: boolean) => {
          clearInterval(check);
          resolve(answered);
        };
        asked.push({ number: ++number, settle });
        socket.ping(String(number));
      }),
    isBehind: () => socket.bufferedAmount > BEHIND_BYTES,
    flowing: () =>
      new Promise((resolve) => {
        flowing.push(resolve);
        drained();
      }),
    get isOpen() {
      return socket.readyState === socket.OPEN;
    },
  };
}
