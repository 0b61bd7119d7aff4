import assert from "node:assert/strict";
import type { NameClaim, RequestKey, Store } from "../../src/core/store.ts";
import { agent, operator } from "./agents.ts";
import type { Check } from "./place.ts";

const entries: readonly NameClaim[] = ["new", "own", "rotate"];

let requests = 0;

function signed(): RequestKey {
  return { signer: "chief", nonce: `n${requests++}`, digest: "digest", at: 1_795_200_000 };
}

/** The state of a name before an agent takes it. */
const situations: readonly [
  string,
  (store: Store) => Promise<unknown>,
  Readonly<Record<NameClaim, readonly string[]>>,
][] = [
  ["a name that nobody has", async () => {}, { new: ["chief", "rival"], own: ["chief", "rival"], rotate: [] }],
  [
    "the name of an agent of chief's",
    (store) => store.agents.add(agent("herald", "chief"), "new"),
    { new: [], own: ["chief"], rotate: ["chief", "rival"] },
  ],
  [
    "a name whose key chief's operator had revoked",
    async (store) => {
      await store.agents.add(agent("herald", "chief"), "new");
      await store.agents.revoke("herald", agent("herald", "chief").publicKey, signed());
    },
    { new: [], own: ["chief"], rotate: ["chief", "rival"] },
  ],
  [
    "an operator's name",
    (store) => store.agents.add({ ...operator, name: "herald", registeredBy: "chief" }, "new"),
    { new: [], own: [], rotate: [] },
  ],
];

/** The contract of taking a name. */
export function checkEntering(check: Check): void {
  for (const [what, prepare, allowed] of situations) {
    for (const entry of entries) {
      for (const by of ["chief", "rival"]) {
        const may = allowed[entry].includes(by);
        check(`${what} is ${may ? "taken" : "not taken"} by ${by} as ${entry}`, async (store, place) => {
          await store.agents.add(operator, "new");
          await prepare(store);
          const before = { found: await store.agents.find("herald"), revoked: await store.agents.revoked("herald") };
          const entering = agent("herald", by, { publicKey: "another key", identity: "another", createdAt: 9 });
          assert.equal(await store.agents.add(entering, entry), may ? "done" : "taken");
          await using other = await place.open();
          const found = await other.agents.find("herald");
          if (!may) return assert.deepEqual({ found, revoked: await other.agents.revoked("herald") }, before);
          const kept = (entry === "rotate" ? before.found : undefined) ?? entering;
          assert.deepEqual(found, { ...kept, publicKey: "another key" });
          assert.equal(await other.agents.revoked("herald"), undefined);
        });
      }
    }
  }

  check("who rotates a key gives the agent to nobody else", async (store) => {
    await store.agents.add(agent("herald", "chief"), "new");
    assert.equal(await store.agents.add(agent("herald", "rival", { publicKey: "new" }), "rotate"), "done");
    assert.equal((await store.agents.find("herald"))?.registeredBy, "chief");
    assert.equal(await store.agents.add(agent("herald", "rival"), "own"), "taken");
    assert.equal(await store.agents.add(agent("herald", "chief"), "own"), "done");
  });

  check(
    "that an agent takes no v1 signature is kept, and only its own operator takes it back",
    async (store, place) => {
      const strict = agent("herald", "chief", { v2Only: true });
      const loose = agent("herald", "chief");
      const v2Only = async () => {
        await using other = await place.open();
        assert.equal((await other.agents.list())[0]?.v2Only, (await store.agents.find("herald"))?.v2Only);
        return (await other.agents.find("herald"))?.v2Only;
      };
      await store.agents.add(loose, "new");
      assert.equal(await v2Only(), false);
      await store.agents.add(strict, "own");
      assert.equal(await v2Only(), true);
      await store.agents.add({ ...loose, publicKey: "rotated" }, "rotate");
      assert.equal(await v2Only(), true, "a rotation by anybody loosens nothing");
      await store.agents.add(loose, "own");
      assert.equal(await v2Only(), false);
      await store.agents.add({ ...strict, publicKey: "rotated" }, "rotate");
      assert.equal(await v2Only(), true);
      await store.agents.revoke("herald", "rotated", signed());
      await store.agents.add(loose, "own");
      assert.equal(await v2Only(), false, "it is entered as it says");
    },
  );

  check("a revoked agent is found no more, but its name, key and operator are", async (store, place) => {
    const herald = agent("herald", "chief");
    await store.agents.add(operator, "new");
    await store.agents.add(herald, "new");
    assert.equal(await store.agents.revoked("herald"), undefined);
    assert.equal(await store.agents.revoke("herald", herald.publicKey, signed()), "done");
    await using other = await place.open();
    assert.equal(await other.agents.find("herald"), undefined);
    assert.deepEqual(await other.agents.list(), [operator]);
    assert.deepEqual(await other.agents.revoked("herald"), {
      name: "herald",
      publicKey: herald.publicKey,
      registeredBy: "chief",
    });
    assert.equal(await other.agents.revoked("Herald"), undefined);
    assert.equal(
      await store.agents.revoke("herald", herald.publicKey, signed()),
      "taken",
      "there is nothing left of it",
    );
  });

  check("only the key that an agent has is taken away from it", async (store) => {
    const herald = agent("herald", "chief");
    await store.agents.add(herald, "new");
    await store.agents.add({ ...herald, publicKey: "new" }, "rotate");
    assert.equal(await store.agents.revoke("herald", herald.publicKey, signed()), "taken");
    assert.equal((await store.agents.find("herald"))?.publicKey, "new");
    assert.equal(
      await store.agents.revoke("herald", "  new\n", signed()),
      "done",
      "white space around is no other key",
    );
  });

  check("an operator is never revoked, and neither is nobody", async (store) => {
    await store.agents.add(operator, "new");
    assert.equal(await store.agents.revoke("chief", operator.publicKey, signed()), "taken");
    assert.equal(await store.agents.revoke("nobody", "key", signed()), "taken");
    assert.deepEqual(await store.agents.firstOperator(), operator);
    assert.equal(await store.agents.revoked("nobody"), undefined);
  });

  check("a key that is revoked twice is remembered as the last one", async (store) => {
    for (const publicKey of ["first", "second"]) {
      assert.equal(await store.agents.add(agent("herald", "chief", { publicKey }), "own"), "done");
      assert.equal(await store.agents.revoke("herald", publicKey, signed()), "done");
    }
    assert.equal((await store.agents.revoked("herald"))?.publicKey, "second");
  });

  check("of an entry and a revocation at the same time none is half done", async (store, place) => {
    await using other = await place.open();
    for (let round = 0; round < 20; round++) {
      const herald = agent(`agent-${round}`, "chief");
      await store.agents.add(herald, "new");
      const [rotated, revoked] = await Promise.all([
        store.agents.add({ ...herald, publicKey: "new" }, "rotate"),
        other.agents.revoke(herald.name, herald.publicKey, signed()),
      ]);
      // Revoked first, it is given a new key all the same; revoked second, it has another key by then.
      assert.equal(rotated, "done");
      assert.ok(revoked === "done" || revoked === "taken", revoked);
      assert.equal((await store.agents.find(herald.name))?.publicKey, "new");
      assert.equal(await store.agents.revoked(herald.name), undefined);
    }
  });
}
