import assert from "node:assert/strict";
import type { Command, CommandEnd, Consequences, Store } from "../../src/core/store.ts";
import { connected, newOrder, take } from "./orders.ts";
import { type Check, contents } from "./place.ts";

const AT = 1_795_200_000.5;

const acked: CommandEnd = { status: "acked", result: { pid: 4711 }, at: AT + 1 };
const failed: CommandEnd = { status: "failed", result: { error: "no port" }, at: AT + 1 };

/** All that can follow from the end of an order that `bac-1` sent. */
function consequences(n = 1): Consequences {
  return {
    signal: { name: "work_done", data: { n }, sender: "bac-1", setAt: AT + n },
    activity: { channel: "activity", sender: "bac-1", content: `ended ${n}` },
    response: newOrder(`cmd-response-${n}`, { kind: "command_response", target: "bac-1", createdAt: AT + n }),
  };
}

/** The stored consequences of a command's end. */
async function told(store: Store) {
  const orders = await store.commands.list({ limit: 100 });
  return {
    signals: (await store.signals.list()).map(({ name, data }) => [name, data]),
    activity: await contents(store.messages.after("activity", 0, 100)),
    responses: orders.filter(({ kind }) => kind === "command_response").map(({ id }) => id),
  };
}

const state = (order: Command | undefined) => [order?.status, order?.attempts, order?.holder, order?.endedAt];

