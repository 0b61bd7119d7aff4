/** Runs a task once all earlier ones have ended or failed. Resolves and rejects as the task does. */
export type SerialQueue = <T>(task: () => Promise<T>) => Promise<T>;

/** Runs one task at a time, in order. A task that waits for a later one of the same queue never ends. */
export function createSerialQueue(): SerialQueue {
  let last: Promise<unknown> = Promise.resolve();
  return (task) => {
    const turn = last.then(task);
    last = turn.catch(() => {});
    return turn;
  };
}
