import { IpcError, invalid } from "../core/errors.ts";
import { MAX_WAIT_SECONDS, WAIT_SECONDS } from "../core/limits.ts";
import { createBackoff, monotonicMs } from "../core/time.ts";
import { isWaiting, type Operation } from "../operations/operation.ts";
import type { Ask } from "../operations/perform.ts";
import { needsToken } from "./signer.ts";

/** A server of a bus, and what to show it. */
export interface ServerTarget {
  readonly url: string;
  readonly apiKey: string | undefined;
  /** A token for what asks for one, where there is a way to make it. */
  readonly token: (operation: Operation, input: Values) => Promise<string | undefined>;
}

export type Values = Readonly<Record<string, unknown>>;

/** Something asked of a server once. */
export interface Request {
  readonly operation: Operation;
  readonly input: Values;
  readonly signal: AbortSignal;
}

export interface Item {
  readonly value: unknown;
  /** Where a stream goes on behind it. */
  readonly since?: unknown;
}

/** Brings requests to a server and answers back, each as its protocol has it. What breaks on the way is thrown. */
export interface Transport {
  /** Null where a wait's time was up. */
  once(request: Request): Promise<unknown>;
  /** Says when the server has begun to answer. */
  stream(request: Request, begun: () => void): AsyncIterable<Item>;
  /** Whether the server was there once. */
  reached(): boolean;
  /** Whether it may go well if it is asked again. */
  isPassing(error: unknown): boolean;
}

/** The door to a bus behind a server, which is waited for where it was there and is away for a moment. */
export function createRemoteAsk(carrier: Transport): Ask {
  return async (operation, given, signal) => {
    if (operation.http === undefined) {
      throw invalid(`${operation.name} works on the database itself: leave out --url and IPC_URL`);
    }
    const input: Values = Object(given);
    const request = { operation, input, signal };
    if (operation.output?.isLast !== undefined) return streamedOnce(carrier, request);
    if (operation.stream) return streamed(carrier, request);
    if (isWaiting(operation, input)) return waited(carrier, request);
    return carrier.reached() && mayRepeat(request) ? repeated(carrier, request) : carrier.once(request);
  };
}

/** What is shown for a request. A token says more than the server's key and stands in its place, where nobody can overhear it. */
export async function credentialFor(
  { operation, input }: Request,
  server: ServerTarget,
  at: Place,
): Promise<string | undefined> {
  const token = needsToken(operation, input) ? await server.token(operation, input) : undefined;
  if (token !== undefined && !at.isPrivate) {
    throw invalid(`a token is sent over https, or to this machine, and not to ${at.name}`);
  }
  return token ?? server.apiKey;
}

interface Place {
  readonly name: string;
  /** Nobody between here and there can listen. */
  readonly isPrivate: boolean;
}

/** Whether a request that may have been done already does no harm when it is done again. */
function mayRepeat({ operation, input }: Request): boolean {
  return operation.idempotent === true || input.nonce !== undefined;
}

const REPEATING_MS = 30_000;

/** The same request again, while a server that was there is away for a moment. */
async function repeated(carrier: Transport, request: Request): Promise<unknown> {
  const end = monotonicMs() + REPEATING_MS;
  const pause = createBackoff(request.signal);
  for (;;) {
    try {
      return await carrier.once(request);
    } catch (error) {
      if (!carrier.isPassing(error) || monotonicMs() >= end || request.signal.aborted) throw error;
      await pause.wait();
    }
  }
}

/** A wait of any length as waits of a length that all between will let live; a server that restarts is asked again. */
async function waited(carrier: Transport, { operation, input, signal }: Request): Promise<unknown> {
  const end = typeof input.timeout === "number" ? monotonicMs() + input.timeout * 1_000 : Number.POSITIVE_INFINITY;
  const pause = createBackoff(signal);
  for (;;) {
    const left = Math.max(0, (end - monotonicMs()) / 1_000);
    const timeout = Math.min(left, WAIT_SECONDS, MAX_WAIT_SECONDS);
    try {
      const answer = await carrier.once({ operation, input: { ...input, timeout }, signal });
      pause.reset();
      const nothing = answer === null || operation.waits?.isTimeout?.(answer, input);
      if (!nothing || monotonicMs() >= end || signal.aborted) return answer;
    } catch (error) {
      if (signal.aborted) return operation.waits?.isTimeout === undefined ? null : [];
      if (!carrier.isPassing(error) || monotonicMs() >= end) throw error;
      await pause.wait();
    }
  }
}

/** A stream that ends by itself. Where it breaks, nobody knows how far it came, so it isn't begun again. */
async function* streamedOnce(carrier: Transport, request: Request): AsyncGenerator<unknown, void, void> {
  const { operation, signal } = request;
  try {
    for await (const { value } of carrier.stream(request, () => {})) {
      yield value;
      if (operation.output?.isLast?.(value)) return;
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  if (!signal.aborted) throw new IpcError("internal", `The server broke off its answer to ${operation.name}`, "busy");
}

/** A stream for as long as anybody reads it; after a break it goes on behind the last answer that came. */
async function* streamed(
  carrier: Transport,
  { operation, input, signal }: Request,
): AsyncGenerator<unknown, void, void> {
  const pause = createBackoff(signal);
  let asked = input;
  while (!signal.aborted) {
    try {
      for await (const { value, since } of carrier.stream({ operation, input: asked, signal }, pause.reset)) {
        yield value;
        if (since !== undefined) asked = { ...asked, since };
      }
    } catch (error) {
      if (signal.aborted) return;
      if (!carrier.isPassing(error)) throw error;
    }
    await pause.wait();
  }
}
