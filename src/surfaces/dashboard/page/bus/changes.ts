export type Topic =
  | "peers"
  | "commands"
  | "signals"
  | "channels"
  | "readings"
  | "thread"
  | "activity"
  | "traffic"
  | "link"
  | "session"
  | "place"
  | "clock";

/** Notifies the parts of the page about changes, at most once a frame. */
export interface Changes {
  touch(...topics: readonly Topic[]): void;
  subscribe(topics: readonly Topic[], changed: () => void): () => void;
}

/** A hidden page gets no frames, so it is updated at this interval. */
const HIDDEN_MS = 1_000;

export function createChanges(): Changes {
  const listeners = new Map<Topic, Set<() => void>>();
  const touched = new Set<Topic>();
  let due = false;

  const notify = (): void => {
    if (!due) return;
    due = false;
    const callbacks = new Set<() => void>();
    for (const topic of touched) for (const changed of listeners.get(topic) ?? []) callbacks.add(changed);
    touched.clear();
    for (const callback of callbacks) callback();
  };

  return {
    touch(...topics) {
      for (const topic of topics) touched.add(topic);
      if (due) return;
      due = true;
      if (document.hidden) setTimeout(notify, HIDDEN_MS);
      else requestAnimationFrame(notify);
    },
    subscribe(topics, changed) {
      for (const topic of topics) listeners.set(topic, (listeners.get(topic) ?? new Set()).add(changed));
      return () => {
        for (const topic of topics) listeners.get(topic)?.delete(changed);
      };
    },
  };
}
