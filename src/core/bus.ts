import { createVerifier, type Verifier } from "./keys.ts";
import { type Brokers, type Link, NO_BROKERS, NO_LINK } from "./link.ts";
import { type AlarmBudget, createAlarmBudget } from "./security.ts";
import type { Store } from "./store.ts";
import { ANY_CHANGE, type Topic, type Wakeup } from "./waiting.ts";

export interface CardSettings {
  readonly name: string;
  readonly description: string;
  readonly url: string;
}

/** The owner's decisions. */
export interface Policy {
  readonly card: CardSettings;
  /** In secure mode: whether v1 signatures are still accepted. */
  readonly signatures: "any" | "v2";
  /** In secure mode: whether reading needs a token on this machine, too. */
  readonly readsNeedToken: boolean;
  /** Called when an operator is seeded. */
  readonly secured: () => void;
}

/** Everything that the rules in this folder work on. */
export interface Bus extends Policy, AsyncDisposable {
  readonly store: Store;
  readonly wakeup: Wakeup;
  readonly link: Link;
  readonly brokers: Brokers;
  readonly alarms: AlarmBudget;
  readonly verifyMessage: Verifier;
  /** Seconds since 1970, with a fraction. */
  readonly now: () => number;
  /** Wakes waiters for these topics and watchers of the whole bus. Call it after every committed change. */
  notify(changed?: Topic | readonly Topic[]): void;
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
    verifyMessage: createVerifier(),
    notify(changed) {
      if (typeof changed === "string") wakeup.ring(changed);
      else if (changed !== undefined) for (const topic of changed) wakeup.ring(topic);
      wakeup.ring(ANY_CHANGE);
    },
    async [Symbol.asyncDispose]() {
      await opened?.[Symbol.asyncDispose]();
      await wakeup[Symbol.asyncDispose]();
      await store[Symbol.asyncDispose]();
    },
  };
  let opened: Brokers | undefined;
  return bus;
}

/** Milliseconds until just after this time, in seconds since 1970. */
export function millisecondsUntil(bus: Bus, time: number | undefined): number | undefined {
  return time === undefined ? undefined : (time - bus.now()) * 1_000 + 1;
}
