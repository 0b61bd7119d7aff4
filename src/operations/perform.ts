import { admit } from "../core/access.ts";
import type { Bus } from "../core/bus.ts";
import { isIpcError } from "../core/errors.ts";
import { raiseAlarm } from "../core/security.ts";
import { parseInput } from "./fields.ts";
import { type Answering, type Context, isStoreless, type Operation, type StorelessBus } from "./operation.ts";

/**
 * The one door to the bus: what was asked is checked, who may not ask it is refused, then it is done. Answers with the
 * operation's answer or, for a stream, with an async iterable of them. A refusal is an alarm for the operators.
 */
export async function perform(bus: Bus, operation: Operation, input: unknown, context: Context): Promise<unknown> {
  const asked = parseInput(operation.input.fields, input);
  try {
    const { level, subject } = operation.access;
    await admit(bus, level, subject?.(asked) ?? asked, context.caller);
    return await operation.run(bus, asked, context);
  } catch (error) {
    const { channel, sender } = asked;
    const attempt = { operation: operation.name, channel, sender, from: context.caller.from };
    if (isIpcError(error)) await raiseAlarm(bus, error, attempt);
    throw error;
  }
}

/** Performs an operation that needs no store. Nobody is refused: only this process asks without a bus. */
export async function performStoreless(
  bus: StorelessBus,
  operation: Operation,
  input: unknown,
  context: Context,
): Promise<unknown> {
  if (!isStoreless(operation)) throw new Error(`${operation.name} needs a store`);
  return await operation.run(bus, parseInput(operation.input.fields, input), context);
}

/** The same door, near or far, for who doesn't care which. */
export type Ask = (operation: Operation, input: unknown, signal: AbortSignal) => Promise<unknown>;

/** Asks for one answer of which one knows what it is: what `run` answers here, or in a server of the same table. */
export async function askOne<Answer>(
  door: Ask,
  operation: Answering<Answer>,
  input: object,
  signal: AbortSignal,
): Promise<Answer> {
  return (await door(operation, input, signal)) as Answer;
}
