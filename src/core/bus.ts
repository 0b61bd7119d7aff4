import { type Brokers, type Link, NO_BROKERS, NO_LINK } from "./link.ts";
import { type AlarmBudget, createAlarmBudget } from "./security.ts";
import type { Store } from "./store.ts";
import type { Wakeup } from "./waiting.ts";

/** What describes this bus to strangers, in its agent card. */
export interface CardSettings {
  readonly name: string;
  readonly description: string;
  readonly url: string;
}

/** What its owner decided about it. */
export interface Policy {
  readonly card: CardSettings;
  /** In secure mode, whether v1 signatures are still taken. */
  readonly signatures: "any" | "v2";
  /** In secure mode, whether those on this machine need a token to read. */
  readonly readsNeedToken: boolean;
  /** Called when the bus has got an operator. */
  readonly secured: () => void;
}

/** All that the rules in this folder work on. */
export interface Bus extends Policy, AsyncDisposable {
  readonly store: Store;
  readonly wakeup: Wakeup;
  readonly link: Link;
  readonly brokers: Brokers;
  readonly alarms: AlarmBudget;
  /** Seconds since 1970, with a fraction. */
  readonly now: () => number;
}

export interface BusParts {
  readonly store: Store;
  readonly wakeup: Wakeup;
  readonly link?: Link;
  readonly brokers?: (bus: Bus) => Brokers;
  readonly policy: Policy;
  readonly now: () => number;
}

export function createBus({ store, wakeup, link = NO_LINK, brokers, policy, now }: BusParts): Bus {
  const bus: Bus = {
    ...policy,
    store,
    wakeup,
    link,
    get brokers() {
      opened ??= brokers?.(bus) ?? NO_BROKERS;
      return opened;
    },
    now,
    alarms: createAlarmBudget(),
    async [Symbol.asyncDispose]() {
      await opened?.[Symbol.asyncDispose]();
      await wakeup[Symbol.asyncDispose]();
      await store[Symbol.asyncDispose]();
    },
  };
  let opened: Brokers | undefined;
  return bus;
}

/** For an operation that works on nothing stored. */
export function busWithoutStore(link: Link): Bus {
  return {
    get store(): Store {
      throw new Error("there is no store here");
    },
    get wakeup(): Wakeup {
      throw new Error("there is no wake-up here");
    },
    link,
    brokers: NO_BROKERS,
    card: { name: "", description: "", url: "" },
    signatures: "any",
    readsNeedToken: false,
    secured: () => {},
    alarms: createAlarmBudget(),
    now: () => Date.now() / 1_000,
    async [Symbol.asyncDispose]() {},
  };
}
