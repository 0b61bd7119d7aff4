import type { Endpoint } from "../operations/perform.ts";

/** Counts the requests that are on their way to a bus, so that it isn't closed before their answers are settled. */
export function createPendingRequests() {
  const pending = new Set<Promise<unknown>>();
  const pause = () => new Promise((resolve) => setImmediate(resolve));
  const add = <T>(answer: Promise<T>): Promise<T> => {
    const ended: Promise<unknown> = answer.then(forget, forget);
    function forget() {
      pending.delete(ended);
    }
    pending.add(ended);
    return answer;
  };
  return {
    track: ({ ask, settle }: Endpoint): Endpoint => ({
      ask: (...request) => add(ask(...request)),
      settle: (...answer) => add(settle(...answer)),
    }),
    /** Resolves once every request has been answered and settled. */
    async done(): Promise<void> {
      await pause();
      while (pending.size > 0) {
        await Promise.all(pending);
        await pause();
      }
    },
  };
}
