import { invalid } from "../core/errors.ts";
import { publicInput } from "../operations/fields.ts";
import { type Context, followUpOf, isStream, type Operation } from "../operations/operation.ts";

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

const PATIENCE_MS = 1_000;

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
  const settling = new Map<string, Promise<void>>();

  return async (operation, input, context, handOver) => {
    const turn = operation.after?.turn?.(input);
    const before = turn === undefined ? undefined : settling.get(turn);
    if (before !== undefined) await Promise.race([before, patience()]);
    const answer = await perform(operation, input, context);
    const settle = async (): Promise<void> => {
      const arrived = await handOver(answer);
      if (isStream(answer)) return;
      const settlement = followUpOf(operation, answer, input, arrived);
      if (settlement === undefined) return;
      await perform(settlement.operation, settlement.input, context);
    };
    // Begun before a byte is written: whoever has read the answer and asks again is behind it.
    const settled = settle();
    if (turn === undefined) return await settled;
    const over = settled.catch(() => {});
    settling.set(turn, over);
    try {
      await settled;
    } finally {
      if (settling.get(turn) === over) settling.delete(turn);
    }
  };
}

/** Who doesn't read its answer keeps others of the same turn waiting for so long, and no longer. */
function patience(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, PATIENCE_MS).unref());
}

/** Does what a connection asks for: `act` is the rest of it. */
export type SerialQueue = (operation: Operation, act: () => Promise<void>) => Promise<void>;

/**
 * Does one thing after the other, each when the one before has ended: so a connection's large answers are made as they are
 * read. For somebody who has gone nothing is looked up any more; what they asked to have changed is.
 */
export function createSerialQueue(isThere: () => boolean): SerialQueue {
  let last: Promise<void> = Promise.resolve();
  return (operation, act) => {
    const turn = last.then(async () => {
      if (isThere() || !isLook(operation)) await act();
    });
    last = turn.catch(() => {});
    return turn;
  };
}

/** What a look takes, it takes when that has arrived. */
function isLook({ http }: Operation): boolean {
  return http?.startsWith("GET ") ?? false;
}

export interface NamedRequest {
  readonly operation: Operation;
  readonly input: Readonly<Record<string, unknown>>;
}

/** What somebody on a network asks for by its verb. */
export function findRequest(operations: readonly Operation[], ask: unknown, input: unknown = {}): NamedRequest {
  const operation = operations.find(({ name, http }) => name === ask && http !== undefined);
  if (operation === undefined) throw invalid(`there is nothing called ${JSON.stringify(ask)} to ask for`);
  if (typeof input !== "object" || input === null || Array.isArray(input)) throw invalid("input must be a JSON object");
  return { operation, input: Object.fromEntries(publicInput(operation.input.fields, input)) };
}
