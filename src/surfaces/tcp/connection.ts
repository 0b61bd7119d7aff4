import type { Socket } from "node:net";
import type { Caller } from "../../core/access.ts";
import { errorAnswer, type IpcError, invalid, isIpcError } from "../../core/errors.ts";
import { isJsonObject, type JsonObject } from "../../core/json.ts";
import { BODY_BYTES } from "../../core/limits.ts";
import { monotonicMs } from "../../core/time.ts";
import { isLoopbackAddress } from "../../server/addresses.ts";
import { type Conversation, createConversation, type Reply, type Slot } from "../../server/conversation.ts";
import { type ExposedBus, identifyCaller, watchToken } from "../../server/entrance.ts";
import { createLineSplitter, decodeLine } from "../../wire/json-lines.ts";
import { parseLine, type Waiters } from "./requests.ts";
import { createWriter } from "./writer.ts";

export interface Hub extends ExposedBus {
  readonly reportFault: (error: unknown) => void;
  readonly product: string;
  readonly waiters: Waiters;
}

export interface Connection {
  /** Ends waits, and then the connection once it is idle. */
  stop(): void;
  /** Resolves when it has closed and all its requests are answered and followed up. */
  readonly done: Promise<void>;
}

/** A line must be complete after this. */
const LINE_MS = 60_000;

/** How long a connection may be idle before its first request with an `id`, and after it. */
const IDLE_MS = 30_000;
const KEPT_MS = 300_000;

type Id = string | number;

/** TCP proves only that the system took the answer, or that the client closed after it. */
const hasArrived = () => Promise.resolve(true);

/**
 * Serves one connection. Each line is a request, and each line back an answer. Answers to requests with an `id` repeat it,
 * and come when they are ready. A request without one is the last of its connection: nothing more is read, and its
 * answer closes the connection, as in the Python original. So does an invalid line.
 */
export function serveConnection(socket: Socket, hub: Hub): Connection {
  const lines = createLineReader();
  const writer = createWriter(socket);
  const callerOf = createCallers(socket, hub);
  let isReading = true;
  let isStopping = false;
  let isKept = false;

  const conversation: Conversation = createConversation(
    {
      isOpen: () => !socket.destroyed,
      isReading: () => isReading,
      partialBytes: lines.partialBytes,
      isBehind: writer.isBehind,
      pause: () => void socket.pause(),
      resume: () => {
        if (socket.isPaused()) socket.resume();
      },
      refuse: (error) => endWith(error),
      onIdle: () => endIfIdle(),
    },
    hub,
  );

  const endWith = (error: IpcError): void => {
    isReading = false;
    conversation.join(writer.writeLast(errorAnswer(error)));
  };

  const endIfIdle = (): void => {
    if (conversation.isIdle() && (isStopping || socket.readableEnded)) void writer.end();
  };

  const replyTo = (id: Id | undefined): Reply => ({
    write: (body) => (id === undefined ? writer.writeLast(body) : writer.write({ id, ...body })),
    hasArrived,
  });

  const answerLine = (bytes: Buffer): void => {
    if (!isReading) return;
    const line = decodeLine(bytes);
    if (!isJsonObject(line)) endWith(invalid("invalid JSON: send one JSON object a line, in UTF-8"));
    else if (line.id === undefined || isId(line.id)) accept(line, line.id, bytes.length);
    else endWith(invalid("id must be a number or a text of 200 characters at most"));
  };

  const accept = (line: JsonObject, id: Id | undefined, bytes: number): void => {
    if (id === undefined) isReading = false;
    else isKept = true;
    const reply = replyTo(id);
    void conversation.handle(bytes, reply, (slot) => ask(line, id, reply, slot));
  };

  const ask = async (line: JsonObject, id: Id | undefined, reply: Reply, slot: Slot): Promise<void> => {
    const caller = await callerOf(line.token);
    const asked = parseLine(line, hub.verbs, caller.identity?.agent, hub);
    const endpoint = hub.endpointFor(caller);
    if (asked.request.operation.stream && id === undefined) {
      throw invalid("a stream needs an id, which each of its lines says again");
    }
    if (asked.waitsFor === undefined) return await conversation.answer(asked, endpoint, reply, slot);
    const stopWaiting = hub.waiters.add(asked.waitsFor);
    const body = (answer: unknown) => {
      stopWaiting();
      return asked.body(answer);
    };
    try {
      await conversation.answer({ ...asked, body }, endpoint, reply, slot);
    } finally {
      stopWaiting();
    }
  };

  socket.on("data", (bytes: Buffer) => {
    if (!isReading) return;
    const fits = lines.push(bytes, answerLine);
    if (!fits) endWith(invalid("the line is too long: 6 MiB at most, and 1 MiB of content", "too_large"));
    else if (lines.isLate()) endWith(lateLine());
    else conversation.keepPace();
  });
  socket.on("drain", conversation.keepPace);
  socket.on("end", () => {
    // The last line may lack its end.
    if (lines.partialBytes() > 0) answerLine(lines.rest());
    endIfIdle();
  });
  socket.on("error", () => socket.destroy());
  socket.once("close", conversation.close);

  let isPatient = false;
  socket.setTimeout(IDLE_MS);
  socket.on("timeout", () => {
    if (writer.isBehind()) socket.destroy();
    else if (lines.partialBytes() > 0) endWith(lateLine());
    else if (!conversation.isIdle()) return;
    else if (!isKept || isPatient) socket.destroySoon();
    else {
      isPatient = true;
      socket.setTimeout(KEPT_MS);
    }
  });

  return {
    stop() {
      isStopping = true;
      conversation.stop();
    },
    done: conversation.done,
  };
}

/** Splits bytes into lines, and notes when an incomplete line began. */
function createLineReader() {
  const lines = createLineSplitter(BODY_BYTES);
  let partialSince: number | undefined;
  return {
    /** Returns false for a line that is too long. */
    push(bytes: Buffer, onLine: (line: Buffer) => void): boolean {
      const fits = lines.push(bytes, (line) => {
        partialSince = undefined;
        onLine(line);
      });
      partialSince = lines.held === 0 ? undefined : (partialSince ?? monotonicMs());
      return fits;
    },
    isLate: () => partialSince !== undefined && monotonicMs() - partialSince > LINE_MS,
    partialBytes: () => lines.held,
    rest: () => lines.rest(),
  };
}

/** Identifies callers. A credential holds for later requests, and the connection ends when it expires. */
function createCallers(socket: Socket, { entrance, reportRefusal }: ExposedBus) {
  const from = isLoopbackAddress(socket.remoteAddress) ? "local" : "beyond";
  let caller: Promise<Caller> | undefined;
  let stopWatching = () => {};

  const identify = async (credential: string): Promise<Caller> => {
    try {
      const identified = await identifyCaller(credential, from, entrance);
      stopWatching = watchToken(credential, identified, entrance, () => socket.destroy());
      if (socket.destroyed) stopWatching();
      return identified;
    } catch (error) {
      if (isIpcError(error)) await reportRefusal(error, socket.remoteAddress ?? "");
      throw error;
    }
  };

  socket.once("close", () => stopWatching());

  return (token: unknown): Promise<Caller> => {
    if (caller !== undefined && token === undefined) return caller;
    stopWatching();
    caller = identify(typeof token === "string" ? token : "");
    return caller;
  };
}

function isId(id: unknown): id is Id {
  return typeof id === "number" || (typeof id === "string" && id.length <= 200);
}

function lateLine(): IpcError {
  return invalid("the line took too long to arrive");
}
