/** Runs a task once all earlier ones have ended, however they ended. Resolves and rejects as the task does. */
export type SerialQueue = <T>(task: () => Promise<T>) => Promise<T>;

/**
 * A queue that runs one task at a time, in the order in which they were added. A task that waits for a later one of the
 * same queue never ends.
 *
 *     const inTurn = createSerialQueue();
 *     await Promise.all([inTurn(first), inTurn(second)]);
 */
export function createSerialQueue(): SerialQueue {
  let last: Promise<unknown> = Promise.resolve();
  return (task) => {
    const turn = last.then(task);
    last = turn.catch(() => {});
    return turn;
  };
}
