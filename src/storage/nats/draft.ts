import type { Change, MutableState, State } from "./state.ts";

/** One step on the sessions, as it is worked out: on all that is, and without waiting for anything. */
export interface Draft {
  readonly state: State;
  readonly at: number;
  put(change: Change): void;
}

export interface Job {
  readonly step: (draft: Draft) => unknown;
  readonly done: (result: unknown) => void;
  readonly failed: (error: unknown) => void;
}

/** What a step changes shows in the state at once, for the steps behind it, and can be taken back. */
export function createDraft(state: MutableState, at: number) {
  const made: { change: Change; undo: () => void }[] = [];
  const { entry } = state;
  let bytes = 0;

  const draft: Draft = {
    state,
    at,
    put(change) {
      made.push({ change, undo: state.apply(change, at) });
      bytes += JSON.stringify(change).length;
    },
  };

  const undo = (to: number): void => {
    for (const { undo } of made.splice(to).reverse()) undo();
  };

  return {
    /** The journal's number before. */
    entry,
    undo,
    bytes: () => bytes,
    changes: () => made.map(({ change }) => change),
    attempt(job: Job): () => void {
      const before = made.length;
      try {
        const result = job.step(draft);
        return () => job.done(result);
      } catch (error) {
        undo(before);
        return () => job.failed(error);
      }
    },
  };
}
