import { conflict } from "./core/errors.ts";
import {
  failureOf,
  type ItemOf,
  isStream,
  type NextRequest,
  type Operation,
  type Request,
} from "./operations/operation.ts";
import type { Endpoint } from "./operations/perform.ts";

/** Makes requests, and asks them. */
export interface Asker extends Endpoint {
  prepare<O extends Operation>(operation: O, input: object): Request<O>;
}

/** Asks for one answer, and does what follows from it: the caller that awaits it has it. */
export async function askOnce(bus: Asker, operation: Operation, input: object, signal: AbortSignal): Promise<unknown> {
  signal.throwIfAborted();
  try {
    const request = bus.prepare(operation, input);
    const answer = await bus.ask(request, signal);
    await bus.settle(request, answer, !signal.aborted, signal.aborted ? new AbortController().signal : signal);
    signal.throwIfAborted();
    return await askNext(bus, operation.after?.next?.(answer, request.input) ?? [], answer, signal);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  throw signal.reason;
}

/**
 * Asks for a stream, or again and again for what a wait brings. Each item is settled when the next one is asked for: a
 * caller that leaves the loop hasn't consumed the last.
 */
export async function* askEach<O extends Operation>(
  bus: Asker,
  operation: O,
  input: object,
  signal: AbortSignal,
): AsyncGenerator<NonNullable<ItemOf<O>>, void, void> {
  try {
    const request = bus.prepare(operation, input);
    for await (const item of itemsOf(bus, request, signal)) {
      yield item as NonNullable<ItemOf<O>>;
      await bus.settle(request, item, true, signal);
      signal.throwIfAborted();
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

async function* itemsOf(bus: Endpoint, request: Request, signal: AbortSignal) {
  while (!signal.aborted) {
    const answer = await bus.ask(request, signal);
    if (isStream(answer)) return yield* answer;
    if (answer !== null) yield answer;
  }
}

/** Asks the first of the next requests. Answers with its answer where that is shown, else with the one before. */
async function askNext(
  bus: Endpoint,
  [first]: readonly NextRequest[],
  answer: unknown,
  signal: AbortSignal,
): Promise<unknown> {
  if (first === undefined) return answer;
  const next = await bus.ask(first.request, signal);
  signal.throwIfAborted();
  if (first.isShown) return next;
  const failure = failureOf(first.request, next);
  if (failure !== undefined) throw conflict(failure);
  return answer;
}
