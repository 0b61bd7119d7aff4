import { once } from "node:events";
import type { OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { type ErrorCode, publicError, type Reason } from "../../core/errors.ts";
import { encodeEvent, KEEP_ALIVE } from "../../wire/sse.ts";

const STATUS: Readonly<Record<ErrorCode, number>> = {
  invalid: 400,
  unauthorized: 403,
  not_found: 404,
  conflict: 409,
  internal: 500,
};

const STATUS_OF_REASON: Readonly<Partial<Record<Reason, number>>> = {
  unauthenticated: 401,
  too_large: 413,
  busy: 503,
};

const KEEP_ALIVE_MS = 15_000;

/** What is read and thrown away of a body that is refused, and for how long. */
const MAX_UNREAD_BYTES = 16 * 1024 * 1024;
const LINGER_MS = 5_000;

export function statusOf(code: ErrorCode, reason: Reason | undefined): number {
  return (reason && STATUS_OF_REASON[reason]) ?? STATUS[code];
}

/** Answers with how many bytes that are. Headers that it is given here cost less than those set before. */
export function answerJson(
  response: ServerResponse,
  status: number,
  value: unknown,
  headers?: OutgoingHttpHeaders,
): number {
  const { body, bytes } = writeJsonHead(response, status, value, headers);
  response.end(body);
  return bytes;
}

/** The body as text: Node sends that and the head in one piece. */
function writeJsonHead(
  response: ServerResponse,
  status: number,
  value: unknown,
  headers?: OutgoingHttpHeaders,
): { body: string; bytes: number } {
  const body = JSON.stringify(value);
  const bytes = Buffer.byteLength(body);
  response.writeHead(status, {
    ...headers,
    "Content-Type": "application/json",
    "Content-Length": bytes,
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
  });
  return { body, bytes };
}

/** Says what went wrong, as far as it is the caller's business. Answers with the status that it gave. */
export function answerError(response: ServerResponse, error: unknown): number {
  const { code, message, reason } = publicError(error);
  const status = statusOf(code, reason);
  if (status === 401) response.setHeader("WWW-Authenticate", "Bearer");
  if (status === 413 || status === 503) response.setHeader("Connection", "close");
  const answer = { ok: false, error: message, code, reason };
  if (status === 413) answerTooLarge(response, answer);
  else answerJson(response, status, answer);
  return status;
}

/** A client that is still sending is let to, for a while: cut off, it would not read why. */
function answerTooLarge(response: ServerResponse, answer: object): void {
  const request = response.req;
  const { body } = writeJsonHead(response, 413, answer);
  response.write(body);
  let left = MAX_UNREAD_BYTES;
  const timer = setTimeout(() => response.destroy(), LINGER_MS);
  response.once("close", () => clearTimeout(timer));
  request.once("end", () => response.end());
  request.on("data", (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) response.destroy();
  });
  if (request.readableEnded) response.end();
}

/** Writes a stream of answers as server-sent events, at the pace at which the other end reads them. */
export async function answerEvents(response: ServerResponse, answers: AsyncIterable<unknown>): Promise<void> {
  response.writeHead(200, {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
    "X-Content-Type-Options": "nosniff",
  });
  response.write(KEEP_ALIVE);
  const heartbeat = setInterval(() => response.write(KEEP_ALIVE), KEEP_ALIVE_MS);
  try {
    for await (const answer of answers) {
      if (response.destroyed) return;
      const flows = response.write(encodeEvent({ ...eventId(answer), data: JSON.stringify(answer) }));
      if (!flows) await Promise.race([once(response, "drain"), once(response, "close")]);
    }
  } catch (error) {
    const { code, message } = publicError(error);
    response.write(encodeEvent({ event: "error", data: JSON.stringify({ ok: false, error: message, code }) }));
    throw error;
  } finally {
    clearInterval(heartbeat);
    response.end();
  }
}

/** Where a client that lost its connection can go on from. */
function eventId(answer: unknown): { id?: string } {
  if (typeof answer !== "object" || answer === null || !("id" in answer)) return {};
  return typeof answer.id === "number" || typeof answer.id === "string" ? { id: String(answer.id) } : {};
}

/** What is no longer than this is with the other machine, or lost, as a whole. */
const AT_ONCE_BYTES = 64 * 1024;

/** How long a client whose connection neither breaks nor says anything may be at an answer before it counts as having it. */
const READING_MS = 5_000;

/** Whether answers come to those who asked. One for each server. */
export interface Arrivals extends Disposable {
  /**
   * Whether the whole answer was handed to a connection that still stands. Of a long one that alone says little, since
   * the operating system takes more than a client that vanishes has read: whether it has, its connection tells by its end,
   * by a reset where something was left unread, or by what is asked on it next.
   */
  hasArrived(response: ServerResponse, bytes: number): Promise<boolean>;
  /** Something was asked on a connection: what was answered there before has arrived. */
  asked(response: ServerResponse): void;
}

export function createArrivals(): Arrivals {
  const reading = new Map<Socket, (arrived: boolean) => void>();
  const latest = new WeakMap<Socket, ServerResponse>();

  const isRead = (socket: Socket): Promise<boolean> =>
    new Promise((resolve) => {
      const done = (arrived: boolean) => {
        clearTimeout(timer);
        socket.off("end", ended).off("close", closed);
        reading.delete(socket);
        if (socket.writableEnded) socket.destroy();
        resolve(arrived);
      };
      const ended = () => done(true);
      const closed = () => done(socket.readableEnded);
      const timer = setTimeout(done, READING_MS, true);
      reading.set(socket, done);
      socket.once("end", ended).once("close", closed);
    });

  return {
    async hasArrived(response, bytes) {
      const { socket } = response;
      const long = bytes > AT_ONCE_BYTES;
      if (socket !== null && long) closeInTurn(socket);
      if (!(await isHandedOver(response))) return false;
      if (socket === null || !long || socket.readableEnded) return true;
      if (socket.destroyed) return false;
      return latest.get(socket) === response ? await isRead(socket) : true;
    },
    asked(response) {
      const { socket } = response;
      if (socket === null) return;
      latest.set(socket, response);
      reading.get(socket)?.(true);
    },
    [Symbol.dispose]() {
      for (const done of [...reading.values()]) done(true);
    },
  };
}

/** Where we are to close it, only our half of it at first: a connection that is closed tells nothing of its other end. */
function closeInTurn(socket: Socket): void {
  socket.destroySoon = () => socket.end();
}

function isHandedOver(response: ServerResponse): Promise<boolean> {
  if (response.writableFinished) return Promise.resolve(true);
  if (response.destroyed) return Promise.resolve(false);
  return new Promise((resolve) => {
    response.once("finish", () => resolve(true));
    response.once("close", () => resolve(response.writableFinished));
  });
}

/** What this server can be asked, as scripts/openapi.ts says it. It lies beside what is built, and is read for whoever asks. */
export async function openApi(): Promise<unknown> {
  const { readFile } = await import("node:fs/promises");
  return JSON.parse(await readFile(`${import.meta.dirname}/openapi.json`, "utf8"));
}
