import type { Journal } from "../../core/session-store.ts";
import type { Log } from "./log.ts";
import type { State } from "./state.ts";

/** So many entries are told of, and no older ones. */
const KEPT_ENTRIES = 10_000;

/** The log of sessions, without what nobody is told. */
export function createJournal(log: Log): Journal {
  return {
    last: () => log.step(({ state }) => lastOf(state)),

    async after(seq, limit) {
      const look = () =>
        log.step(({ state }) => {
          const last = lastOf(state);
          if (seq > last || seq < Math.max(last - KEPT_ENTRIES, Math.min(state.forgotten, last))) return "gone";
          const first = state.entries[0]?.seq ?? state.entry + 1;
          if (seq + 1 < first) return "older";
          return state.entries.slice(seq + 1 - first, Math.min(seq + 1 - first + limit, last + 1 - first));
        });
      const found = await look();
      if (found === "gone") return undefined;
      if (found !== "older") return found;
      await log.recall();
      const recalled = await look();
      return typeof recalled === "string" ? undefined : recalled;
    },
  };
}

/** What came with an errand is told once that is done, as the entry in the channel of activity is told first. */
function lastOf({ entry, errands }: State): number {
  return Math.min(entry, ...[...errands.values()].map((errand) => errand.entry));
}
