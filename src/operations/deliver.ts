import { type Context, isStream, type Operation } from "./operation.ts";

export type Perform = (operation: Operation, input: unknown, context: Context) => Promise<unknown>;

/**
 * What a surface does with an answer: writes it out, and says whether all of it was handed to a connection that still
 * stands. A stream is handed over as it is, for the surface to iterate.
 */
export type HandOver = (answer: unknown) => boolean | Promise<boolean>;

export type Deliver = (
  operation: Operation,
  input: Readonly<Record<string, unknown>>,
  context: Context,
  handOver: HandOver,
) => Promise<void>;

/**
 * For a server, which writes its answers to connections that may break: performs, hands the answer over, then sees to
 * what follows from it. `settle` where it arrived, `undelivered` where it didn't. Until that is done, no one else of the
 * same turn is answered. Of a stream nothing follows: who reads one says itself what has arrived.
 *
 *     const deliver = createDelivery(perform);  // one for each server
 *     await deliver(operation, input, { caller, signal }, (answer) => write(answer));
 *
 * Throws what `perform` and `handOver` throw, and leaves it to the surface to put it into words.
 */
export function createDelivery(perform: Perform): Deliver {
  const settling = new Map<string, Promise<unknown>>();

  return async (operation, input, context, handOver) => {
    const turn = operation.turn?.(input);
    if (turn !== undefined) await settling.get(turn);
    const answer = await perform(operation, input, context);
    const arrived = await handOver(answer);
    if (isStream(answer)) return;
    const settlement = arrived ? operation.settle?.(answer, input) : operation.undelivered?.(answer, input);
    if (settlement === undefined) return;
    const settled = perform(settlement.operation, settlement.input, context);
    if (turn === undefined) return void (await settled);
    settling.set(turn, settled);
    try {
      await settled;
    } finally {
      if (settling.get(turn) === settled) settling.delete(turn);
    }
  };
}
