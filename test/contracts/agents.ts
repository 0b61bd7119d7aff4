import assert from "node:assert/strict";
import type { Agent } from "../../src/core/store.ts";
import { type Check, hostileNames } from "./place.ts";

export const operator: Agent = {
  name: "chief",
  identity: "",
  publicKey: "-----BEGIN PUBLIC KEY-----\nchief\n-----END PUBLIC KEY-----\n",
  role: "operator",
  registeredBy: null,
  createdAt: 1_795_200_000.5,
  v2Only: false,
};

export function agent(name: string, registeredBy: string, more: Partial<Agent> = {}): Agent {
  return {
    name,
    identity: `who ${name} is`,
    publicKey: `-----BEGIN PUBLIC KEY-----\n${name}\n-----END PUBLIC KEY-----\n`,
    role: "agent",
    registeredBy,
    createdAt: 1_795_200_001.25,
    v2Only: false,
    ...more,
  };
}

export function checkAgents(check: Check): void {
  check("an agent is found as it was added", async (store, place) => {
    assert.equal(await store.agents.find("herald"), undefined);
    assert.deepEqual(await store.agents.list(), []);
    assert.equal(await store.agents.add(operator, "new"), "done");
    assert.equal(await store.agents.add(agent("herald", "chief"), "new"), "done");
    await using other = await place.open();
    assert.deepEqual(await other.agents.find("chief"), operator);
    assert.deepEqual(await other.agents.find("herald"), agent("herald", "chief"));
    assert.equal(await other.agents.find("Herald"), undefined);
  });

  check("agents are listed in the order in which they came", async (store) => {
    await store.agents.add(operator, "new");
    for (const [index, name] of ["zoe", "adam", "mia"].entries()) {
      await store.agents.add(agent(name, "chief", { createdAt: 1_795_200_002 + index }), "new");
    }
    assert.deepEqual(
      (await store.agents.list()).map(({ name }) => name),
      ["chief", "zoe", "adam", "mia"],
    );
  });

  check("any name can be an agent's", async (store) => {
    for (const name of hostileNames) assert.equal(await store.agents.add(agent(name, "chief"), "new"), "done");
    for (const name of hostileNames) assert.deepEqual(await store.agents.find(name), agent(name, "chief"));
    assert.equal((await store.agents.list()).length, hostileNames.length);
  });

  check("E25 there is no first operator before one was seeded, agents or not", async (store) => {
    assert.equal(await store.agents.firstOperator(), undefined);
    await store.agents.add(agent("herald", "somebody"), "new");
    assert.equal(await store.agents.firstOperator(), undefined);
  });

  check("E24 the first operator stays the first, whatever the clock said when others came", async (store) => {
    await store.agents.add(operator, "new");
    for (const [name, createdAt] of [
      ["later", operator.createdAt + 1],
      ["aaron", operator.createdAt],
      ["clock-was-wrong", 1],
    ] as const) {
      assert.equal(await store.agents.add({ ...operator, name, createdAt }, "new"), "done");
      assert.equal((await store.agents.firstOperator())?.name, "chief");
    }
  });

  check("a name that is taken stays whose it is", async (store) => {
    await store.agents.add(operator, "new");
    await store.agents.add(agent("herald", "chief"), "new");
    assert.equal(await store.agents.add(agent("herald", "rival", { publicKey: "stolen" }), "new"), "taken");
    assert.equal(await store.agents.add(agent("chief", "rival"), "new"), "taken");
    assert.equal(await store.agents.add({ ...operator, publicKey: "stolen" }, "new"), "taken");
    assert.deepEqual(await store.agents.find("herald"), agent("herald", "chief"));
    assert.deepEqual(await store.agents.find("chief"), operator);
  });

  check("of two who add one name at the same time one does", async (store, place) => {
    await using other = await place.open();
    for (let round = 0; round < 20; round++) {
      const name = `agent-${round}`;
      const added = await Promise.all(
        ["one", "two"].map((by, index) => (index === 0 ? store : other).agents.add(agent(name, by), "new")),
      );
      assert.deepEqual(added.toSorted(), ["done", "taken"]);
      assert.equal((await store.agents.find(name))?.registeredBy, added[0] === "done" ? "one" : "two");
    }
  });

  check("an agent is replaced by the operator that registered it, and by no other", async (store) => {
    await store.agents.add(operator, "new");
    await store.agents.add(agent("herald", "chief"), "new");
    await store.agents.add(agent("mia", "chief"), "new");
    const renewed = agent("herald", "chief", { publicKey: "new", identity: "moved", createdAt: 1_795_300_000 });
    assert.equal(await store.agents.add(agent("herald", "rival", { publicKey: "stolen" }), "own"), "taken");
    assert.deepEqual(await store.agents.find("herald"), agent("herald", "chief"));
    assert.equal(await store.agents.add(renewed, "own"), "done");
    assert.deepEqual(await store.agents.find("herald"), renewed);
    assert.deepEqual(await store.agents.find("mia"), agent("mia", "chief"));
    assert.equal(await store.agents.add(agent("nobody", "chief"), "rotate"), "taken");
    assert.equal(await store.agents.find("nobody"), undefined);
  });

  check("an operator is replaced by nobody, so that secure mode never ends", async (store) => {
    await store.agents.add(operator, "new");
    await store.agents.add({ ...operator, name: "second", registeredBy: "chief" }, "new");
    assert.equal(await store.agents.add(agent("chief", "chief"), "own"), "taken");
    assert.equal(await store.agents.add({ ...operator, publicKey: "stolen" }, "own"), "taken");
    assert.equal(await store.agents.add(agent("second", "chief"), "own"), "taken");
    assert.deepEqual(await store.agents.find("chief"), operator);
    assert.deepEqual(await store.agents.firstOperator(), operator);
  });
}
