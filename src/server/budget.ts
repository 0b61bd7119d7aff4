import { IpcError } from "../core/errors.ts";

/** Each connection may buffer FREE_BYTES for free. Beyond that, all connections share MAX_BYTES. */
const FREE_BYTES = 64 * 1024;
const MAX_BYTES = 128 * 1024 * 1024;

/** The memory that unanswered requests may take, shared by all connections of a process. */
export interface BufferBudget {
  /** Records how much a connection buffers now. Returns whether it may read on; if not, calls `resume` once it may. */
  hold(connection: object, bytes: number, resume: () => void): boolean;
  release(connection: object): void;
}

export function createBufferBudget(maxBytes = MAX_BYTES): BufferBudget {
  const held = new Map<object, number>();
  const waiting = new Map<object, () => void>();
  let total = 0;

  const record = (connection: object, bytes: number) => {
    const shared = Math.max(0, bytes - FREE_BYTES);
    total += shared - (held.get(connection) ?? 0);
    if (shared === 0) held.delete(connection);
    else held.set(connection, shared);
    if (total > maxBytes || waiting.size === 0) return;
    const resumed = [...waiting.values()];
    waiting.clear();
    for (const resume of resumed) resume();
  };

  return {
    hold(connection, bytes, resume) {
      record(connection, bytes);
      if (total <= maxBytes || !held.has(connection)) return true;
      waiting.set(connection, resume);
      return false;
    },
    release(connection) {
      waiting.delete(connection);
      record(connection, 0);
    },
  };
}

export function tooManyLargeRequests(): IpcError {
  return new IpcError("internal", "too many large requests are on their way: try again in a moment", "busy");
}