/** How orders end. */
export function checkOrderEnds(check: Check): void {
  for (const ending of [acked, failed]) {
    check(
      `an order that ${ending.status === "acked" ? "was done" : "failed"} is so with its result, and all follows`,
      async (store, place) => {
        await connected(store, "bac-1");
        await store.commands.add([newOrder("cmd-1")]);
        const taken = await store.commands.take("bac-1", AT, 5);
        assert.equal(await store.commands.end("cmd-1", ending, consequences()), "done");
        await using other = await place.open();
        const { status, result, at: endedAt } = ending;
        assert.deepEqual(await other.commands.find("cmd-1"), { ...taken, status, result, endedAt, leaseUntil: null });
        assert.deepEqual(await told(other), {
          signals: [["work_done", { n: 1 }]],
          activity: ["ended 1"],
          responses: ["cmd-response-1"],
        });
        assert.equal((await other.messages.after("activity", 0, 1))[0]?.timestamp, ending.at);
        assert.equal(await take(other, "bac-1", AT + 100), "cmd-response-1", "it is offered to nobody any more");
      },
    );

    check(
      `the first end counts: ${ending.status} again is the same, another is different, and nothing follows twice`,
      async (store, place) => {
        await connected(store, "bac-1");
        await using other = await place.open();
        await store.commands.add([newOrder("cmd-1")]);
        await store.commands.end("cmd-1", ending, consequences());
        const first = [await store.commands.find("cmd-1"), await told(store)];
        assert.equal(await other.commands.end("cmd-1", { ...ending, at: AT + 9 }, consequences(2)), "same");
        const different: CommandEnd[] = [
          { ...ending, result: null },
          { ...ending, result: { ...Object(ending.result), more: 1 } },
          { ...ending, status: ending.status === "acked" ? "failed" : "acked" },
        ];
        for (const one of different) assert.equal(await other.commands.end("cmd-1", one, consequences(2)), "different");
        assert.deepEqual([await store.commands.find("cmd-1"), await told(store)], first);
      },
    );
  }

  check("a result is the same whatever the order of its names", async (store) => {
    await store.commands.add([newOrder("cmd-1")]);
    await store.commands.end("cmd-1", { ...acked, result: { a: [1, { b: 2, c: null }], d: "x" } }, {});
    const same = { ...acked, result: { d: "x", a: [1, { c: null, b: 2 }] } };
    assert.equal(await store.commands.end("cmd-1", same, {}), "same");
    const other = { ...acked, result: { d: "x", a: [{ c: null, b: 2 }, 1] } };
    assert.equal(await store.commands.end("cmd-1", other, {}), "different");
  });

  check("an order that isn't there doesn't end, and nothing follows", async (store) => {
    assert.equal(await store.commands.end("cmd-1", acked, consequences()), "missing");
    assert.deepEqual(await told(store), { signals: [], activity: [], responses: [] });
  });

  check("an end and what follows from it are one step: where one can't be, none is", async (store) => {
    await connected(store, "bac-1");
    await store.commands.add([newOrder("cmd-1"), newOrder("cmd-response-1")]);
    await take(store, "bac-1");
    await assert.rejects(store.commands.end("cmd-1", acked, consequences()), "its response has an id that is taken");
    assert.deepEqual(state(await store.commands.find("cmd-1")), ["leased", 1, "bac-1", null]);
    assert.deepEqual(await told(store), { signals: [], activity: [], responses: [] });
  });

  check("of ends that race one counts, and follows", async (store, place) => {
    await using other = await place.open();
    for (let round = 0; round < 10; round++) {
      const id = `cmd-${round}`;
      await store.commands.add([newOrder(id)]);
      const outcomes = await Promise.all(
        [0, 1, 2, 3].map((n) =>
          (n % 2 === 0 ? store : other).commands.end(
            id,
            { ...acked, result: n },
            { activity: { channel: id, sender: "x", content: String(n) } },
          ),
        ),
      );
      assert.deepEqual(outcomes.toSorted(), ["different", "different", "different", "done"]);
      const winner = outcomes.indexOf("done");
      assert.equal((await store.commands.find(id))?.result, winner);
      assert.deepEqual(await contents(store.messages.after(id, 0, 10)), [String(winner)]);
    }
  });

  check("an order that nobody took can be ended, and one that expired or died still be done", async (store) => {
    await store.commands.add([
      newOrder("cmd-1"),
      newOrder("cmd-2", { expiresAt: AT }),
      newOrder("cmd-3", { target: "gone" }),
    ]);
    await store.commands.lapse(AT, 5);
    for (const id of ["cmd-1", "cmd-2", "cmd-3"]) {
      assert.equal(await store.commands.end(id, acked, {}), "done", id);
      assert.equal((await store.commands.find(id))?.status, "acked");
    }
  });

  check("what was handed out so often and came to nothing is dead, once its last lease ended", async (store) => {
    await connected(store, "bac-1");
    await store.commands.add([newOrder("cmd-1"), newOrder("cmd-2", { leaseSeconds: 1_000 })]);
    for (let n = 0; n < 3; n++) assert.equal((await store.commands.take("bac-1", AT + 10 * n, 3))?.attempts, n + 1);
    assert.deepEqual(await store.commands.lapse(AT + 29.9, 3), []);
    await store.commands.take("bac-1", AT + 29, 3);
    const dead = await store.commands.lapse(AT + 30, 3);
    assert.deepEqual(
      dead.map(({ id }) => id),
      ["cmd-1"],
    );
    assert.deepEqual(dead, [await store.commands.find("cmd-1")]);
    assert.deepEqual(state(dead[0]), ["dead", 3, "bac-1", AT + 30]);
    assert.deepEqual(await store.commands.lapse(AT + 30, 3), [], "it is told once");
    assert.equal(await store.commands.take("bac-1", AT + 1_100, 1), undefined, "taken as often as it may be");
  });

  check("what nobody took in its time is expired; what somebody holds may still be done", async (store, place) => {
    await connected(store, "bac-1");
    const expiresAt = AT + 5;
    await store.commands.add([
      newOrder("cmd-held", { expiresAt }),
      newOrder("cmd-free", { expiresAt }),
      newOrder("cmd-ever"),
    ]);
    assert.equal(await take(store, "bac-1", AT), "cmd-held");
    assert.deepEqual(await store.commands.lapse(AT + 4.9, 5), []);
    assert.equal(await take(store, "bac-1", AT + 5), "cmd-ever", "not one whose time is up, told so or not");
    await using other = await place.open();
    const ids = async (at: number) => (await other.commands.lapse(at, 5)).map(({ id, status }) => [id, status]);
    assert.deepEqual(await ids(AT + 5), [["cmd-free", "expired"]]);
    assert.equal((await store.commands.find("cmd-free"))?.endedAt, AT + 5);
    assert.deepEqual(await ids(AT + 10), [["cmd-held", "expired"]]);
  });

  check("of several who end what lapsed each order is told to one", async (store, place) => {
    await using other = await place.open();
    await store.commands.add(Array.from({ length: 20 }, (_, n) => newOrder(`cmd-${n}`, { expiresAt: AT })));
    const told = await Promise.all([store, other, store, other].map((one) => one.commands.lapse(AT, 5)));
    assert.equal(told.flat().length, 20);
    assert.equal(new Set(told.flat().map(({ id }) => id)).size, 20);
  });

  check(
    "what is dead, failed or expired can be offered again, from the beginning and without a time",
    async (store) => {
      await connected(store, "bac-1");
      await store.commands.add([
        newOrder("cmd-dead"),
        newOrder("cmd-failed"),
        newOrder("cmd-expired", { expiresAt: AT + 1 }),
      ]);
      await store.commands.take("bac-1", AT, 1);
      await store.commands.end("cmd-failed", failed, {});
      await store.commands.lapse(AT + 10, 1);
      for (const id of ["cmd-dead", "cmd-failed", "cmd-expired"]) {
        assert.equal((await store.commands.find(id))?.status, id.slice(4));
        assert.equal(await store.commands.retry(id), true);
        assert.deepEqual(state(await store.commands.find(id)), ["pending", 0, null, null]);
        assert.equal((await store.commands.find(id))?.result, null);
      }
      const taken = [
        await take(store, "bac-1", AT + 99),
        await take(store, "bac-1", AT + 99),
        await take(store, "bac-1", AT + 99),
      ];
      assert.deepEqual(taken, ["cmd-dead", "cmd-failed", "cmd-expired"]);
    },
  );

  check("what is on its way or done is not offered again, nor what nobody could take", async (store) => {
    await connected(store, "bac-1", "bac-2");
    await store.commands.add([
      newOrder("cmd-leased"),
      newOrder("cmd-pending"),
      newOrder("cmd-done"),
      newOrder("cmd-gone", { target: "bac-2" }),
    ]);
    await take(store, "bac-1");
    await store.commands.end("cmd-done", acked, {});
    await store.sessions.leave("bac-2", AT);
    for (const id of ["cmd-leased", "cmd-pending", "cmd-done", "cmd-gone", "cmd-none"]) {
      const before = await store.commands.find(id);
      assert.equal(await store.commands.retry(id), false, id);
      assert.deepEqual(await store.commands.find(id), before);
    }
  });

  check(
    "what ended long ago is forgotten, the longest ended first and so many at a time, and nothing else",
    async (store, place) => {
      const ids = Array.from({ length: 6 }, (_, n) => `cmd-${n}`);
      await store.commands.add([...ids, "cmd-open"].map((id) => newOrder(id)));
      for (const [n, id] of ids.entries()) await store.commands.end(id, { ...acked, at: AT + 6 - n }, {});
      assert.equal(await store.commands.forget(AT + 1, 10), 0);
      assert.equal(await store.commands.forget(AT + 5, 2), 2);
      await using other = await place.open();
      const left = async () => (await other.commands.list({ limit: 10 })).map(({ id }) => id);
      assert.deepEqual(await left(), ["cmd-0", "cmd-1", "cmd-2", "cmd-3", "cmd-open"]);
      assert.deepEqual([await other.commands.forget(AT + 5, 10), await other.commands.forget(AT + 5, 10)], [2, 0]);
      assert.deepEqual(await left(), ["cmd-0", "cmd-1", "cmd-open"]);
      assert.equal(await store.commands.find("cmd-5"), undefined);
    },
  );
}
