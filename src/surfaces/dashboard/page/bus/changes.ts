/** What parts of the page are about. */
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

/** Tells the parts of the page that what they show has changed: however often it does, once a frame. */
export interface Changes {
  touch(...topics: readonly Topic[]): void;
  /** Answers with how to stop. */
  on(topics: readonly Topic[], changed: () => void): () => void;
}

/** A page that nobody sees gets no frames; it is told now and then all the same. */
const HIDDEN_MS = 1_000;

export function createChanges(): Changes {
  const listeners = new Map<Topic, Set<() => void>>();
  const touched = new Set<Topic>();
  let due = false;

  const tell = (): void => {
    if (!due) return;
    due = false;
    const told = new Set<() => void>();
    for (const topic of touched) for (const changed of listeners.get(topic) ?? []) told.add(changed);
    touched.clear();
    for (const changed of told) changed();
  };

  return {
    touch(...topics) {
      for (const topic of topics) touched.add(topic);
      if (due) return;
      due = true;
      if (document.hidden) setTimeout(tell, HIDDEN_MS);
      else requestAnimationFrame(tell);
    },
    on(topics, changed) {
      for (const topic of topics) {
        const known = listeners.get(topic);
        if (known === undefined) listeners.set(topic, new Set([changed]));
        else known.add(changed);
      }
      return () => {
        for (const topic of topics) listeners.get(topic)?.delete(changed);
      };
    },
  };
}
