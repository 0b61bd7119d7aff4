import type { Door } from "../../operations/perform.ts";

/** Knows what is being asked of a bus, so that nobody closes it under an answer that is put back. */
export interface Running {
  watch(door: Door): Door;
  /** Once nothing is asked any more, nor what follows from it. */
  done(): Promise<void>;
}

export function createRunning(): Running {
  const asked = new Set<Promise<unknown>>();
  const pause = () => new Promise((resolve) => setImmediate(resolve));
  return {
    watch: (door) => (operation, input, signal) => {
      const answer = door(operation, input, signal);
      const settled: Promise<unknown> = answer.then(forget, forget);
      function forget() {
        asked.delete(settled);
      }
      asked.add(settled);
      return answer;
    },
    async done() {
      await pause();
      while (asked.size > 0) {
        await Promise.all(asked);
        await pause();
      }
    },
  };
}
