/** So much of what is on its way is always taken of each connection; the rest of all of them holds no more than this. */
const FREE_BYTES = 64 * 1024;
const MAX_BYTES = 128 * 1024 * 1024;

/** What all connections hold at once of requests that aren't answered yet, and who waits until there is less. */
export interface BufferBudget {
  /** Notes how much a connection holds now, and answers whether it may take more. If not, `resume` is called once it may. */
  hold(connection: object, bytes: number, resume: () => void): boolean;
  leave(connection: object): void;
}

export function createBufferBudget(most = MAX_BYTES): BufferBudget {
  const holding = new Map<object, number>();
  const waiting = new Map<object, () => void>();
  let held = 0;

  const note = (connection: object, bytes: number) => {
    const more = Math.max(0, bytes - FREE_BYTES);
    held += more - (holding.get(connection) ?? 0);
    if (more === 0) holding.delete(connection);
    else holding.set(connection, more);
    if (held > most || waiting.size === 0) return;
    const resumed = [...waiting.values()];
    waiting.clear();
    for (const resume of resumed) resume();
  };

  return {
    hold(connection, bytes, resume) {
      note(connection, bytes);
      if (held <= most || !holding.has(connection)) return true;
      waiting.set(connection, resume);
      return false;
    },
    leave(connection) {
      waiting.delete(connection);
      note(connection, 0);
    },
  };
}
