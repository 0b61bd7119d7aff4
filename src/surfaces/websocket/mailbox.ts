import type { WebSocket } from "ws";
import { isIpcError } from "../../core/errors.ts";
import { MAX_WAIT_SECONDS } from "../../core/limits.ts";
import type { Message } from "../../core/messages.ts";
import { fetchMail, waitMail } from "../../operations/mailboxes.ts";
import { parseRequest, type Request } from "../../operations/operation.ts";
import type { Endpoint } from "../../operations/perform.ts";
import type { Connections } from "../../server/connections.ts";
import { messageFrame } from "./frames.ts";
import type { Line } from "./socket.ts";

export interface Mail {
  readonly endpoint: Endpoint;
  /** Aborts when the connection has ended. */
  readonly signal: AbortSignal;
  readonly line: Line;
  readonly mailbox: string;
  /** Says which of these the other end has; as soon as it can, or when it is gone. */
  readonly taken: (ids: readonly number[]) => Promise<boolean>;
  readonly arrived: (ids: readonly number[]) => void;
}

/** So many messages are on their way to a recipient at most, once it has shown that it takes them. */
const MAX_ON_THEIR_WAY = 100;

/** How long to wait after a fault of ours before going on. */
const PAUSE_MS = 1_000;

/** Hands a mailbox over, message by message, as they come: each is consumed once the recipient's end has taken it. */
export async function handOverMail(mail: Mail): Promise<void> {
  const { endpoint, signal, line } = mail;
  let window = 1;
  while (!signal.aborted && line.isOpen) {
    const { request, answer, messages } = await nextMail(mail, window);
    if (messages.length === 0) continue;
    const ids = messages.map(({ id }) => id);
    for (const message of messages) line.send(messageFrame(mail.mailbox, message));
    const taken = !signal.aborted && (await mail.taken(ids));
    await endpoint.settle(request, answer, taken, signal);
    if (!taken) return;
    mail.arrived(ids);
    window = Math.min(window * 2, MAX_ON_THEIR_WAY);
  }
}

interface TakenMail {
  readonly request: Request;
  readonly answer: unknown;
  readonly messages: readonly Message[];
}

async function nextMail({ endpoint, signal, mailbox }: Mail, window: number): Promise<TakenMail> {
  const fetch = parseRequest(fetchMail, { mailbox, limit: window });
  const wait = parseRequest(waitMail, { mailbox, timeout: MAX_WAIT_SECONDS });
  try {
    const fetched = await endpoint.ask(fetch, signal);
    if (fetched.messages.length > 0) return { request: fetch, answer: fetched, messages: fetched.messages };
    const answer = await endpoint.ask(wait, signal);
    return { request: wait, answer, messages: answer === null ? [] : [answer.message] };
  } catch (error) {
    if (!isIpcError(error) || error.code === "unauthorized") throw error;
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    return { request: wait, answer: null, messages: [] };
  }
}

/** What arrives at recipients that are connected here, for their senders to hear of at once. */
export interface Arrivals {
  tell(id: number): void;
  expect(id: number, heard: () => void): void;
  forget(id: number): void;
}

export function createArrivals(): Arrivals {
  const expected = new Map<number, () => void>();
  return {
    tell: (id) => expected.get(id)?.(),
    expect: (id, heard) => void expected.set(id, heard),
    forget: (id) => void expected.delete(id),
  };
}

/** Of so many messages a connection hears that they arrived; of more, those that were sent last. */
const MAX_EXPECTED = 1_000;

export interface Deliveries {
  /** Hears of a message's arrival, whenever and wherever it is. */
  expect(to: string, id: number, heard: () => void): void;
  stop(): void;
}

export function createDeliveries(connections: Connections, signal: AbortSignal, arrivals: Arrivals): Deliveries {
  const awaited = new Map<number, { readonly to: string; readonly heard: () => void }>();
  const watched = new Set<string>();

  const settle = (id: number, heard: boolean): void => {
    const one = awaited.get(id);
    awaited.delete(id);
    arrivals.forget(id);
    if (heard) one?.heard();
  };

  /** A recipient may be anywhere: its mailbox tells, in order. */
  const watch = async (to: string): Promise<void> => {
    if (watched.has(to)) return;
    watched.add(to);
    try {
      for (let id = oldest(to); id !== undefined && !signal.aborted; id = oldest(to)) {
        if (await connections.waitUntilArrived(to, id, signal)) settle(id, true);
      }
    } finally {
      watched.delete(to);
    }
  };

  const oldest = (to: string): number | undefined => {
    for (const [id, one] of awaited) if (one.to === to) return id;
    return undefined;
  };

  return {
    expect(to, id, heard) {
      awaited.set(id, { to, heard });
      arrivals.expect(id, () => settle(id, true));
      const [first] = awaited.keys();
      if (awaited.size > MAX_EXPECTED && first !== undefined) settle(first, false);
      // Without a word to whoever could do nothing about it: that it was stored has been said.
      watch(to).catch(() => {});
    },
    stop() {
      for (const id of [...awaited.keys()]) settle(id, false);
    },
  };
}

/** Whoever said that it would say what it has received, and doesn't for so long, hasn't received it. */
const RECEIVED_MS = 60_000;

/** What the other end says that it has received. */
export interface Receipts {
  note(ids: readonly unknown[]): void;
  /** Ends once all of these were noted; false when that can't be any more. */
  of(ids: readonly number[]): Promise<boolean>;
  stop(): void;
}

export function createReceipts(): Receipts {
  let waiting: { readonly missing: Set<number>; readonly settle: (all: boolean) => void } | undefined;
  let stopped = false;
  return {
    note(ids) {
      if (waiting === undefined) return;
      for (const id of ids) if (typeof id === "number") waiting.missing.delete(id);
      if (waiting.missing.size === 0) waiting.settle(true);
    },
    of: (ids) =>
      new Promise((resolve) => {
        if (stopped) return resolve(false);
        const timer = setTimeout(resolve, RECEIVED_MS, false);
        const settle = (all: boolean) => {
          clearTimeout(timer);
          resolve(all);
        };
        waiting = { missing: new Set(ids), settle };
      }),
    stop() {
      stopped = true;
      waiting?.settle(false);
    },
  };
}

/** Whoever is silent is asked so often whether it is there, and ended when it hasn't answered by the next time. */
const BEAT_MS = 25_000;

/** Ends connections whose other end is gone without a word. One timer for all of them. */
export function watchOver(): (socket: WebSocket) => void {
  const heard = new Map<WebSocket, boolean>();
  let timer: NodeJS.Timeout | undefined;

  const beat = () => {
    for (const [socket, alive] of heard) {
      // Of who is let wait nothing is heard, unless it is waited for itself.
      if (!alive && (!socket.isPaused || socket.bufferedAmount > 0)) {
        socket.terminate();
        continue;
      }
      heard.set(socket, false);
      // Its number is none that somebody waits for.
      socket.ping("0");
    }
  };

  return (socket) => {
    const hear = () => heard.set(socket, true);
    hear();
    socket.on("pong", hear).on("message", hear).on("ping", hear);
    socket.once("close", () => {
      heard.delete(socket);
      if (heard.size > 0) return;
      clearInterval(timer);
      timer = undefined;
    });
    timer ??= setInterval(beat, BEAT_MS);
  };
}
