import type { Store } from "./store.ts";
import type { Wakeup } from "./wakeup.ts";

/** What describes this bus to strangers, in its agent card. */
export interface CardSettings {
  readonly name: string;
  readonly description: string;
  readonly url: string;
}

/** All that the rules in this folder work on. */
export interface Bus extends AsyncDisposable {
  readonly store: Store;
  readonly wakeup: Wakeup;
  readonly card: CardSettings;
  /** Seconds since 1970, with a fraction. */
  readonly now: () => number;
}

export function createBus(parts: { store: Store; wakeup: Wakeup; card: CardSettings; now: () => number }): Bus {
  return {
    ...parts,
    async [Symbol.asyncDispose]() {
      await parts.wakeup[Symbol.asyncDispose]();
      await parts.store[Symbol.asyncDispose]();
    },
  };
}

/** For an operation that works on nothing stored. */
export const noBus: Bus = {
  get store(): Store {
    throw new Error("there is no store here");
  },
  get wakeup(): Wakeup {
    throw new Error("there is no wake-up here");
  },
  card: { name: "", description: "", url: "" },
  now: () => Date.now() / 1_000,
  async [Symbol.asyncDispose]() {},
};
