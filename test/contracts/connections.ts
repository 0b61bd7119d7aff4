import assert from "node:assert/strict";
import { openSeveral } from "../support/store.ts";
import { operator } from "./agents.ts";
import { assertGrowing, type Check, contents, fill } from "./place.ts";

export function checkConnections(check: Check): void {
  check("everything is there after it was closed and opened again, and ids go on", async (store, place) => {
    const ids = await fill(store, "a", "herald", "one", "two");
    await store.messages.advance("a", "reader", ids[0] ?? 0);
    await store.agents.add(operator, "new");
    await store[Symbol.asyncDispose]();
    await using again = await place.open();
    assert.deepEqual(await contents(again.messages.after("a", 0, 10)), ["one", "two"]);
    assert.equal(await again.messages.watermark("a", "reader"), ids[0]);
    assert.deepEqual(await again.agents.list(), [operator]);
    assert.deepEqual(
      (await again.messages.channels()).map(({ channel, count }) => [channel, count]),
      [["a", 2]],
    );
    assertGrowing([...ids, ...(await fill(again, "a", "herald", "three"))]);
  });

  check("closing waits for what was asked before", async (store, place) => {
    const sent = Promise.all(["one", "two", "three"].map((content) => fill(store, "a", "herald", content)));
    await store[Symbol.asyncDispose]();
    assert.equal((await sent).length, 3);
    await using again = await place.open();
    assert.equal(await again.messages.pending("a", "reader"), 3);
  });

  check("what one connection has stored every other sees at once", async (store, place) => {
    await using other = await place.open();
    for (let round = 0; round < 50; round++) {
      const [id] = await fill(round % 2 === 0 ? store : other, "a", "herald", `m${round}`);
      const seen = await (round % 2 === 0 ? other : store).messages.unread("a", "reader", {
        limit: 1_000,
        others: false,
      });
      assert.equal(seen.at(-1)?.id, id);
    }
  });

  check("a reader beside several writers misses nothing and sees ids only grow", async (store, place) => {
    await using writers = await openSeveral(3, () => place.open());
    let done = false;
    const written = Promise.all(
      writers.map(async (writer, index) => {
        for (let n = 0; n < 100; n++) await fill(writer, "a", `writer-${index}`, `${index} ${n}`);
      }),
    ).finally(() => {
      done = true;
    });
    const seen: { id: number; content: string }[] = [];
    for (let last = false; !last; ) {
      last = done;
      for (const found of await store.messages.after("a", seen.at(-1)?.id ?? 0, 7)) {
        seen.push(found);
        last = false;
      }
      await new Promise(setImmediate);
    }
    await written;
    assertGrowing(seen.map(({ id }) => id));
    for (const [index] of writers.entries()) {
      const mine = seen.filter(({ content }) => content.startsWith(`${index} `)).map(({ content }) => content);
      assert.deepEqual(
        mine,
        Array.from({ length: 100 }, (_, n) => `${index} ${n}`),
      );
    }
  });
}
