import { errorAnswer, IpcError, invalid, isIpcError } from "../core/errors.ts";
import { isJsonObject } from "../core/json.ts";
import { createSerialQueue } from "../core/serial.ts";
import { publicInput } from "../operations/fields.ts";
import { isStream, isWaiting, type Operation, parseRequest, type Request } from "../operations/operation.ts";
import type { Endpoint } from "../operations/perform.ts";
import { type BufferBudget, tooManyLargeRequests } from "./budget.ts";
import type { Deliver } from "./deliver.ts";

/** The most requests of a connection that are answered at once; reading pauses until there are fewer. */
const MAX_AT_ONCE = 256;
const MAX_BYTES_AT_ONCE = 8 * 1024 * 1024;

/** The most waits and streams of a connection, beyond those requests. */
const MAX_WAITS = 256;

/** One connection of JSON lines or WebSocket messages. */
export interface Wire {
  isOpen(): boolean;
  /** Whether more requests are expected. */
  isReading(): boolean;
  /** Bytes received of an incomplete request. */
  partialBytes(): number;
  /** Whether the client leaves much unread. Once it catches up, `keepPace` must be called. */
  isBehind(): boolean;
  pause(): void;
  resume(): void;
  refuse(error: IpcError): void;
  /** Called when the last request has been answered and followed up. Short answers may still be unwritten. */
  onIdle(): void;
}

export interface Reply {
  /** Writes `{ ok: true, … }` or an error. Resolves, once the client has caught up, to whether the connection stood. */
  write(body: Readonly<Record<string, unknown>>): Promise<boolean>;
  /** Whether the client has received everything; true if the protocol offers no more proof than `write`. */
  hasArrived(): Promise<boolean>;
}

/** A request, and how its answer is written beside `ok`. */
export interface WireRequest {
  readonly request: Request;
  body(answer: unknown): object;
}

/** Releases the place that a request holds until its answer is written. Calling it twice is harmless. */
export type Slot = () => void;

export interface Conversation {
  /** Aborts when nobody waits for answers any more. */
  readonly signal: AbortSignal;
  isIdle(): boolean;
  /** Handles a request of that size. An error that `act` throws becomes the request's answer. */
  handle(bytes: number, reply: Reply, act: (slot: Slot) => Promise<void>): Promise<void>;
  /** Performs an operation and writes its answer, or each item of its stream. */
  answer(asked: WireRequest, endpoint: Endpoint, reply: Reply, slot: Slot): Promise<void>;
  /** Delays `done` until other work of the connection ends. */
  join(work: Promise<unknown>): void;
  /** Pauses or resumes reading. Call it after requests were read, and when `wire.isBehind()` turns false. */
  keepPace(): void;
  /** Ends waits and streams with an error. Other requests are still answered. */
  stop(): void;
  /** Call this when the connection has closed. */
  close(): void;
  /** Resolves when the connection has closed and all its requests are answered and followed up. */
  readonly done: Promise<void>;
}

export interface ConversationOptions {
  readonly deliver: Deliver;
  readonly budget: BufferBudget;
  readonly reportFault: (error: unknown) => void;
}

/**
 * A connection on which many requests are answered at once. Its states:
 *
 * reading   Requests are read and answered.
 * paused    Nothing is read: too many or too large requests are being answered, the client doesn't read its answers,
 * or the buffer budget is spent. Reading resumes once none of this holds. With no request to wait for, a
 * spent budget ends the connection instead.
 * stopping  Waits and streams end with an error. The surface closes the connection once it is idle.
 * closed    The connection is gone. Queued reads are skipped, writes still run, and answers are lost.
 * done      Closed, and nothing is being answered or followed up.
 *
 * A request holds its slot from its arrival until its answer is written; a wait or a stream releases it when it begins.
 * Follow-ups hold none: they may wait for proof of arrival, which over WebSocket is read from the same connection, and
 * a paused connection would never see it.
 *
 * Answers that may be large are written one by one, each made only once the previous one is written, so a client that
 * doesn't read costs one answer's memory. Answers to signed requests and waits are short: they are written when ready.
 */
