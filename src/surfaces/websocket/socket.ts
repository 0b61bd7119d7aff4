import type { Duplex } from "node:stream";
import type { WebSocket } from "ws";
import { monotonicMs } from "../../core/time.ts";
import type { Frame } from "../../wire/frames.ts";

/** Reading pauses for a client that leaves more than this unread. */
const BEHIND_BYTES = 1024 * 1024;

/** A client that sends nothing, reads nothing and answers no ping for this long is gone. */
const SILENT_MS = 30_000;

const CHECK_MS = 1_000;

/** A WebSocket that knows how much its client has read. */
export interface FrameSocket {
  isOpen(): boolean;
  /** Bytes of an incomplete frame, at most: the last piece of a complete one may count, too. */
  partialBytes(): number;
  send(frame: Frame): void;
  /** Resolves to whether the client answers a ping sent after everything so far; false once it is gone. */
  confirm(patienceMs?: number): Promise<boolean>;
  isBehind(): boolean;
  /** Resolves as soon as the client has caught up. */
  flows(): Promise<void>;
  pause(): void;
  resume(): void;
}

/** Calls `onFlowing` while the socket is paused, whenever the client has caught up. */
export function createFrameSocket(socket: WebSocket, raw: Duplex, onFlowing: () => void): FrameSocket {
  let waiting: (() => void)[] = [];
  let partialBytes = 0;

  const isOpen = () => socket.readyState === socket.OPEN;
  const isBehind = () => socket.bufferedAmount > BEHIND_BYTES;

  const onDrained = () => {
    if (isBehind() && isOpen()) return;
    const released = waiting;
    waiting = [];
    for (const release of released) release();
    if (socket.isPaused) onFlowing();
  };

  socket.on("message", () => {
    partialBytes = 0;
  });
  raw.on("data", (bytes: Buffer) => {
    partialBytes += bytes.length;
  });
  socket.once("close", onDrained);

  return {
    isOpen,
    partialBytes: () => partialBytes,
    send(frame) {
      if (isOpen()) socket.send(JSON.stringify(frame), onDrained);
    },
    confirm: createConfirm(socket),
    isBehind,
    flows: () =>
      new Promise((resolve) => {
        waiting.push(resolve);
        onDrained();
      }),
    pause: () => socket.pause(),
    resume() {
      if (socket.isPaused) socket.resume();
    },
  };
}

interface Ping {
  readonly number: number;
  readonly patienceMs: number;
  readonly sentMs: number;
  readonly settle: (isAnswered: boolean) => void;
}

/** Sends numbered pings, and gives up on those whose client neither answers nor reads. */
function createConfirm(socket: WebSocket): FrameSocket["confirm"] {
  let pings: Ping[] = [];
  let number = 0;
  let unreadBytes = 0;
  let lastReadMs = 0;
  let timer: NodeJS.Timeout | undefined;

  const settleWhere = (isSettled: (ping: Ping) => boolean, isAnswered: boolean): void => {
    const settled = pings.filter(isSettled);
    if (settled.length > 0) pings = pings.filter((ping) => !settled.includes(ping));
    for (const { settle } of settled) settle(isAnswered);
    if (pings.length > 0) return;
    clearInterval(timer);
    timer = undefined;
  };

  const check = () => {
    const now = monotonicMs();
    if (socket.bufferedAmount < unreadBytes) lastReadMs = now;
    unreadBytes = socket.bufferedAmount;
    settleWhere(({ sentMs, patienceMs }) => now - Math.max(sentMs, lastReadMs) >= patienceMs, false);
  };

  socket.on("pong", (data: Buffer) => {
    // A pong also answers earlier pings.
    const answered = Number(data.toString());
    settleWhere((ping) => ping.number <= answered, true);
  });
  socket.once("close", () => settleWhere(() => true, false));

  return (patienceMs = SILENT_MS) =>
    new Promise((resolve) => {
      if (socket.readyState !== socket.OPEN) return resolve(false);
      timer ??= setInterval(check, CHECK_MS);
      pings.push({ number: ++number, patienceMs, sentMs: monotonicMs(), settle: resolve });
      socket.ping(String(number));
    });
}

/** Pings a silent client this often, and ends its connection if it hasn't answered by the next time. */
const HEARTBEAT_MS = 25_000;

/** Returns a function that ends a connection when its client vanishes. One timer serves all of them. */
export function createHeartbeat(): (socket: WebSocket) => void {
  const alive = new Map<WebSocket, boolean>();
  let timer: NodeJS.Timeout | undefined;

  const beat = () => {
    for (const [socket, isAlive] of alive) {
      // A paused client can't be heard, unless it is behind itself.
      if (!isAlive && (!socket.isPaused || socket.bufferedAmount > 0)) {
        socket.terminate();
        continue;
      }
      alive.set(socket, false);
      // No confirmation has this number.
      socket.ping("0");
    }
  };

  return (socket) => {
    const noteLife = () => alive.set(socket, true);
    noteLife();
    socket.on("pong", noteLife).on("message", noteLife).on("ping", noteLife);
    socket.once("close", () => {
      alive.delete(socket);
      if (alive.size > 0) return;
      clearInterval(timer);
      timer = undefined;
    });
    timer ??= setInterval(beat, HEARTBEAT_MS);
  };
}
