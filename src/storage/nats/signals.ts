import type { Signal, SignalStore } from "../../core/store.ts";
import { fault } from "./connection.ts";
import type { Transaction } from "./log.ts";
import type { Context } from "./outbox.ts";
import { namesIn, oldestFirst, type Payload, type Payloads } from "./payloads.ts";
import type { SignalRecord } from "./state.ts";

/** A signal may be set again while it is read. */
const MAX_READS = 10;

export function createSignalStore({ log, payloads }: Context): SignalStore {
  return {
    async set(signal) {
      const data = await payloads.store(signal.data);
      const before = await log.step((transaction) => setSignal(transaction, signal, data));
      if (before !== undefined) log.inBackground(payloads.drop(namesIn(before)));
    },

    async get(name) {
      for (let reads = 0; reads < MAX_READS; reads++) {
        const record = await log.step(({ state }) => state.signals.get(name));
        if (record === undefined) return undefined;
        const signal = await loadSignal(payloads, record);
        if (signal !== undefined) return signal;
      }
      throw fault(`the data of signal ${name} was removed from the NATS server: set or clear the signal`);
    },

    async list() {
      const records = await log.step(({ state }) => latestSignals([...state.signals.values()]));
      const found = await Promise.all(records.map((record) => loadSignal(payloads, record)));
      return found.flatMap((signal) => signal ?? []);
    },

    async clear(name) {
      const cleared = await log.step(({ state, put }) => {
        const record = state.signals.get(name);
        if (record !== undefined) put({ of: "signal", key: name, to: null, what: "cleared" });
        return record;
      });
      if (cleared !== undefined) log.inBackground(payloads.drop(namesIn(cleared.data)));
      return cleared !== undefined;
    },
  };
}

/** Returns the data that the signal had before. */
export function setSignal({ state, put }: Transaction, { name, sender, setAt }: Signal, data: Payload) {
  const before = state.signals.get(name);
  put({ of: "signal", key: name, to: { name, sender, setAt, data, since: state.entry + 1 }, what: "set" });
  return before?.data;
}

/** The latest last, up to an answer's size, but at least one. */
function latestSignals(signals: readonly SignalRecord[]): SignalRecord[] {
  const newest = signals.toSorted((a, b) => b.setAt - a.setAt || (a.name < b.name ? 1 : -1));
  return oldestFirst(newest, ({ data }) => [data]);
}

/** Undefined where the signal was set again meanwhile. */
export async function loadSignal(
  payloads: Payloads,
  { since: _, data, ...signal }: SignalRecord,
): Promise<Signal | undefined> {
  const loaded = await payloads.load(data);
  return loaded && { ...signal, data: loaded.value };
}
