import type { Socket } from "node:net";
import type { Caller } from "../../core/access.ts";
import { IpcError, invalid, isIpcError, publicError } from "../../core/errors.ts";
import { BODY_BYTES } from "../../core/limits.ts";
import { monotonicMs } from "../../core/time.ts";
import { isStream, isWaiting, type Operation, type Request } from "../../operations/operation.ts";
import type { BufferBudget } from "../../server/budget.ts";
import { createSerialQueue, type Deliver } from "../../server/deliver.ts";
import { type Entrance, endWithTheToken, identifyCaller } from "../../server/entrance.ts";
import { isLoopbackAddress } from "../../server/loopback.ts";
import { createLineSplitter, decodeLine } from "../../wire/json-lines.ts";
import { createWriter } from "./channel.ts";
import { isLine, type Line, type LineRequest, requestIn } from "./requests.ts";

export interface CallerContext {
  readonly door: Entrance;
  readonly refused: (refusal: IpcError, from: string) => Promise<void>;
}

/** Who asks on a connection: what was shown there last holds from then on, and ends the connection when it ends. */
export function createCallers(socket: Socket, { door, refused }: CallerContext) {
  const from = isLoopbackAddress(socket.remoteAddress) ? "local" : "beyond";
  let caller: Promise<Caller> | undefined;
  let stop = () => {};

  const identify = async (shown: string): Promise<Caller> => {
    try {
      const known = await identifyCaller(shown, from, door);
      stop = endWithTheToken(shown, known, door, () => socket.destroy());
      if (socket.destroyed) stop();
      return known;
    } catch (error) {
      if (isIpcError(error)) await refused(error, socket.remoteAddress ?? "");
      throw error;
    }
  };

  socket.once("close", () => stop());

  return (token: unknown): Promise<Caller> => {
    if (caller !== undefined && token === undefined) return caller;
    stop();
    caller = identify(typeof token === "string" ? token : "");
    return caller;
  };
}

/** What all connections of a server share. */
export interface Hub extends CallerContext {
  readonly operations: readonly Operation[];
  readonly deliver: Deliver;
  readonly failed: (error: unknown) => void;
  readonly product: string;
  readonly room: BufferBudget;
  /** How many wait for each mailbox. */
  readonly awaited: Map<string, number>;
}

export interface Connection {
  /** Ends what waits and, once that is answered, the connection. */
  close(): void;
  /** It has ended, and what was asked on it is settled. */
  readonly done: Promise<void>;
}

/** So many requests of a connection are answered at once; further ones are read when there are fewer. */
const MAX_AT_ONCE = 256;
const MAX_BYTES_AT_ONCE = 8 * 1024 * 1024;

/** A line must be whole after this, a connection without one may be idle for so long, and one that was used for longer. */
const LINE_MS = 60_000;
const IDLE_MS = 30_000;
const KEPT_MS = 300_000;

/**
 * A line is a request, a line back its answer. One without `id` is the only one on its connection, which then closes, as
 * the original has it; answers to those with an `id` say it again, and come when they are ready.
 */
