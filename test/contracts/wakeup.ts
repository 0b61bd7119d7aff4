import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  ANY_CHANGE,
  type Bell,
  commandEndTopic,
  commandsTopic,
  isChannel,
  signalTopic,
  type Topic,
  type Wakeup,
  watermarkTopic,
} from "../../src/core/waiting.ts";
import { hostileNames } from "./place.ts";

/** Where the bells of one bus are. */
export interface Belfry extends AsyncDisposable {
  /** The bells as one process has them; each time anew, as another process would. */
  open(): Wakeup;
}

/** One name for a channel, a session, a command and a signal. */
const names = ["a", "reading", "orders", "a".repeat(200)];

/** Topics that are no channels. */
const others: readonly [string, Topic][] = [
  ["everything", ANY_CHANGE],
  ...names.flatMap((name): [string, Topic][] => {
    const short = name.slice(0, 8);
    return [
      [`the reading of ${short}`, watermarkTopic(name)],
      [`the orders of ${short}`, commandsTopic(name)],
      [`the end of the order ${short}`, commandEndTopic(name)],
      [`the signal ${short}`, signalTopic(name)],
    ];
  }),
];

/** How soon a bell must be heard. Below any clock, so that it was the bell and not the clock. */
const SOON_MS = 400;

const never = new AbortController().signal;

/** That this ends soon. */
export async function assertSoon(what: string, ended: Promise<unknown>): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<"late">();
  const timer = setTimeout(() => resolve("late"), SOON_MS);
  assert.notEqual(await Promise.race([ended, late]), "late", `${what}: not within ${SOON_MS} ms`);
  clearTimeout(timer);
}

/** That this bell, which was rung, is heard. */
export function assertHeard(bell: Bell): Promise<void> {
  return assertSoon("the bell is heard", bell.wait(never, 60_000));
}

/** The promises of every kind of bell: those of src/core/waiting.ts, beyond its signatures. */
export function wakeupContract(kind: string, build: () => Belfry): void {
  suite(`waking by ${kind}`, () => {
    const check = (sentence: string, body: (near: Wakeup, far: Wakeup) => Promise<void>) =>
      test(sentence, async () => {
        await using belfry = build();
        await using near = belfry.open();
        await using far = belfry.open();
        await body(near, far);
      });

    for (const where of ["this process", "another process"] as const) {
      const ringer = (near: Wakeup, far: Wakeup) => (where === "this process" ? near : far);

      check(`a ring of ${where} is heard by who waits`, async (near, far) => {
        using bell = near.arm("a");
        const heard = assertHeard(bell);
        await sleep(20);
        ringer(near, far).ring("a");
        await heard;
      });

      check(`a ring of ${where} between arming and waiting is heard`, async (near, far) => {
        using bell = near.arm("a");
        ringer(near, far).ring("a");
        await assertHeard(bell);
        ringer(near, far).ring("a");
        await sleep(20);
        await assertHeard(bell);
      });

      check(`a ring of ${where} between two waits is heard by the second`, async (near, far) => {
        using bell = near.arm("a");
        for (let round = 0; round < 20; round++) {
          ringer(near, far).ring("a");
          await assertHeard(bell);
        }
      });

      check(`everybody who waits for a channel hears a ring of ${where}`, async (near, far) => {
        using one = near.arm("a");
        using two = near.arm("a");
        using three = far.arm("a");
        using _elsewhere = near.arm("b");
        ringer(near, far).ring("a");
        await Promise.all([one, two, three].map(assertHeard));
      });

      check(`who stops to wait takes no ring of ${where} from the others`, async (near, far) => {
        using stays = near.arm("a");
        near.arm("a")[Symbol.dispose]();
        far.arm("a")[Symbol.dispose]();
        ringer(near, far).ring("a");
        await assertHeard(stays);
      });

      check(`a channel that was waited for before can be waited for again, and hears ${where}`, async (near, far) => {
        for (let round = 0; round < 5; round++) {
          using bell = near.arm("a");
          ringer(near, far).ring("a");
          await assertHeard(bell);
        }
      });
    }

    for (const [what, topic] of others) {
      check(`a ring for ${what} is heard, here and elsewhere`, async (near, far) => {
        for (const ringer of [near, far, near]) {
          using here = near.arm(topic);
          using there = far.arm(topic);
          ringer.ring(topic);
          await Promise.all([here, there].map(assertHeard));
        }
      });

      check(`a ring for ${what} wakes nobody who waits for something else`, async (near, far) => {
        const elsewhere = [...others.map(([, other]) => other).filter((other) => other !== topic), ...names];
        const bells = elsewhere.map((other) => ({ other, bell: near.arm(other) }));
        // The files were only just made: what that itself tells a watcher comes first.
        await Promise.all(bells.map(({ bell }) => bell.wait(never, 50)));
        far.ring(topic);
        near.ring(topic);
        const started = performance.now();
        await Promise.race(bells.map(({ bell }) => bell.wait(never, 250)));
        assert.ok(performance.now() - started > 240, "somebody was woken");
        for (const { bell } of bells) bell[Symbol.dispose]();
      });
    }

    for (const name of hostileNames) {
      check(`any channel's ring is heard: ${JSON.stringify(name).slice(0, 20)}`, async (near, far) => {
        using bell = near.arm(name);
        far.ring(name);
        await assertHeard(bell);
      });
    }

    check("no topic is another's, and none but a channel's name is taken for one", async () => {
      const topics = [...names, ...others.map(([, topic]) => topic)];
      assert.equal(new Set(topics).size, topics.length);
      assert.deepEqual(topics.filter(isChannel), names);
      for (const name of hostileNames) assert.ok(isChannel(name), name);
    });

    check("a ring that nobody waits for does nothing", async (near, far) => {
      near.ring("a");
      far.ring("b");
    });

    check("ringing never fails, not even once it is closed", async (near, far) => {
      await near[Symbol.asyncDispose]();
      near.ring("a");
      far.ring("a");
    });

    check("a wait ends when its time is up", async (near) => {
      using bell = near.arm("a");
      for (const milliseconds of [0, 1, 60]) {
        const started = performance.now();
        await bell.wait(never, milliseconds);
        assert.ok(performance.now() - started >= milliseconds - 2);
      }
    });

    check("a wait of more milliseconds than a timer can count is one", async (near) => {
      using bell = near.arm("a");
      // Skip what arming itself may ring.
      await bell.wait(never, 50);
      let ended = false;
      const aborting = new AbortController();
      const waited = bell.wait(aborting.signal, 2 ** 40).then(() => {
        ended = true;
      });
      await sleep(50);
      assert.equal(ended, false);
      aborting.abort();
      await waited;
    });

    check("a wait ends when it is given up, at once", async (near) => {
      using bell = near.arm("a");
      const aborting = new AbortController();
      const waited = bell.wait(aborting.signal);
      setTimeout(() => aborting.abort(), 20);
      await assertSoon("the wait ends", waited);
      await assertSoon("a wait that was given up before ends", bell.wait(aborting.signal));
    });

    check("a wait that was given up leaves the bell in order", async (near, far) => {
      using bell = near.arm("a");
      await bell.wait(AbortSignal.abort());
      far.ring("a");
      await assertHeard(bell);
    });
  });
}
