import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createImporter, exportBus, type Importer } from "../../src/core/moving.ts";
import type { Command, Store } from "../../src/core/store.ts";
import { agent, operator } from "./agents.ts";
import { newOrder } from "./orders.ts";
import { newPeer } from "./peers.ts";
import { type Check, fill, hostileNames, message } from "./place.ts";

const AT = 1_795_200_000;

const stamp = (nonce: string) => ({
  signer: "herald",
  nonce,
  digest: createHash("sha256").update(nonce).digest("hex"),
  at: Date.now() / 1_000,
});

/** A bus that has one of everything. */
export async function furnishAll(store: Store): Promise<void> {
  const { messages, mailboxes, agents, sessions: peers, commands: orders, signals } = store;
  await agents.add(operator, "new");
  await agents.add(agent("herald", operator.name, { v2Only: true, identity: "ü 🦜" }), "new");
  await agents.add(agent("gone", operator.name), "new");
  await agents.revoke("gone", agent("gone", operator.name).publicKey, { ...stamp("revoke"), signer: operator.name });
  for (const name of hostileNames) await fill(store, name, name, "one", `to ${name}`);
  await messages.append({ ...message("c", "herald", "signed"), signature: "c2ln", timestamp: AT + 0.123 }, stamp("n1"));
  await messages.append({ ...message("c", "web", "vouched for\u0000"), attested: true });
  const ids = await fill(store, "c", "herald", "same", "same", "last");
  await messages.advance("c", "reader", ids[1] ?? 0);
  const [, second = 0, third = 0] = await fill(store, "@herald", "x", "first mail", "second mail", "third mail");
  await mailboxes.settle("@herald", "herald", [second, third]);
  await peers.connect(newPeer("bac-1"), undefined);
  await peers.seen("bac-1", AT + 5, "commands");
  for (const id of ["pending", "leased", "acked", "dead"]) {
    await orders.add([newOrder(id, { params: { id }, target: id === "dead" ? "nobody" : "bac-1" })]);
    if (id === "leased") await orders.take("bac-1", AT, 5);
    if (id === "acked") await orders.end(id, { status: "acked", result: [id], at: AT }, {});
  }
  await signals.set({ name: "go", data: { deep: ["ü"] }, sender: "human", setAt: AT });
}

/** The contents of a bus, with messages by their position instead of their ids. */
export async function heldBy(store: Store): Promise<unknown> {
  const { messages, agents, sessions: peers, commands: orders, signals } = store;
  const all = (await messages.allAfter(0, 1_000)).map(({ id: _, ...message }) => message);
  const positions = new Map((await messages.allAfter(0, 1_000)).map(({ id }, position) => [id, position]));
  const watermarks = (await messages.watermarks(1_000)).map((one) => ({ ...one, lastId: positions.get(one.lastId) }));
  const unread = (await messages.unread("@herald", "herald", { limit: 10, others: false })).map((one) => one.content);
  return {
    all,
    watermarks: watermarks.sort((a, b) => (a.agent < b.agent ? -1 : 1)),
    unread,
    agents: await agents.list(),
    revoked: await agents.revoked("gone"),
    peers: await peers.list(),
    orders: await orders.list({ limit: 100 }),
    signals: await signals.list(),
  };
}

/** Moves all that one store holds, or as many lines of it, as an export and an import do: through JSON. */
export async function move(from: Store, to: Store, most = Number.POSITIVE_INFINITY): Promise<Importer["imported"]> {
  const importer = await createImporter(to, () => Date.now() / 1_000);
  let lines = 0;
  for await (const line of exportBus(from, { after: 0, now: 1 })) {
    if (lines++ >= most) break;
    await importer.take(JSON.parse(JSON.stringify(line)));
  }
  return importer.imported;
}

export function checkArchive(check: Check): void {
  check("what a bus holds is exported, and is there already when it is imported where it is", async (store) => {
    await furnishAll(store);
    const before = await heldBy(store);
    const journal = await store.journal.last();
    const { stored, there, kept, complete } = await move(store, store);
    assert.deepEqual(Object.values(stored), [0, 0, 0, 0, 0, 0]);
    assert.deepEqual(there, {
      agents: 3,
      messages: hostileNames.length * 2 + 8,
      watermarks: 1,
      sessions: 1,
      commands: 4,
      signals: 1,
    });
    assert.deepEqual([kept, complete], [[], true]);
    assert.deepEqual(await heldBy(store), before);
    assert.equal(await store.journal.last(), journal);
  });

  check("an archive may begin behind a message", async (store) => {
    const ids = await fill(store, "c", "herald", "one", "two", "three");
    const found = await Array.fromAsync((await store.archive(ids[0] ?? 0)).messages);
    assert.deepEqual(
      found.map(({ content }) => content),
      ["two", "three"],
    );
  });

  check("an order is restored as it was, once, and goes on from there", async (store) => {
    await store.sessions.connect(newPeer("bac-1"), undefined);
    const leased: Command = {
      ...newOrder("cmd-1", { params: { large: "x".repeat(20_000) }, expiresAt: AT + 100 }),
      ...{ status: "leased", attempts: 3, holder: "bac-1", leaseUntil: AT + 10, result: null, endedAt: null },
    };
    assert.equal(await store.commands.restore(leased), true);
    assert.equal(await store.commands.restore({ ...leased, attempts: 4 }), false);
    assert.deepEqual(await store.commands.find("cmd-1"), leased);
    assert.equal(await store.commands.take("bac-1", AT + 9, 5), undefined);
    assert.equal((await store.commands.take("bac-1", AT + 11, 5))?.attempts, 4);
    const ended: Command = {
      ...leased,
      id: "cmd-2",
      status: "failed",
      holder: null,
      leaseUntil: null,
      endedAt: AT,
      result: "no",
    };
    assert.equal(await store.commands.restore(ended), true);
    assert.deepEqual(await store.commands.find("cmd-2"), ended);
  });

  check("a name is barred where nobody has it nor had it", async (store) => {
    const herald = agent("herald", operator.name);
    const revoked = { name: "herald", publicKey: herald.publicKey, registeredBy: operator.name };
    await store.agents.add(operator, "new");
    assert.equal(await store.agents.markRevoked({ ...revoked, name: operator.name }), false);
    assert.equal(await store.agents.markRevoked(revoked), true);
    assert.equal(await store.agents.markRevoked({ ...revoked, publicKey: "other" }), false);
    assert.deepEqual(await store.agents.revoked("herald"), revoked);
    assert.equal(await store.agents.add(herald, "new"), "taken");
    assert.equal(await store.agents.add(herald, "rotate"), "done");
    assert.equal(await store.agents.markRevoked(revoked), false);
    assert.deepEqual((await store.agents.find("herald"))?.publicKey, herald.publicKey);
  });
}
