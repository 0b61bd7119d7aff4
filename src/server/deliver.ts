import { type AnswerTo, hasFollowUp, isStream, type Operation, type Request } from "../operations/operation.ts";
import type { Endpoint } from "../operations/perform.ts";

/**
 * Writes an answer to the client. Resolves to whether all of it arrived, as far as the protocol can tell. Where nothing
 * follows from that, `needsProof` is false, and it is enough to have written the answer. A stream is handed over as it is,
 * to be iterated.
 */
export type HandOver<A = unknown> = (answer: A, needsProof: boolean) => boolean | Promise<boolean>;

export type Deliver = <O extends Operation>(
  endpoint: Endpoint,
  request: Request<O>,
  signal: AbortSignal,
  handOver: HandOver<AnswerTo<O>>,
) => Promise<void>;

/** How long a reader that doesn't take its answer keeps others of the same turn waiting. */
const PATIENCE_MS = 1_000;

/** An answer is settled whatever has become of its request. */
const NEVER = new AbortController().signal;

/**
 * Carries out requests for a server, whose connections may break: asks the bus, hands the answer over, then settles it, as
 * delivered or as lost. Streams aren't settled: their readers confirm what has arrived.
 *
 *     const deliver = createDelivery();  // one for each bus
 *     await deliver(endpoint, request, signal, (answer) => write(answer));
 *
 * Requests of one turn, such as two reads of one agent and channel, see each other's follow-ups. This is no serial queue:
 * waits of one turn wait together, and a reader that is stuck delays the others only for PATIENCE_MS.
 *
 * Rejects with what the operation and `handOver` threw; the surface puts that into words.
 */
export function createDelivery(): Deliver {
  /** The latest answer of each turn that is being handed over and settled. */
  const settling = new Map<string, Promise<void>>();

  const settle = async <A>(endpoint: Endpoint, request: Request, answer: A, handOver: HandOver<A>) => {
    const needsProof = !isStream(answer) && hasFollowUp(request.operation);
    const isDelivered = await handOver(answer, needsProof);
    if (needsProof) await endpoint.settle(request, answer, isDelivered, NEVER);
  };

  return async (endpoint, request, signal, handOver) => {
    const turn = request.operation.after?.turn?.(request.input);
    const earlier = turn === undefined ? undefined : settling.get(turn);
    if (earlier !== undefined) await Promise.race([earlier, pause()]);
    const answer = await endpoint.ask(request, signal);
    // Recorded before a byte is written, so that a reader who has the answer and asks again waits until it is settled.
    const settled = settle(endpoint, request, answer, handOver);
    if (turn === undefined) return await settled;
    const ended = settled.catch(() => {});
    settling.set(turn, ended);
    try {
      await settled;
    } finally {
      if (settling.get(turn) === ended) settling.delete(turn);
    }
  };
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, PATIENCE_MS).unref());
}
