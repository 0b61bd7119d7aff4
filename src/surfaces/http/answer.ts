import { once } from "node:events";
import { type OutgoingHttpHeaders, type ServerResponse, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { type ErrorAnswer, type ErrorCode, errorAnswer, type Reason } from "../../core/errors.ts";
import { EVENT_STREAM_HEADERS, encodeEvent, KEEP_ALIVE, KEEP_ALIVE_MS } from "../../wire/sse.ts";

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

/** How much of a refused body is read and discarded, and for how long. */
const MAX_UNREAD_BYTES = 16 * 1024 * 1024;
const LINGER_MS = 5_000;

function statusOf({ code, reason }: ErrorAnswer): number {
  return (reason && STATUS_OF_REASON[reason]) ?? STATUS[code];
}

/** Returns the body's size in bytes. Headers passed here cost less than headers set before. */
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

/** Returns the body as text, which Node sends in one piece with the head. */
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

export function answerError(response: ServerResponse, error: unknown): void {
  const answer = errorAnswer(error);
  const status = statusOf(answer);
  if (status === 401) response.setHeader("WWW-Authenticate", "Bearer");
  if (status === 413 || status === 503) response.setHeader("Connection", "close");
  if (status === 413) answerTooLarge(response, answer);
  else answerJson(response, status, answer);
}

/** Keeps reading for a while: a client that is cut off while sending would not read why. */
function answerTooLarge(response: ServerResponse, answer: ErrorAnswer): void {
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

/** Answers on a connection that has no response object, and closes it. */
export function endWithError(socket: Duplex, answer: ErrorAnswer, status = statusOf(answer)): void {
  const body = JSON.stringify(answer);
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    "Content-Type: application/json",
    `Content-Length: ${Buffer.byteLength(body)}`,
    "Connection: close",
    ...(status === 401 ? ["WWW-Authenticate: Bearer"] : []),
  ];
  // A client may keep its own end open, and so the connection.
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`, () => socket.destroy());
}

/** Writes a stream as server-sent events, at the reader's pace. Resolves to whether it was written to its end. */
export async function answerEvents(response: ServerResponse, answers: AsyncIterable<unknown>): Promise<boolean> {
  response.writeHead(200, EVENT_STREAM_HEADERS);
  response.write(KEEP_ALIVE);
  const heartbeat = setInterval(() => response.write(KEEP_ALIVE), KEEP_ALIVE_MS);
  try {
    for await (const answer of answers) {
      if (response.destroyed) return false;
      const flows = response.write(encodeEvent({ ...eventId(answer), data: JSON.stringify(answer) }));
      if (!flows) await Promise.race([once(response, "drain"), once(response, "close")]);
    }
    return true;
  } catch (error) {
    response.write(encodeEvent({ event: "error", data: JSON.stringify(errorAnswer(error)) }));
    throw error;
  } finally {
    clearInterval(heartbeat);
    response.end();
  }
}

/** The id from which a reconnecting client can resume. */
function eventId(answer: unknown): { id?: string } {
  if (typeof answer !== "object" || answer === null || !("id" in answer)) return {};
  return typeof answer.id === "number" || typeof answer.id === "string" ? { id: String(answer.id) } : {};
}
