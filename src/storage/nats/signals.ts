import { IpcError } from "../../core/errors.ts";
import { BATCH_BYTES } from "../../core/limits.ts";
import type { Signal, SignalStore } from "../../core/store.ts";
import type { Draft } from "./log.ts";
import type { Sessions } from "./outbox.ts";
import { type Bodies, type Body, namesIn } from "./payloads.ts";
import type { SignalRecord } from "./state.ts";

/** What is set anew while it is read is looked at again, but not for ever. */
const MAX_LOOKS = 10;

export function createSignalStore({ log, bodies }: Sessions): SignalStore {
  return {
    async set(signal) {
      const data = await bodies.keep(signal.data);
      const before = await log.step((draft) => setSignal(draft, signal, data));
      if (before !== undefined) log.meanwhile(bodies.drop(namesIn(before)));
    },

    async get(name) {
      for (let looks = 0; looks < MAX_LOOKS; looks++) {
        const record = await log.step(({ state }) => state.signals.get(name));
        if (record === undefined) return undefined;
        const found = await asSignal(bodies, record);
        if (found !== undefined) return found;
      }
      throw new IpcError("internal", `what the signal ${name} held is gone from the NATS server: set or clear it`);
    },

    async list() {
      const records = await log.step(({ state }) => latest([...state.signals.values()]));
      const found = await Promise.all(records.map((record) => asSignal(bodies, record)));
      return found.flatMap((signal) => signal ?? []);
    },

    async clear(name) {
      const cleared = await log.step((draft) => {
        const record = draft.state.signals.get(name);
        if (record !== undefined) draft.put({ of: "signal", key: name, to: null, what: "cleared" });
        return record;
      });
      if (cleared !== undefined) log.meanwhile(bodies.drop(namesIn(cleared.data)));
      return cleared !== undefined;
    },
  };
}

/** Answers with what the signal held before. */
export function setSignal(draft: Draft, { name, sender, setAt }: Signal, data: Body): Body | undefined {
  const before = draft.state.signals.get(name);
  const to = { name, sender, setAt, data, since: draft.state.entry + 1 };
  draft.put({ of: "signal", key: name, to, what: "set" });
  return before?.data;
}

/** The latest last, up to an answer's size in bytes, and one at least. */
function latest(signals: readonly SignalRecord[]): SignalRecord[] {
  const newest = signals.toSorted((a, b) => b.setAt - a.setAt || (a.name < b.name ? 1 : -1));
  let bytes = 0;
  const fitting = newest.findIndex(({ data }, index) => {
    bytes += data.bytes;
    return index > 0 && bytes > BATCH_BYTES;
  });
  return newest.slice(0, fitting === -1 ? newest.length : fitting).reverse();
}

/** Undefined where it was set anew while it was read. */
export async function asSignal(
  bodies: Bodies,
  { since: _, data, ...signal }: SignalRecord,
): Promise<Signal | undefined> {
  const read = await bodies.read(data);
  return read && { ...signal, data: read.value };
}
