import assert from "node:assert/strict";
import { statSync } from "node:fs";
import type { Store } from "../../src/core/store.ts";
import { agent, operator } from "./agents.ts";
import { newOrder } from "./orders.ts";
import { newPeer } from "./peers.ts";
import { all, assertGrowing, type Check, contents, fill, message } from "./place.ts";

const nonce = { signer: "herald", nonce: "n", digest: "digest", at: 1_795_200_000 };

/** Something of everything. */
async function furnish(store: Store): Promise<readonly number[]> {
  const ids = await fill(store, "a", "herald", "one", "two");
  ids.push(...(await fill(store, "kept", "bus", "alarm")));
  await store.messages.advance("a", "reader", ids[0] ?? 0);
  await store.agents.add(operator, "new");
  await store.agents.add(agent("herald", "chief"), "new");
  await store.sessions.connect(newPeer("bac-000001"), undefined);
  await store.commands.add([newOrder("cmd-1", { target: "bac-000001" })]);
  await store.signals.set({ name: "ready", data: 1, sender: "human", setAt: 1 });
  return ids;
}

async function others(store: Store) {
  const [peers, orders, signals] = await Promise.all([
    store.sessions.list(),
    store.commands.list({ limit: 1_000 }),
    store.signals.list(),
  ]);
  return {
    peers: peers.map(({ id }) => id),
    orders: orders.map(({ id }) => id),
    signals: signals.map(({ name }) => name),
  };
}

/** The parts of a bus that a reset removes, and those that stay. */
export function checkReset(check: Check): void {
  check("a reset removes all messages, peers, orders and signals, but for one channel", async (store, place) => {
    await furnish(store);
    const { removed } = await store.reset("kept");
    assert.equal(removed, 2);
    await using other = await place.open();
    assert.deepEqual(await contents(other.messages.allAfter(0, 10)), ["alarm"]);
    assert.deepEqual(
      (await other.messages.channels()).map(({ channel, count }) => [channel, count]),
      [["kept", 1]],
    );
    assert.deepEqual(await others(other), { peers: [], orders: [], signals: [] });
  });

  check("of resets in the same moment each has a backup of its own", async (store, place) => {
    await furnish(store);
    await using other = await place.open();
    const resets = await Promise.all([store, other, store, other].map(({ reset }) => reset("kept")));
    assert.equal(new Set(resets.map(({ backup }) => backup)).size, 4);
    assert.ok(resets.every(({ backup }) => statSync(backup).size > 0));
  });

  check("a reset leaves agents, watermarks and nonces, and ids go on", async (store) => {
    const ids = await furnish(store);
    const { id } = await store.messages.append(message("a", "herald", "once"), nonce);
    await store.messages.advance("a", "reader", id);
    await store.reset("kept");
    assert.deepEqual(
      (await store.agents.list()).map(({ name }) => name),
      ["chief", "herald"],
    );
    assert.deepEqual(await store.agents.firstOperator(), operator);
    assert.equal(await store.messages.watermark("a", "reader"), id);
    assert.deepEqual(await store.messages.append(message("a", "herald", "once"), nonce), { outcome: "repeated", id });
    assertGrowing([...ids, id, ...(await fill(store, "a", "herald", "after"))]);
    assert.deepEqual(await contents(store.messages.unread("a", "reader", all)), ["after"]);
  });

  check("a reset's backup is for its owner alone, and holds everything", async (store, place) => {
    const ids = await furnish(store);
    const before = process.umask(0);
    const { backup } = await store.reset("kept").finally(() => process.umask(before));
    assert.equal(statSync(backup).mode & 0o777, 0o600);
    await using old = await place.openBackup(backup);
    assert.deepEqual(await contents(old.messages.allAfter(0, 10)), ["one", "two", "alarm"]);
    assert.equal(await old.messages.watermark("a", "reader"), ids[0]);
    assert.equal((await old.agents.list()).length, 2);
    assert.deepEqual(await others(old), { peers: ["bac-000001"], orders: ["cmd-1"], signals: ["ready"] });
    assert.equal((await old.journal.after(0, 10))?.length, 3);
  });

  check("an empty store can be reset, and one that was, with a backup each", async (store) => {
    const first = await store.reset("kept");
    await new Promise((resolve) => setTimeout(resolve, 2));
    const second = await store.reset("kept");
    assert.deepEqual([first.removed, second.removed], [0, 0]);
    assert.notEqual(first.backup, second.backup);
    for (const { backup } of [first, second]) assert.ok(statSync(backup).size > 0);
  });

  check("after a reset the journal no longer knows what came before it", async (store) => {
    await furnish(store);
    const last = await store.journal.last();
    await store.reset("kept");
    assert.equal(await store.journal.after(last, 10), undefined);
    assert.deepEqual(await store.journal.after(await store.journal.last(), 10), []);
    const quiet = await store.journal.last();
    await store.reset("kept");
    assert.equal(await store.journal.after(quiet, 10), undefined, "though there was nothing but messages to remove");
  });

  check("nothing that comes while a reset works is lost: it is left, or in the backup", async (store, place) => {
    await using other = await place.open();
    for (let round = 0; round < 5; round++) {
      const sent: string[] = [];
      let done = false;
      const sending = (async () => {
        for (let n = 0; !done || n < 3; n++) {
          const content = `${round} ${n}`;
          await fill(n % 2 === 0 ? other : store, "a", "herald", content);
          await other.sessions.connect(newPeer(`bac-${round}-${n}`), undefined);
          await other.commands.add([newOrder(`cmd-${round}-${n}`)]);
          await other.signals.set({ name: `ready-${round}-${n}`, data: n, sender: "human", setAt: n });
          sent.push(content);
        }
      })();
      const { backup } = await store.reset("kept");
      done = true;
      await sending;
      await using old = await place.openBackup(backup);
      const there = new Set([
        ...(await contents(old.messages.after("a", 0, 1_000))),
        ...(await contents(store.messages.after("a", 0, 1_000))),
      ]);
      const [was, is] = [await everything(old), await everything(store)];
      for (const content of sent) {
        const key = content.replace(" ", "-");
        assert.ok(there.has(content), `message ${content}`);
        for (const name of [`bac-${key}`, `cmd-${key}`, `ready-${key}`]) assert.ok(was.has(name) || is.has(name), name);
      }
    }
  });
}

async function everything(store: Store): Promise<Set<string>> {
  const { peers, orders, signals } = await others(store);
  return new Set([...peers, ...orders, ...signals]);
}
