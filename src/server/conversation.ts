import { errorAnswer, IpcError, invalid, isIpcError } from "../core/errors.ts";
import { createSerialQueue } from "../core/serial.ts";
import { publicInput } from "../operations/fields.ts";
import { isStream, isWaiting, type Operation, parseRequest, type Request } from "../operations/operation.ts";
import type { Endpoint } from "../operations/perform.ts";
import { type BufferBudget, tooManyLargeRequests } from "./budget.ts";
import type { Deliver } from "./deliver.ts";

/** Requests of a connection that are answered at once; further ones are read when there are fewer. */
const MAX_AT_ONCE = 256;
const MAX_BYTES_AT_ONCE = 8 * 1024 * 1024;

/** Waits and streams that a connection may have open beside those. */
const MAX_WAITS = 256;

/** One connection, whatever frames its requests: lines, or WebSocket messages. */
export interface Wire {
  /** Whether the connection stands. */
  readonly isOpen: boolean;
  /** Whether more requests are expected. */
  readonly isReading: boolean;
  /** Bytes that have come of a request that isn't complete. */
  readonly partialBytes: number;
  /** Whether the other end leaves much unread. Once it doesn't, `keepPace` must be called. */
  isBehind(): boolean;
  pause(): void;
  resume(): void;
  /** Ends the connection with this error. */
  refuse(error: IpcError): void;
  /** Called whenever the last request has been answered and followed up. Short answers may still have to be written. */
  onIdle(): void;
}

/** The way back to the sender of one request. */
export interface Reply {
  /** Writes `{ ok: true, … }` or an error. Resolves, once the connection flows, to whether it stood. */
  write(body: Readonly<Record<string, unknown>>): Promise<boolean>;
  /** Whether all that was written has reached the other end; true where the protocol offers no more proof than `write`. */
  hasArrived(): Promise<boolean>;
}

/** A request of a connection, and the fields that its answer has beside `ok`. */
export interface WireRequest {
  readonly request: Request;
  body(answer: unknown): object;
}

/** The place that a request takes until its answer is written. To release it twice does no harm. */
export type Slot = () => void;

export interface Conversation {
  /** Aborts when nobody waits for answers any more. */
  readonly signal: AbortSignal;
  readonly isIdle: boolean;
  /** Handles a request of so many bytes. What `act` throws is written as the request's answer. */
  handle(bytes: number, reply: Reply, act: (slot: Slot) => Promise<void>): Promise<void>;
  /** Performs an operation and writes its answer, or each of its stream. */
  answer(asked: WireRequest, endpoint: Endpoint, reply: Reply, slot: Slot): Promise<void>;
  /** Lets other work of the connection end before `done`. */
  join(work: Promise<unknown>): void;
  /** Reads on, or not. To be called after requests were read, and when `wire.isBehind()` turns false. */
  keepPace(): void;
  /** Ends waits and streams with an error. What is being answered is answered. */
  stop(): void;
  /** To be called when the connection has closed. */
  close(): void;
  /** Resolves when the connection has closed and all its requests are answered and followed up. */
  readonly done: Promise<void>;
}

export interface ConversationOptions {
  readonly deliver: Deliver;
  readonly budget: BufferBudget;
  /** Hears of faults of ours. */
  readonly reportFault: (error: unknown) => void;
}

/**
 * A connection on which many requests are answered at once. Its states:
 *
 *   reading   Requests are read and answered.
 *   paused    Nothing is read: too many or too large requests are being answered, the other end doesn't read its answers,
 *             or the buffer budget is spent. Back to reading once none of this holds. With no request to wait for, a
 *             spent budget ends the connection instead.
 *   stopping  Waits and streams end with an error. The surface closes the connection once it is idle.
 *   closed    The connection is gone. Reads that are queued are skipped, writes still run, and answers are lost.
 *   done      Closed, and nothing is being answered or followed up.
 *
 * A request holds its slot from its arrival until its answer is written; a wait or a stream gives it up when it begins.
 * Follow-ups hold none. They may wait for proof of arrival, which over WebSocket is read from the same connection: if
 * they held slots, a paused connection would never see it.
 *
 * Answers that may be large are made one after the other, each when the one before is written: a client that doesn't read
 * costs one answer's memory. Those to signed requests are short: they come as they are ready, as those of waits do, and
 * nothing waits until they are written.
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

  const beginWork = (): void => {
    running++;
  };

  const endWork = (): void => {
    running--;
    if (running === 0) settleIdle();
  };

  const settleIdle = (): void => {
    if (isClosed) closed.resolve();
    else wire.onIdle();
  };

  const handle = async (bytes: number, reply: Reply, act: (slot: Slot) => Promise<void>): Promise<void> => {
    beginWork();
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

  /** The turn ends when the answer is written: a follow-up holds up no other request. */
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
      if (!wire.isOpen && isRead(request)) return;
      await deliver(asked, endpoint, reply, () => {
        slot();
        onWritten();
      });
    });
  };

  return {
    signal: ending.signal,
    get isIdle() {
      return running === 0;
    },
    handle,
    answer,
    join(work) {
      beginWork();
      void work.finally(endWork);
    },
    keepPace: pace.keep,
    stop() {
      isStopping = true;
      ending.abort();
      if (running === 0) settleIdle();
    },
    close() {
      isClosed = true;
      ending.abort();
      options.budget.release(wire);
      if (running === 0) settleIdle();
    },
    done: closed.promise,
  };
}

interface Pace {
  take(bytes: number): Slot;
  keep(): void;
}

/** Reads no faster than requests are answered, and answers are read. */
function createPace(wire: Wire, budget: BufferBudget): Pace {
  let requests = 0;
  let bytesInUse = 0;

  const keep = (): void => {
    // A connection that has closed holds nothing of the budget any more.
    if (!wire.isOpen || !wire.isReading) return;
    const fits = budget.hold(wire, wire.partialBytes + bytesInUse, keep);
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

/** The request of a client that names its operation by its verb. */
export function findRequest(verbs: ReadonlyMap<string, Operation>, verb: unknown, input: unknown = {}): Request {
  const operation = typeof verb === "string" ? verbs.get(verb) : undefined;
  if (operation === undefined) throw invalid(`there is nothing called ${JSON.stringify(verb)} to ask for`);
  if (typeof input !== "object" || input === null || Array.isArray(input)) throw invalid("input must be a JSON object");
  return parseRequest(operation, Object.fromEntries(publicInput(operation.input.fields, input)));
}

/** Whether the answer is a few bytes. */
function isShort({ operation }: Request): boolean {
  return operation.access.level === "signed";
}

/** Whether the answer may take any time to come, as that of a wait or a stream. */
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
