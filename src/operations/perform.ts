import { admit } from "../core/access.ts";
import { isSecure } from "../core/agents.ts";
import type { Bus } from "../core/bus.ts";
import { parseInput } from "./input.ts";
import type { Context, Operation } from "./operation.ts";

/**
 * The one door to the bus: who may not ask is refused, what was asked is checked, then it is done. Answers with the
 * operation's answer or, for a stream, with an async iterable of them.
 */
export async function perform(bus: Bus, operation: Operation, input: unknown, context: Context): Promise<unknown> {
  if (context.caller.from === "beyond") admit(operation.access, context.caller, await isSecure(bus));
  return operation.run(bus, parseInput(operation.input, input), context);
}

/** The same door, near or far, for who doesn't care which. */
export type Door = (operation: Operation, input: unknown, signal: AbortSignal) => Promise<unknown>;