export function createConversation(wire: Wire, options: ConversationOptions): Conversation {
  const pace = createPace(wire, options.budget);
  const ending = new AbortController();
  const inTurn = createSerialQueue();
  const closed = Promise.withResolvers<void>();
  let running = 0;
  let waits = 0;
  let isStopping = false;
  let isClosed = false;

  const settleIfIdle = (): void => {
    if (running > 0) return;
    if (isClosed) closed.resolve();
    else wire.onIdle();
  };

  const endWork = (): void => {
    running--;
    settleIfIdle();
  };

  const handle = async (bytes: number, reply: Reply, act: (slot: Slot) => Promise<void>): Promise<void> => {
    running++;
    const slot = pace.take(bytes);
    try {
      await act(slot);
    } catch (error) {
      if (!isIpcError(error) || error.code === "internal") options.reportFault(error);
      await reply.write(errorAnswer(error));
    } finally {
      slot();
      endWork();
    }
  };

  const writeStream = async (answers: AsyncIterable<unknown>, reply: Reply): Promise<boolean> => {
    for await (const next of answers) if (!(await reply.write({ ok: true, next }))) return false;
    return await reply.write(isStopping ? errorAnswer(stopped()) : { ok: true, end: true });
  };

  const deliver = (asked: WireRequest, endpoint: Endpoint, reply: Reply, onWritten: () => void): Promise<void> => {
    const { request } = asked;
    return options.deliver(endpoint, request, ending.signal, (answer, needsProof) => {
      if (isStream(answer)) return writeStream(answer, reply);
      const isTimeUp = answer === null && isStopping;
      const writing = reply.write(isTimeUp ? errorAnswer(stopped()) : { ok: true, ...asked.body(answer) });
      if (isShort(request) && !needsProof) return true;
      return writing.then((isWritten) => {
        onWritten();
        return isWritten && (!needsProof || reply.hasArrived());
      });
    });
  };

  const wait = async (task: () => Promise<void>): Promise<void> => {
    if (waits >= MAX_WAITS) throw invalid(`${MAX_WAITS} waits at once on a connection are the most`, "busy");
    waits++;
    try {
      await task();
    } finally {
      waits--;
    }
  };

  /** Ends the turn when the answer is written: a follow-up delays no other request. */
  const takeTurn = async (task: (onWritten: () => void) => Promise<void>): Promise<void> => {
    let ended = Promise.resolve();
    await inTurn(
      () =>
        new Promise<void>((resolve, reject) => {
          ended = task(resolve);
          ended.then(resolve, reject);
        }),
    );
    await ended;
  };

  const answer = (asked: WireRequest, endpoint: Endpoint, reply: Reply, slot: Slot): Promise<void> => {
    const { request } = asked;
    if (isLasting(request)) {
      return wait(() => {
        slot();
        return deliver(asked, endpoint, reply, slot);
      });
    }
    if (isShort(request)) return deliver(asked, endpoint, reply, slot);
    return takeTurn(async (onWritten) => {
      if (!wire.isOpen() && isRead(request)) return;
      await deliver(asked, endpoint, reply, () => {
        slot();
        onWritten();
      });
    });
  };

  return {
    signal: ending.signal,
    isIdle: () => running === 0,
    handle,
    answer,
    join(work) {
      running++;
      void work.finally(endWork);
    },
    keepPace: pace.keep,
    stop() {
      isStopping = true;
      ending.abort();
      settleIfIdle();
    },
    close() {
      isClosed = true;
      ending.abort();
      options.budget.release(wire);
      settleIfIdle();
    },
    done: closed.promise,
  };
}

/** Pauses reading while too much is unanswered, or too many answers are unread. */
function createPace(wire: Wire, budget: BufferBudget) {
  let requests = 0;
  let bytesInUse = 0;

  const keep = (): void => {
    // A closed connection must take nothing from the budget.
    if (!wire.isOpen() || !wire.isReading()) return;
    const fits = budget.hold(wire, wire.partialBytes() + bytesInUse, keep);
    const isFull = requests >= MAX_AT_ONCE || bytesInUse >= MAX_BYTES_AT_ONCE;
    if (!fits && requests === 0) wire.refuse(tooManyLargeRequests());
    else if (!fits || isFull || wire.isBehind()) wire.pause();
    else wire.resume();
  };

  const take = (bytes: number): Slot => {
    let isTaken = true;
    requests++;
    bytesInUse += bytes;
    return () => {
      if (!isTaken) return;
      isTaken = false;
      requests--;
      bytesInUse -= bytes;
      keep();
    };
  };

  return { take, keep };
}

/** Parses the request of a client that names its operation by its verb. */
export function findRequest(verbs: ReadonlyMap<string, Operation>, verb: unknown, input: unknown = {}): Request {
  const operation = typeof verb === "string" ? verbs.get(verb) : undefined;
  if (operation === undefined) throw invalid(`there is nothing called ${JSON.stringify(verb)} to ask for`);
  if (!isJsonObject(input)) throw invalid("input must be a JSON object");
  return parseRequest(operation, Object.fromEntries(publicInput(operation.input.fields, input)));
}

/** Whether the answer is only a few bytes. */
function isShort({ operation }: Request): boolean {
  return operation.access.level === "signed";
}

/** Whether the answer may take any time. */
function isLasting(request: Request): boolean {
  return request.operation.stream === true || isWaiting(request);
}

/** Whether the request changes nothing until its answer has arrived. */
function isRead({ operation }: Request): boolean {
  return operation.http?.startsWith("GET ") ?? false;
}

function stopped(): IpcError {
  return new IpcError("internal", "broker stopped while waiting", "busy");
}
