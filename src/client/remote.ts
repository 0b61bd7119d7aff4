import { IpcError, invalid } from "../core/errors.ts";
import { MAX_WAIT_SECONDS, WAIT_SECONDS } from "../core/limits.ts";
import { createBackoff, monotonicMs } from "../core/time.ts";
import { type AnswerTo, isWaiting, type Operation, type Request } from "../operations/operation.ts";
import type { Ask, Endpoint } from "../operations/perform.ts";
import { needsToken } from "./signer.ts";

export interface ServerTarget {
  readonly url: string;
  readonly apiKey: string | undefined;
  readonly token: TokenSource;
}

/** Makes a token for a request, if it can. */
export type TokenSource = (request: Request) => Promise<string | undefined>;

interface Item {
  readonly value: unknown;
  /** The position after the item, to resume a stream. */
  readonly since?: unknown;
}

/** Carries requests to a server and answers back, in one protocol. Throws on connection failures. */
interface Transport {
  /** Answers null if a wait timed out. */
  once(request: Request, signal: AbortSignal): Promise<unknown>;
  /** Calls `begun` when the server begins to answer. */
  stream(request: Request, signal: AbortSignal, begun: () => void): AsyncIterable<Item>;
  /** Whether the server has ever answered. */
  reached(): boolean;
  /** Whether a retry may succeed. */
  isPassing(error: unknown): boolean;
}

/** A bus behind a server. While a server that has answered before restarts, requests wait for it. */
export function createRemoteEndpoint(transport: Transport): Endpoint {
  const ask: Ask = async (request, signal) => {
    const { operation } = request;
    if (operation.http === undefined) {
      throw invalid(`${operation.name} works on the database itself: leave out --url and IPC_URL`);
    }
    const sent = withManualAck(request);
    if (operation.output?.isLast !== undefined) return trustAnswer(request, streamOnce(transport, sent, signal));
    if (operation.stream) return trustAnswer(request, stream(transport, sent, signal));
    if (isWaiting(request)) return trustAnswer(request, await wait(transport, sent, signal));
    const mayAskAgain = transport.reached() && mayRepeat(request);
    const answer = mayAskAgain ? await repeat(transport, sent, signal) : await transport.once(sent, signal);
    return trustAnswer(request, answer);
  };
  return {
    ask,
    // A lost answer needs no request: its lease on the server expires.
    async settle({ operation, input }, answer, isDelivered, signal) {
      const confirmation = isDelivered ? operation.after?.confirm?.(answer, input) : undefined;
      if (confirmation !== undefined) await ask(confirmation, signal);
    },
  };
}

/** Keeps the server from consuming what it sends; `settle` confirms it instead. */
function withManualAck(request: Request): Request {
  if (!("ack" in request.operation.input.fields)) return request;
  return { ...request, input: { ...request.input, ack: "manual" } };
}

/**
 * Types an answer from another process that runs the same table. Refuses only what no operation answers; further checks
 * are up to the reader.
 */
export function trustAnswer<O extends Operation>({ operation }: Request<O>, answer: unknown): AnswerTo<O> {
  const isPossible = typeof answer === "object" && (answer !== null || operation.waits !== undefined);
  if (isPossible) return answer as AnswerTo<O>;
  throw new IpcError("internal", "The server's answer is not what el-ipc answers; is that an el-ipc server?");
}

/** Returns a token if the request needs one, else the API key. Tokens are sent only over private connections. */
export async function credentialFor(
  request: Request,
  server: ServerTarget,
  place: { readonly name: string; readonly isPrivate: boolean },
): Promise<string | undefined> {
  const token = needsToken(request) ? await server.token(request) : undefined;
  if (token !== undefined && !place.isPrivate) {
    throw invalid(`a token is sent over https, or to this machine, and not to ${place.name}`);
  }
  return token ?? server.apiKey;
}

/** Whether sending a request twice does no harm. */
function mayRepeat({ operation, input }: Request): boolean {
  return operation.idempotent === true || input.nonce !== undefined;
}

const REPEATING_MS = 30_000;

/** Retries a request while the server is briefly down. */
async function repeat(transport: Transport, request: Request, signal: AbortSignal): Promise<unknown> {
  const end = monotonicMs() + REPEATING_MS;
  const pause = createBackoff(signal);
  for (;;) {
    try {
      return await transport.once(request, signal);
    } catch (error) {
      if (!transport.isPassing(error) || monotonicMs() >= end || signal.aborted) throw error;
      await pause.wait();
    }
  }
}

/** Splits a wait into ones short enough for proxies, and asks a restarting server again. */
async function wait(transport: Transport, request: Request, signal: AbortSignal): Promise<unknown> {
  const { operation, input } = request;
  const end = typeof input.timeout === "number" ? monotonicMs() + input.timeout * 1_000 : Number.POSITIVE_INFINITY;
  const pause = createBackoff(signal);
  for (;;) {
    const left = Math.max(0, (end - monotonicMs()) / 1_000);
    const timeout = Math.min(left, WAIT_SECONDS, MAX_WAIT_SECONDS);
    try {
      const answer = await transport.once({ ...request, input: { ...input, timeout } }, signal);
      pause.reset();
      const isTimeout = answer === null || operation.waits?.isTimeout?.(answer, input);
      if (!isTimeout || monotonicMs() >= end || signal.aborted) return answer;
    } catch (error) {
      if (signal.aborted) return operation.waits?.isTimeout === undefined ? null : [];
      if (!transport.isPassing(error) || monotonicMs() >= end) throw error;
      await pause.wait();
    }
  }
}

/** Reads a stream that ends by itself. It isn't restarted, since the position of a broken one is unknown. */
async function* streamOnce(
  transport: Transport,
  request: Request,
  signal: AbortSignal,
): AsyncGenerator<unknown, void, void> {
  const { operation } = request;
  try {
    for await (const { value } of transport.stream(request, signal, () => {})) {
      yield value;
      if (operation.output?.isLast?.(value)) return;
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  if (!signal.aborted) throw new IpcError("internal", `The server broke off its answer to ${operation.name}`, "busy");
}

/** Reads a stream without end. After a break it resumes after the last item. */
async function* stream(
  transport: Transport,
  request: Request,
  signal: AbortSignal,
): AsyncGenerator<unknown, void, void> {
  const pause = createBackoff(signal);
  let next = request;
  while (!signal.aborted) {
    try {
      for await (const { value, since } of transport.stream(next, signal, pause.reset)) {
        yield value;
        if (since !== undefined) next = { ...next, input: { ...next.input, since } };
      }
    } catch (error) {
      if (signal.aborted) return;
      if (!transport.isPassing(error)) throw error;
    }
    await pause.wait();
  }
}
