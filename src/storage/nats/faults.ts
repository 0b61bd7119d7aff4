import { JetStreamApiError } from "@nats-io/jetstream";
import { errors } from "@nats-io/transport-node";
import { IpcError, isIpcError } from "../../core/errors.ts";

/** What the server's numbers mean that a store must tell apart. */
const WRONG_LAST_SEQUENCE = 10071;
const NO_STREAM = 10059;
const STREAM_EXISTS = 10058;
const OVERLAP = 10065;
const NO_JETSTREAM = [10039, 10076];
/** A stream, an account or a server that takes no more. */
const FULL = [10002, 10023, 10028, 10047, 10054, 10077, 10122];
/**
 * What is so only until something else is done: a server is away that a new stream should lie on; the same message is just
 * being stored, by an earlier try of ours, or another one of the same subject; the stream has too much to do.
 */
const SOON = [10005, 10158, 10164, 10167];

/** What the server says now isn't settled, or somebody else came between: it is asked again. */
export class Unsettled extends Error {}

export function isConflict(error: unknown): boolean {
  return codeOf(error) === WRONG_LAST_SEQUENCE;
}

export function isNoStream(error: unknown): boolean {
  return codeOf(error) === NO_STREAM;
}

export function isStreamThere(error: unknown): boolean {
  return codeOf(error) === STREAM_EXISTS;
}

/** Something takes a subject already: another stream, or the very one, made by another process at the same moment. */
export function isOverlap(error: unknown): boolean {
  return codeOf(error) === OVERLAP;
}

/** Nobody took the request: there is no stream for its subject, or none that has a leader now. */
export function isNobodyThere(error: unknown): boolean {
  return error instanceof errors.NoRespondersError || (error instanceof Error && isNobodyThere(error.cause));
}

/** The server has done nothing of it, and may in a moment. */
export function isForNow(error: unknown): boolean {
  return SOON.includes(codeOf(error) ?? 0);
}

/** Whether it was done isn't known. */
export function isUnanswered(error: unknown): boolean {
  return error instanceof errors.TimeoutError;
}

/** What may be otherwise in a moment: a leader is being chosen, a connection made anew. */
export function isPassing(error: unknown): boolean {
  if (error instanceof Unsettled || isUnanswered(error)) return true;
  if (isNobodyThere(error) || isForNow(error)) return true;
  if (error instanceof JetStreamApiError) {
    const { err_code, code } = error.apiError();
    return code === 503 && !FULL.includes(err_code) && !NO_JETSTREAM.includes(err_code);
  }
  return error instanceof errors.ConnectionError;
}

/** Where two streams would take the same, what is stored is in the wrong one, or is never acknowledged. */
export function takenBy(other: string, stream: string): IpcError {
  const words = `the stream ${other} takes what ${stream} is for: docs/nats.md lists what each stream takes`;
  return new IpcError("internal", words);
}

/** A stream that somebody has made, and not as it should be. */
export function anotherStream(stream: string, subject: string): IpcError {
  const words = `there is a stream ${stream}, but it doesn't take ${subject}: docs/nats.md lists what each stream takes`;
  return new IpcError("internal", words);
}

/** A fault of the server's that its user can mend, as a sentence; anything else as it is. */
export function inWords(error: unknown, server: string): unknown {
  if (isIpcError(error)) return error;
  const words = faultOf(error);
  return words === undefined
    ? error
    : new IpcError("internal", `NATS at ${server}: ${words}`, undefined, { cause: error });
}

function faultOf(error: unknown): string | undefined {
  const code = codeOf(error);
  if (code !== undefined && FULL.includes(code)) {
    return `a stream, the account or the server is full (${textOf(error)}): prune, or give it more room`;
  }
  if (code !== undefined && NO_JETSTREAM.includes(code)) {
    return "JetStream is off for this account: start the server with -js, or have it allowed";
  }
  if (code !== undefined) return textOf(error);
  if (error instanceof errors.PermissionViolationError) {
    const what = error.operation === "publish" ? "publish to" : "subscribe to";
    return `this login may not ${what} ${error.subject}: docs/nats.md lists what an agent needs`;
  }
  if (error instanceof errors.ClosedConnectionError || error instanceof errors.DrainingConnectionError) {
    return "the connection is closed";
  }
  return error instanceof Error && error.cause !== undefined ? faultOf(error.cause) : undefined;
}

function codeOf(error: unknown): number | undefined {
  return error instanceof JetStreamApiError ? error.code : undefined;
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
