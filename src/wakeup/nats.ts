import type { NatsConnection } from "@nats-io/transport-node";
import type { Store } from "../core/store.ts";
import type { Topic, Wakeup } from "../core/waiting.ts";
import { createBells, createPoll } from "./bells.ts";

interface NatsBells {
  readonly nats: NatsConnection;
  readonly subjectOf: (topic: Topic) => string;
  readonly changes: Store["changes"];
}

/**
 * How often the store is asked for changes whose ring wasn't heard: a process may be killed between its commit and its
 * ring, and a server of a cluster may not know yet who listens.
 */
const POLL_MS = 2_000;

/** Bells between machines: a subject for each topic, and messages without content. */
export function createNatsBells({ nats, subjectOf, changes }: NatsBells): Wakeup {
  const bells = createBells();
  const ask = createPoll(bells, changes);
  const subscriptions = new Map<Topic, ReturnType<NatsConnection["subscribe"]>>();
  let poll: NodeJS.Timeout | undefined;
  let isClosed = false;

  /** Rings once the server knows of the subscription, for rings that came before it. */
  const subscribe = (topic: Topic): void => {
    const subscription = nats.subscribe(subjectOf(topic), { callback: () => bells.ring(topic) });
    subscriptions.set(topic, subscription);
    void nats.flush().then(
      () => bells.ring(topic),
      () => {},
    );
  };

  const unsubscribe = (topic: Topic): void => {
    if (!nats.isClosed()) subscriptions.get(topic)?.unsubscribe();
    subscriptions.delete(topic);
  };

  /** Rings all bells after a reconnect, since none was heard meanwhile. */
  const watchConnection = async (): Promise<void> => {
    for await (const { type } of nats.status()) {
      if (isClosed) return;
      if (type === "reconnect") bells.ringAll();
    }
  };
  void watchConnection();

  const disarm = (topic: Topic): void => {
    if (!bells.has(topic)) unsubscribe(topic);
    if (subscriptions.size > 0) return;
    clearInterval(poll);
    poll = undefined;
  };

  return {
    ring(topic) {
      bells.ring(topic);
      if (!isClosed && !nats.isClosed()) nats.publish(subjectOf(topic));
    },

    arm(topic) {
      const isFirst = !bells.has(topic);
      const bell = bells.arm(topic, () => disarm(topic));
      poll ??= setInterval(ask, POLL_MS);
      if (isFirst && !nats.isClosed()) subscribe(topic);
      return bell;
    },

    async [Symbol.asyncDispose]() {
      isClosed = true;
      clearInterval(poll);
      for (const topic of [...subscriptions.keys()]) unsubscribe(topic);
      if (!nats.isClosed()) await flush(nats);
    },
  };
}

const FLUSH_MS = 1_000;

/** Waits until all rings have left, but not for a server that doesn't answer: a ring may be lost. */
async function flush(nats: NatsConnection): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, FLUSH_MS);
  await Promise.race([nats.flush().catch(() => {}), late]);
  clearTimeout(timer);
}