export function converse(socket: Socket, hub: Hub): Connection {
  const lines = createLineSplitter(BODY_BYTES);
  const writer = createWriter(socket);
  const callerOf = createCallers(socket, hub);
  const gone = new AbortController();
  const afterOtherLarge = createSerialQueue(() => !socket.destroyed);
  let atOnce = 0;
  let bytesAtOnce = 0;
  /** When the line began that isn't whole yet. */
  let since: number | undefined;
  let kept = false;
  let patient = false;
  /** Nothing more is heard. */
  let ending = false;
  let stopping = false;

  const hear = (bytes: Buffer): void => {
    if (ending) return;
    const fits = lines.push(bytes, (line) => {
      since = undefined;
      if (!ending) void take(line);
    });
    since = lines.held === 0 ? undefined : (since ?? monotonicMs());
    if (!fits) sayLast(invalid("the line is too long: 6 MiB at most, and 1 MiB of content", "too_large"));
    else if (since !== undefined && monotonicMs() - since > LINE_MS) sayLast(late());
    else keepPace();
  };

  const take = async (bytes: Buffer): Promise<void> => {
    const line = decodeLine(bytes);
    if (!isLine(line)) return sayLast(invalid("invalid JSON: send one JSON object a line, in UTF-8"));
    const { id } = line;
    if (id !== undefined && !isId(id))
      return sayLast(invalid("id must be a number or a text of 200 characters at most"));
    if (id === undefined) ending = true;
    else kept = true;
    atOnce++;
    bytesAtOnce += bytes.length;
    try {
      await answer(line, id);
    } catch (error) {
      if (!isIpcError(error) || error.code === "internal") hub.failed(error);
      await write(id, faultOf(error));
    } finally {
      atOnce--;
      bytesAtOnce -= bytes.length;
      keepPace();
      endWhenDone();
    }
  };

  const answer = async (line: Line, id: Id | undefined): Promise<void> => {
    const known = await callerOf(line.token);
    const asked = requestIn(line, hub.operations, known.identity?.agent, hub);
    const { request, waitsFor } = asked;
    const { operation } = request;
    if (operation.stream && id === undefined) throw invalid("a stream needs an id, which each of its lines says again");
    const noLonger = waitsFor === undefined ? () => {} : awaiting(waitsFor);
    const context = { caller: known, signal: gone.signal };
    const deliver = () =>
      hub.deliver(request, context, (answered) => {
        noLonger();
        return isStream(answered) ? stream(id, answered) : handOver(asked, id, answered);
      });
    try {
      await (mayBeLarge(request) ? afterOtherLarge(operation, deliver) : deliver());
    } finally {
      noLonger();
    }
  };

  const handOver = (asked: LineRequest, id: Id | undefined, answered: unknown): boolean | Promise<boolean> => {
    if (answered === null && stopping) return write(id, faultOf(stopped()));
    const written = write(id, { ok: true, ...asked.show(answered) });
    return asked.request.operation.access.level === "signed" ? true : written;
  };

  const stream = async (id: Id | undefined, answers: AsyncIterable<unknown>): Promise<boolean> => {
    for await (const next of answers) if (!(await write(id, { ok: true, next }))) return false;
    return write(id, stopping ? faultOf(stopped()) : { ok: true, end: true });
  };

  /** One answer: the last of its connection where the request had no id. */
  const write = (id: Id | undefined, said: object): Promise<boolean> =>
    id === undefined ? writer.last(said) : writer.write({ id, ...said });

  const sayLast = (error: IpcError): void => {
    ending = true;
    void writer.last(faultOf(error));
  };

  /** Answers with how to say that nobody waits any more. */
  const awaiting = (mailbox: string): (() => void) => {
    hub.awaited.set(mailbox, (hub.awaited.get(mailbox) ?? 0) + 1);
    let waits = true;
    return () => {
      const others = (hub.awaited.get(mailbox) ?? 0) - 1;
      if (waits && others > 0) hub.awaited.set(mailbox, others);
      else if (waits) hub.awaited.delete(mailbox);
      waits = false;
    };
  };

  /** Reads on only where what was read is being answered, and the answers are read. */
  const keepPace = (): void => {
    if (ending) return;
    const fits = hub.room.hold(socket, lines.held + bytesAtOnce, keepPace);
    const behind = atOnce >= MAX_AT_ONCE || bytesAtOnce >= MAX_BYTES_AT_ONCE || writer.isBehind();
    if (!fits && atOnce === 0) sayLast(tooMuch());
    else if (behind || !fits) socket.pause();
    else if (socket.isPaused()) socket.resume();
  };

  const endWhenDone = (): void => {
    if (atOnce > 0) return;
    if (socket.destroyed) finish();
    else if (stopping || socket.readableEnded) socket.destroySoon();
  };

  let finish = () => {};
  const done = new Promise<void>((resolve) => {
    finish = resolve;
  });

  socket.on("data", hear);
  socket.on("drain", keepPace);
  socket.on("end", () => {
    if (lines.held > 0 && !ending) void take(lines.rest());
    endWhenDone();
  });
  socket.on("error", () => socket.destroy());
  socket.setTimeout(IDLE_MS);
  socket.on("timeout", () => {
    if (writer.isBehind()) socket.destroy();
    else if (lines.held > 0) sayLast(late());
    else if (atOnce > 0) return;
    else if (!kept || patient) socket.destroySoon();
    else {
      patient = true;
      socket.setTimeout(KEPT_MS);
    }
  });
  socket.once("close", () => {
    gone.abort();
    hub.room.leave(socket);
    endWhenDone();
  });

  return {
    close() {
      stopping = true;
      gone.abort();
      endWhenDone();
    },
    done,
  };
}

type Id = string | number;

function isId(id: unknown): id is Id {
  return typeof id === "number" || (typeof id === "string" && id.length <= 200);
}

function late(): IpcError {
  return invalid("the line took too long to arrive");
}

function tooMuch(): IpcError {
  return new IpcError("internal", "too many large requests are on their way: try again in a moment", "busy");
}

function stopped(): IpcError {
  return new IpcError("internal", "broker stopped while waiting", "busy");
}

/** What is signed has a short answer, and what waits would hold up the others. */
function mayBeLarge(request: Request): boolean {
  const { access, stream } = request.operation;
  return access.level !== "signed" && stream !== true && !isWaiting(request);
}

function faultOf(error: unknown): object {
  const { code, message, reason } = publicError(error);
  return { ok: false, error: message, code, reason };
}
