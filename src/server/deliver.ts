import type { Caller } from "../core/access.ts";
import { invalid } from "../core/errors.ts";
import { publicInput } from "../operations/fields.ts";
import { type Context, isStream, type Operation, parseRequest, type Request } from "../operations/operation.ts";
import type { Endpoint } from "../operations/perform.ts";

/** The server's bus, asked by one caller. */
export type EndpointFor = (caller: Caller) => Endpoint;

/**
 * Writes an answer out, and says whether all of it was handed to a connection that still stands. A stream is iterated
 * here, too.
 */
export type HandOver = (answer: unknown) => boolean | Promise<boolean>;

export type Deliver = (request: Request, context: Context, handOver: HandOver) => Promise<void>;

const PATIENCE_MS = 1_000;

/**
 * Carries out requests for a server, whose connections may break: hands each answer over, then settles it, as delivered
 * or as lost. Until that is done, no other request of the same turn is answered. Streams aren't settled: their readers
 * confirm what has arrived.
 *
 *     const deliver = createDelivery(endpointFor);  // one per server
 *     await deliver(request, { caller, signal }, (answer) => write(answer));
 *
 * Throws what the operation and `handOver` throw; the surface words it.
 */
export function createDelivery(endpointFor: EndpointFor): Deliver {
  const settling = new Map<string, Promise<void>>();

  return async (request, { caller, signal }, handOver) => {
    const turn = request.operation.after?.turn?.(request.input);
    const before = turn === undefined ? undefined : settling.get(turn);
    if (before !== undefined) await Promise.race([before, patience()]);
    const endpoint = endpointFor(caller);
    const answer = await endpoint.ask(request, signal);
    const settle = async (): Promise<void> => {
      const isDelivered = await handOver(answer);
      if (!isStream(answer)) await endpoint.settle(request, answer, isDelivered, signal);
    };
    // Begun before a byte is written, so a client that has read the answer and asks again is behind it.
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

/** A client that doesn't read its answer keeps others of the same turn waiting for this long at most. */
function patience(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, PATIENCE_MS).unref());
}

/** Runs `act` for an operation, in its turn. */
export type SerialQueue = (operation: Operation, act: () => Promise<void>) => Promise<void>;

/**
 * Runs a connection's requests one by one, so that large answers are made as they are read. Reads of a closed connection
 * are skipped; writes still run.
 */
export function createSerialQueue(isOpen: () => boolean): SerialQueue {
  let last: Promise<void> = Promise.resolve();
  return (operation, act) => {
    const turn = last.then(async () => {
      if (isOpen() || !isRead(operation)) await act();
    });
    last = turn.catch(() => {});
    return turn;
  };
}

/** Whether the operation changes nothing until its answer has arrived. */
function isRead({ http }: Operation): boolean {
  return http?.startsWith("GET ") ?? false;
}

/** A request from a network, by the operation's verb. */
export function findRequest(operations: readonly Operation[], verb: unknown, input: unknown = {}): Request {
  const operation = operations.find(({ name, http }) => name === verb && http !== undefined);
  if (operation === undefined) throw invalid(`there is nothing called ${JSON.stringify(verb)} to ask for`);
  if (typeof input !== "object" || input === null || Array.isArray(input)) throw invalid("input must be a JSON object");
  return parseRequest(operation, Object.fromEntries(publicInput(operation.input.fields, input)));
}
