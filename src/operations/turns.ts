import type { Operation } from "./operation.ts";

/** Does what a connection asks for: `act` is the rest of it. */
export type InTurn = (operation: Operation, act: () => Promise<void>) => Promise<void>;

/**
 * Does one thing after the other, each when the one before has ended: so a connection's large answers are made as they are
 * read. For somebody who has gone nothing is looked up any more; what they asked to have changed is.
 */
export function createTurns(isThere: () => boolean): InTurn {
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
