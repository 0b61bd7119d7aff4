import type { NatsConnection } from "@nats-io/transport-node";
import type { Store } from "../core/store.ts";
import type { Topic, Wakeup } from "../core/waiting.ts";
import { createBells, createPoll } from "./bells.ts";

export interface NatsBells {
  readonly nats: NatsConnection;
  readonly subjectOf: (topic: Topic) => string;
  /** What was changed since it was last asked; undefined: anything. */
  readonly changes: Store["changes"];
}

/**
 * How often the store is asked whether somebody wrote whose ring wasn't heard: one that was killed between its commit and
 * its ring, or one at another server of a cluster that hadn't learned yet who listens.
 */
const CLOCK_MS = 2_000;

/** Bells between machines: a subject per topic, on which nothing is said but that it rings. */
export function createNatsBells({ nats, subjectOf, changes }: NatsBells): Wakeup {
  const bells = createBells();
  const ask = createPoll(bells, changes);
  const subscriptions = new Map<Topic, ReturnType<NatsConnection["subscribe"]>>();
  let clock: NodeJS.Timeout | undefined;
  let closed = false;

  /** What was rung before the server knew of it isn't heard: so it rings once by itself as soon as the server knows. */
  const listen = (topic: Topic): void => {
    const subscription = nats.subscribe(subjectOf(topic), { callback: () => bells.ring(topic) });
    subscriptions.set(topic, subscription);
    void nats.flush().then(
      () => bells.ring(topic),
      () => {},
    );
  };

  const hush = (topic: Topic): void => {
    if (!nats.isClosed()) subscriptions.get(topic)?.unsubscribe();
    subscriptions.delete(topic);
  };

  /** While a connection was away its bells were not heard. */
  const watchConnection = async (): Promise<void> => {
    for await (const { type } of nats.status()) {
      if (closed) return;
      if (type === "reconnect") bells.ringAll();
    }
  };
  void watchConnection();

  const disarmed = (topic: Topic): void => {
    if (!bells.has(topic)) hush(topic);
    if (subscriptions.size > 0) return;
    clearInterval(clock);
    clock = undefined;
  };

  return {
    ring(topic) {
      bells.ring(topic);
      if (!closed && !nats.isClosed()) nats.publish(subjectOf(topic));
    },

    arm(topic) {
      const first = !bells.has(topic);
      const bell = bells.arm(topic, () => disarmed(topic));
      clock ??= setInterval(ask, CLOCK_MS);
      if (first && !nats.isClosed()) listen(topic);
      return bell;
    },

    /** What was rung has left when this answers. */
    async [Symbol.asyncDispose]() {
      closed = true;
      clearInterval(clock);
      for (const topic of [...subscriptions.keys()]) hush(topic);
      if (!nats.isClosed()) await flushed(nats);
    },
  };
}

/** A bell may be lost: nobody waits longer than this for a server that is away. */
const FLUSH_MS = 1_000;

async function flushed(nats: NatsConnection): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, FLUSH_MS);
  await Promise.race([nats.flush().catch(() => {}), late]);
  clearTimeout(timer);
}
