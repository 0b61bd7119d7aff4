import { type AnswerTo, hasFollowUp, isStream, type Operation, type Request } from "../operations/operation.ts";
import type { Endpoint } from "../operations/perform.ts";

/**
 * Writes an answer to the client. Resolves to whether all of it arrived, as far as the protocol can tell. If `needsProof`
 * is false, nothing depends on that, and it is enough to have written the answer. A stream is iterated by the callee.
 */
export type HandOver<A = unknown> = (answer: A, needsProof: boolean) => boolean | Promise<boolean>;

export type Deliver = <O extends Operation>(
  endpoint: Endpoint,
  request: Request<O>,
  signal: AbortSignal,
  handOver: HandOver<AnswerTo<O>>,
) => Promise<void>;

/** How long a reader that doesn't read its answer delays other requests of the same turn. */
const PATIENCE_MS = 1_000;

/** Answers are settled even after their request was aborted. */
const NEVER = new AbortController().signal;

/**
 * Carries out requests for a server, whose connections may break: asks the bus, hands the answer over, then settles it as
 * delivered or lost. Streams aren't settled: their readers confirm what has arrived. One delivery serves each bus.
 *
 * Requests of one turn, such as two reads of one agent and channel, see each other's follow-ups. This is no serial queue:
 * waits of one turn wait together, and a stuck reader delays the others only for PATIENCE_MS.
 *
 * Rejects with errors of the operation and of `handOver`; the surface words them.
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
    // Recorded before any byte is written: a reader who has the answer and asks again must wait until it is settled.
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
