import assert from "node:assert/strict";
import { BATCH_BYTES } from "../../src/core/limits.ts";
import type { Command, NewCommand, Store } from "../../src/core/store.ts";
import { openSeveral } from "../support/store.ts";
import { newPeer } from "./peers.ts";
import { type Check, hostileNames } from "./place.ts";

const AT = 1_795_200_000.5;

/** An order for whoever is `backend`, unless it says otherwise. */
export function newOrder(id: string, more: Partial<NewCommand> = {}): NewCommand {
  return {
    id,
    kind: "command",
    from: "human",
    fromId: null,
    target: null,
    targetRole: "backend",
    action: "work",
    params: {},
    createdAt: AT,
    leaseSeconds: 10,
    expiresAt: null,
    ...more,
  };
}

export async function connected(store: Store, ...ids: string[]): Promise<void> {
  for (const id of ids) await store.sessions.connect(newPeer(id), undefined);
}

export async function take(store: Store, peer: string, at = AT): Promise<string | undefined> {
  return (await store.commands.take(peer, at, 5))?.id;
}

const fresh = {
  status: "pending",
  attempts: 0,
  holder: null,
  leaseUntil: null,
  result: null,
  endedAt: null,
} as const;

const idsOf = (orders: readonly Command[]) => orders.map(({ id }) => id);

