import { conflict } from "./core/errors.ts";
import { type Answering, type FollowUp, isStream, type Operation } from "./operations/operation.ts";
import type { Ask } from "./operations/perform.ts";

type Input = Readonly<Record<string, unknown>>;

/** Asks for one answer, and sees to what follows from it: who awaits it has it. */
export async function once(door: Ask, operation: Operation, input: Input, signal: AbortSignal): Promise<unknown> {
  signal.throwIfAborted();
  try {
    const answer = await door(operation, input, signal);
    if (!signal.aborted) {
      await settled(door, operation.after?.delivered?.(answer, input), signal);
      return await awaited(door, operation.after?.next?.(answer, input) ?? [], answer, signal);
    }
    const back = operation.after?.lost?.(answer, input);
    if (back !== undefined) await door(back.operation, back.input, new AbortController().signal);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  throw signal.reason;
}

/**
 * Asks for a stream, or again and again for what a wait brings. Each answer is settled when the next one is asked for:
 * whoever leaves the loop hasn't consumed the last.
 */
export async function* each<Answer>(
  door: Ask,
  operation: Answering<Answer>,
  input: Input,
  signal: AbortSignal,
): AsyncGenerator<NonNullable<Answer>, void, void> {
  try {
    for await (const answer of answers(door, operation, input, signal)) {
      yield answer as NonNullable<Answer>;
      await settled(door, operation.after?.delivered?.(answer, input), signal);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

async function* answers(door: Ask, operation: Operation, input: Input, signal: AbortSignal) {
  while (!signal.aborted) {
    const answer = await door(operation, input, signal);
    if (isStream(answer)) return yield* answer;
    if (answer !== null) yield answer;
  }
}

async function settled(door: Ask, settlement: FollowUp | undefined, signal: AbortSignal): Promise<void> {
  if (settlement === undefined) return;
  const { operation, input } = settlement;
  const after = await door(operation, input, signal);
  signal.throwIfAborted();
  const failure = operation.output?.failure?.(after, Object(input));
  if (failure !== undefined) throw conflict(failure);
}

/** What is waited for after an answer stands in its place: of several, the first. */
async function awaited(
  door: Ask,
  [first]: readonly FollowUp[],
  answer: unknown,
  signal: AbortSignal,
): Promise<unknown> {
  if (first === undefined) return answer;
  const after = await door(first.operation, first.input, signal);
  signal.throwIfAborted();
  return after;
}
