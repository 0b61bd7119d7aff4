import assert from "node:assert/strict";
import type { Session } from "../../src/core/store.ts";
import { newOrder } from "./orders.ts";
import { type Check, hostileNames } from "./place.ts";

const AT = 1_795_200_000.5;

export function newPeer(id: string, more: Partial<Session> = {}): Session {
  return {
    id,
    role: "backend",
    capabilities: [],
    agent: null,
    connectedAt: AT,
    lastSeen: AT,
    waitingFor: null,
    ...more,
  };
}

/** There is one of this role, of those that were seen after a second before. */
const sole = { role: "orchestrator", aliveSince: AT - 1 };

const boss = (id: string, more: Partial<Session> = {}) => newPeer(id, { role: "orchestrator", ...more });

/** The contract of sessions. */
export function checkPeers(check: Check): void {
  check("B1 a peer is found as it connected, and listed in the order in which they came", async (store, place) => {
    const peers = [
      newPeer("zoe-1", { capabilities: ["node", "docker, with a comma"], agent: "zoe", waitingFor: "commands" }),
      newPeer("ada-2", { connectedAt: AT + 1, role: "a role ü" }),
      newPeer("mia-3", { connectedAt: AT + 2 }),
    ];
    for (const peer of peers) assert.equal(await store.sessions.connect(peer, undefined), "done");
    await using other = await place.open();
    assert.deepEqual(await other.sessions.list(), peers);
    for (const peer of peers) assert.deepEqual(await other.sessions.find(peer.id), peer);
    assert.equal(await other.sessions.find("nobody"), undefined);
  });

  check("the peers of an agent are found by its name, and no others", async (store) => {
    const peers = [
      newPeer("lis-1", { agent: "zoe", connectedAt: AT + 1 }),
      newPeer("bac-2", { agent: "zoe" }),
      newPeer("bac-3", { agent: "zo" }),
      newPeer("zoe", { role: "zoe" }),
    ];
    for (const peer of peers) await store.sessions.connect(peer, undefined);
    assert.deepEqual(await store.sessions.ofAgent("zoe"), [peers[1], peers[0]]);
    assert.deepEqual(await store.sessions.ofAgent("nobody"), []);
    await store.sessions.leave("bac-2", AT);
    assert.deepEqual(await store.sessions.ofAgent("zoe"), [peers[0]]);
  });

  check("any text can be a peer's id, role, agent and capability", async (store) => {
    for (const name of hostileNames) {
      await store.sessions.connect(newPeer(name, { role: name, agent: name, capabilities: [name] }), undefined);
    }
    for (const name of hostileNames) {
      const found = await store.sessions.find(name);
      assert.deepEqual([found?.id, found?.role, found?.agent, found?.capabilities], [name, name, name, [name]]);
      assert.deepEqual(await store.sessions.ofAgent(name), [found]);
    }
  });

  check("a sole role is for one alone, as long as that one was seen lately", async (store) => {
    assert.equal(await store.sessions.connect(boss("orc-1"), sole), "done");
    assert.equal(await store.sessions.connect(boss("orc-2"), sole), "taken");
    assert.equal(await store.sessions.find("orc-2"), undefined);
    assert.equal(await store.sessions.connect(newPeer("bac-1"), undefined), "done", "other roles are for any number");
    assert.equal(await store.sessions.connect(newPeer("bac-2"), undefined), "done");
    assert.equal(await store.sessions.connect(boss("orc-3"), { ...sole, aliveSince: AT }), "done");
  });

  check("a sole role is left by who leaves, and by who takes another", async (store) => {
    await store.sessions.connect(boss("orc-1"), sole);
    await store.sessions.leave("orc-1", AT);
    assert.equal(await store.sessions.connect(boss("orc-2"), sole), "done");
    assert.equal(await store.sessions.setRole("orc-2", "backend", undefined), "done");
    assert.equal(await store.sessions.connect(boss("orc-3"), sole), "done");
    assert.equal(await store.sessions.setRole("orc-2", "orchestrator", sole), "taken");
    assert.equal((await store.sessions.find("orc-2"))?.role, "backend");
    assert.equal(await store.sessions.setRole("orc-3", "orchestrator", sole), "done", "who has it keeps it");
    assert.equal(await store.sessions.setRole("nobody", "backend", undefined), "missing");
  });

  check("of several who want a sole role at the same time one gets it", async (store, place) => {
    await using other = await place.open();
    for (let round = 0; round < 10; round++) {
      const role = `sole-${round}`;
      const wanting = Array.from({ length: 6 }, (_, n) =>
        (n % 2 === 0 ? store : other).sessions.connect(newPeer(`${role}-${n}`, { role }), { role, aliveSince: AT - 1 }),
      );
      assert.equal((await Promise.all(wanting)).filter((outcome) => outcome === "done").length, 1);
      assert.equal((await store.sessions.list()).filter((peer) => peer.role === role).length, 1);
    }
  });

  check(
    "a peer that was seen lives since then and waits for what it says; never since before",
    async (store, place) => {
      await store.sessions.connect(newPeer("bac-1"), undefined);
      const seen = async () => {
        await using other = await place.open();
        const { lastSeen = 0, waitingFor } = (await other.sessions.find("bac-1")) ?? {};
        return [lastSeen - AT, waitingFor];
      };
      assert.equal(await store.sessions.seen("bac-1", AT + 5, "commands"), true);
      assert.deepEqual(await seen(), [5, "commands"]);
      assert.equal(await store.sessions.seen("bac-1", AT + 3, null), true);
      assert.deepEqual(await seen(), [5, null]);
      await store.sessions.seen("bac-1", AT + 6, "commands");
      assert.equal(await store.sessions.renew("bac-1", AT + 7), true);
      assert.deepEqual(await seen(), [7, "commands"], "who works on one thing may wait for another");
      assert.equal(await store.sessions.seen("nobody", AT, "commands"), false);
      assert.equal(await store.sessions.renew("nobody", AT), false);
      assert.equal((await store.sessions.list()).length, 1);
    },
  );

  check("leases begin anew for who is at work, and for nobody who only waits", async (store) => {
    for (const id of ["bac-1", "bac-2"]) await store.sessions.connect(newPeer(id), undefined);
    await store.commands.add(["1", "2"].map((n) => newOrder(`cmd-${n}`, { target: `bac-${n}`, leaseSeconds: 10 })));
    for (const id of ["bac-1", "bac-2"]) await store.commands.take(id, AT, 5);
    const leaseOf = async (id: string) => ((await store.commands.find(id))?.leaseUntil ?? 0) - AT;
    await store.sessions.seen("bac-1", AT + 4, "commands");
    assert.deepEqual([await leaseOf("cmd-1"), await leaseOf("cmd-2")], [10, 10]);
    await store.sessions.renew("bac-1", AT + 4);
    assert.deepEqual([await leaseOf("cmd-1"), await leaseOf("cmd-2")], [14, 10]);
    await store.commands.end("cmd-1", { status: "acked", result: null, at: AT }, {});
    await store.sessions.renew("bac-1", AT + 5);
    assert.equal((await store.commands.find("cmd-1"))?.leaseUntil, null, "what has ended is leased to nobody");
  });

  check("who leaves is found no more, and can't leave again", async (store, place) => {
    await store.sessions.connect(newPeer("bac-1"), undefined);
    await store.sessions.connect(newPeer("bac-2"), undefined);
    await using other = await place.open();
    assert.deepEqual(await other.sessions.leave("bac-1", AT), []);
    assert.equal(await store.sessions.find("bac-1"), undefined);
    assert.deepEqual(
      (await store.sessions.list()).map(({ id }) => id),
      ["bac-2"],
    );
    assert.equal(await store.sessions.leave("bac-1", AT), undefined);
  });

  check("what who leaves held for its role is free for others, at once and with its attempts", async (store) => {
    for (const id of ["bac-1", "bac-2"]) await store.sessions.connect(newPeer(id), undefined);
    await store.commands.add([newOrder("cmd-any")]);
    await store.commands.take("bac-1", AT, 5);
    assert.equal(await store.commands.take("bac-2", AT, 5), undefined);
    assert.deepEqual(await store.sessions.leave("bac-1", AT), []);
    const { id, holder, attempts } = (await store.commands.take("bac-2", AT, 5)) ?? {};
    assert.deepEqual([id, holder, attempts], ["cmd-any", "bac-2", 2]);
  });

  check("what was for who leaves alone is dead, and told; what had ended stays as it ended", async (store) => {
    await store.sessions.connect(newPeer("bac-1"), undefined);
    await store.sessions.connect(newPeer("bac-2"), undefined);
    const mine = ["done", "held", "pending"].map((n) => newOrder(`cmd-${n}`, { target: "bac-1" }));
    await store.commands.add([...mine, newOrder("cmd-theirs", { target: "bac-2" })]);
    await store.commands.end("cmd-done", { status: "acked", result: 1, at: AT }, {});
    assert.equal((await store.commands.take("bac-1", AT, 5))?.id, "cmd-held");
    const dead = await store.sessions.leave("bac-1", AT + 9);
    assert.deepEqual(dead?.map(({ id, status, endedAt }) => [id, status, endedAt]).toSorted(), [
      ["cmd-held", "dead", AT + 9],
      ["cmd-pending", "dead", AT + 9],
    ]);
    assert.equal((await store.commands.find("cmd-done"))?.status, "acked");
    assert.equal((await store.commands.find("cmd-theirs"))?.status, "pending");
  });
}