/** The contract of commands, up to their end. */
export function checkOrders(check: Check): void {
  check("B2 an order is found as it was sent, whatever it says", async (store, place) => {
    const params = [{}, [], null, 0, "", "text", true, { deep: [{ "'; --": "\u0000 ü 🦜" }] }, -1.5e300];
    await connected(store, "bac-1");
    const orders = params.map((value, n) =>
      newOrder(`cmd-${n}`, { params: value, target: "bac-1", expiresAt: AT + n }),
    );
    await store.commands.add(orders);
    await using other = await place.open();
    for (const order of orders) assert.deepEqual(await other.commands.find(order.id), { ...order, ...fresh });
    assert.equal(await other.commands.find("cmd-none"), undefined);
  });

  check("of orders that are sent together all are there or none", async (store) => {
    await store.commands.add([newOrder("cmd-1")]);
    await assert.rejects(store.commands.add([newOrder("cmd-2"), newOrder("cmd-1")]));
    assert.deepEqual(idsOf(await store.commands.list({ limit: 10 })), ["cmd-1"]);
  });

  check("an order for a peer that isn't there is dead, and not waiting for nobody", async (store) => {
    await store.commands.add([newOrder("cmd-1", { target: "bac-1" })]);
    const { status, endedAt, attempts } = (await store.commands.find("cmd-1")) ?? {};
    assert.deepEqual([status, endedAt, attempts], ["dead", AT, 0]);
    await connected(store, "bac-1");
    assert.equal(await take(store, "bac-1"), undefined);
  });

  check("a peer takes its own orders and those for its role, the oldest first, and nobody else's", async (store) => {
    await connected(store, "bac-1", "bac-2");
    await store.sessions.connect(newPeer("tes-1", { role: "tester" }), undefined);
    const targets = ["bac-1", null, "bac-2", "bac-1", null, null];
    await store.commands.add(targets.map((target, n) => newOrder(`cmd-${n}`, { target })));
    await store.commands.add([newOrder("cmd-test", { targetRole: "tester" })]);
    const taken: unknown[] = [];
    for (let n = 0; n < 5; n++) taken.push(await take(store, "bac-1"));
    assert.deepEqual(taken, ["cmd-0", "cmd-1", "cmd-3", "cmd-4", "cmd-5"]);
    assert.deepEqual([await take(store, "bac-2"), await take(store, "bac-2")], ["cmd-2", undefined]);
    assert.deepEqual([await take(store, "tes-1"), await take(store, "nobody")], ["cmd-test", undefined]);
  });

  check("whoever takes a role takes its orders, and whoever had it no more", async (store) => {
    await connected(store, "bac-1");
    await store.commands.add([newOrder("cmd-1", { targetRole: "tester" }), newOrder("cmd-2")]);
    await store.sessions.setRole("bac-1", "tester", undefined);
    assert.deepEqual([await take(store, "bac-1"), await take(store, "bac-1")], ["cmd-1", undefined]);
  });

  check("roles and ids are kept apart, whatever they are made of", async (store) => {
    for (const name of hostileNames) await store.sessions.connect(newPeer(name, { role: name }), undefined);
    for (const [n, name] of hostileNames.entries()) {
      await store.commands.add([newOrder(`own-${n}`, { target: name }), newOrder(`role-${n}`, { targetRole: name })]);
    }
    for (const [n, name] of hostileNames.entries()) {
      const taken = [await take(store, name), await take(store, name), await take(store, name)];
      assert.deepEqual(taken, [`own-${n}`, `role-${n}`, undefined], name);
    }
  });

  check("an order that was taken is leased, and free for nobody until the lease ends", async (store, place) => {
    await connected(store, "bac-1", "bac-2");
    await store.commands.add([newOrder("cmd-1")]);
    await using other = await place.open();
    const taken = await store.commands.take("bac-1", AT, 5);
    assert.deepEqual(taken, {
      ...newOrder("cmd-1"),
      ...fresh,
      status: "leased",
      attempts: 1,
      holder: "bac-1",
      leaseUntil: AT + 10,
    });
    assert.deepEqual(await other.commands.find("cmd-1"), taken);
    for (const peer of ["bac-1", "bac-2"]) assert.equal(await take(other, peer, AT + 9.9), undefined);
    const again = await other.commands.take("bac-2", AT + 10, 5);
    assert.deepEqual([again?.attempts, again?.holder, again?.leaseUntil], [2, "bac-2", AT + 20]);
  });

  check("when a lease ends is told to who could take the order then, and to nobody else", async (store) => {
    await connected(store, "bac-1", "bac-2");
    await store.sessions.connect(newPeer("tes-1", { role: "tester" }), undefined);
    assert.equal(await store.commands.nextFree("bac-1"), undefined);
    await store.commands.add([newOrder("cmd-1"), newOrder("cmd-2", { target: "bac-1", leaseSeconds: 3 })]);
    assert.equal(await store.commands.nextFree("bac-1"), undefined, "what is free already has no lease");
    for (const _ of [1, 2]) await take(store, "bac-1");
    assert.equal(await store.commands.nextFree("bac-1"), AT + 3);
    assert.equal(await store.commands.nextFree("bac-2"), AT + 10);
    assert.equal(await store.commands.nextFree("tes-1"), undefined);
    assert.equal(await store.commands.nextFree("nobody"), undefined);
  });

  check("a lease is given back as if the order had never been handed out, by its holder alone", async (store) => {
    await connected(store, "bac-1", "bac-2");
    await store.commands.add([newOrder("cmd-1")]);
    await take(store, "bac-1");
    assert.equal(await store.commands.release("cmd-1", "bac-2"), undefined);
    assert.deepEqual(await store.commands.release("cmd-1", "bac-1"), { ...newOrder("cmd-1"), ...fresh });
    assert.equal(await store.commands.release("cmd-1", "bac-1"), undefined);
    assert.equal(await store.commands.release("cmd-none", "bac-1"), undefined);
    assert.deepEqual((await store.commands.take("bac-2", AT, 5))?.attempts, 1);
    await store.commands.end("cmd-1", { status: "acked", result: null, at: AT }, {});
    assert.equal(await store.commands.release("cmd-1", "bac-2"), undefined, "what has ended stays so");
  });

  check("however many take at once, over several connections, each order is taken once", async (store, place) => {
    const peers = ["bac-0", "bac-1", "bac-2", "bac-3"];
    await using others = await openSeveral(3, () => place.open());
    const stores = [store, ...others];
    await connected(store, ...peers);
    await store.commands.add(Array.from({ length: 60 }, (_, n) => newOrder(`cmd-${n}`)));
    const taken = await Promise.all(
      peers.map(async (peer, index) => {
        const mine: string[] = [];
        for (;;) {
          const id = await take(stores[index] ?? store, peer);
          if (id === undefined) return mine;
          mine.push(id);
        }
      }),
    );
    assert.deepEqual([taken.flat().length, new Set(taken.flat()).size], [60, 60]);
    for (const mine of taken) assert.deepEqual(mine, inOrder(mine), "each in the order in which they were sent");
  });

  check("orders are listed oldest first, the newest so many, by what they are", async (store) => {
    await connected(store, "bac-1", "bac-2");
    const targets = ["bac-1", "bac-2", null, "bac-1", null];
    await store.commands.add(targets.map((target, n) => newOrder(`cmd-${n}`, { target })));
    const list = async (more: object) => idsOf(await store.commands.list({ limit: 10, ...more })).join(" ");
    assert.equal(await list({}), "cmd-0 cmd-1 cmd-2 cmd-3 cmd-4");
    assert.equal(await list({ limit: 2 }), "cmd-3 cmd-4");
    assert.equal(await list({ peer: "bac-1" }), "cmd-0 cmd-2 cmd-3 cmd-4");
    await take(store, "bac-1");
    await take(store, "bac-1");
    assert.equal(await list({ status: "leased" }), "cmd-0 cmd-2");
    assert.equal(await list({ peer: "bac-1" }), "cmd-0 cmd-2 cmd-3 cmd-4", "what it holds too");
    assert.equal(await list({ peer: "bac-2" }), "cmd-1 cmd-4", "what another holds is no matter of its");
    assert.equal(await list({ peer: "bac-1", status: "pending" }), "cmd-3 cmd-4");
    assert.equal(await list({ peer: "bac-1", status: "leased" }), "cmd-0 cmd-2");
    await store.commands.end("cmd-2", { status: "acked", result: null, at: AT }, {});
    assert.equal(await list({ peer: "bac-1", status: "acked" }), "cmd-2");
    assert.equal(await list({ peer: "nobody" }), "");
    assert.equal(await list({ status: "dead" }), "");
  });

  check("a list of large orders is cut where it would be too much at once, but never to nothing", async (store) => {
    const params = "x".repeat(3 * 1024 * 1024);
    for (let n = 0; n < 4; n++) await store.commands.add([newOrder(`cmd-${n}`, { params })]);
    const listed = idsOf(await store.commands.list({ limit: 100 }));
    assert.deepEqual(listed, ["cmd-2", "cmd-3"].slice(-Math.floor(BATCH_BYTES / params.length)));
    await store.commands.add([newOrder("cmd-large", { params: "x".repeat(BATCH_BYTES + 1) })]);
    assert.deepEqual(idsOf(await store.commands.list({ limit: 100 })), ["cmd-large"]);
  });
}

function inOrder(ids: readonly string[]): readonly string[] {
  return ids.toSorted((one, other) => Number(one.slice(4)) - Number(other.slice(4)));
}
