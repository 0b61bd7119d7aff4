import assert from "node:assert/strict";
import type { RequestKey } from "../../src/core/store.ts";
import { agent, operator } from "./agents.ts";
import { assertGrowing, type Check, contents, fill, hostileNames, message } from "./place.ts";

const AT = 1_795_200_000;
const HOUR = 3_600;

function once(nonce: string, more: Partial<RequestKey> = {}): RequestKey {
  return { signer: "herald", nonce, digest: "digest", at: AT, ...more };
}

/** The contract of nonces: a request with one counts once. */
export function checkOnce(check: Check): void {
  const one = message("a", "herald", "one");

  check(
    "a message that comes again under its nonce is answered with the first one's id, and not stored again",
    async (store, place) => {
      const first = await store.messages.append(one, once("n"));
      assert.equal(first.outcome, "done");
      const [later = 0] = await fill(store, "a", "herald", "later");
      assertGrowing([first.id, later]);
      await using other = await place.open();
      for (const again of [store, other, store]) {
        assert.deepEqual(await again.messages.append(one, once("n", { at: AT + 1 })), {
          outcome: "repeated",
          id: first.id,
        });
      }
      assert.deepEqual(await contents(store.messages.after("a", 0, 10)), ["one", "later"]);
    },
  );

  check("another message under a used nonce clashes, and nothing of it is stored", async (store) => {
    const { id } = await store.messages.append(one, once("n"));
    const { outcome } = await store.messages.append(message("b", "herald", "two"), once("n", { digest: "other" }));
    assert.equal(outcome, "clash");
    assert.deepEqual(await store.messages.channels(), [{ channel: "a", count: 1, lastMessage: one.timestamp }]);
    assert.deepEqual(await store.messages.append(one, once("n")), { outcome: "repeated", id });
  });

  check("a nonce is its signer's own: others may use the same, whatever they are called", async (store) => {
    const ids: number[] = [];
    for (const signer of hostileNames) {
      const { outcome, id } = await store.messages.append(one, once("n", { signer, digest: signer }));
      assert.equal(outcome, "done", signer);
      ids.push(id);
    }
    assertGrowing(ids);
    for (const [index, signer] of hostileNames.entries()) {
      const again = await store.messages.append(one, once("n", { signer, digest: signer }));
      assert.deepEqual(again, { outcome: "repeated", id: ids[index] });
    }
  });

  check(
    "of the same message sent at once by several, over several connections, one is stored",
    async (store, place) => {
      await using other = await place.open();
      for (let round = 0; round < 10; round++) {
        const nonce = `n${round}`;
        const appended = await Promise.all(
          Array.from({ length: 8 }, (_, index) => (index % 2 === 0 ? store : other).messages.append(one, once(nonce))),
        );
        const outcomes = appended.map(({ outcome }) => outcome).toSorted();
        assert.deepEqual(outcomes, ["done", ...Array.from({ length: 7 }, () => "repeated")]);
        assert.equal(new Set(appended.map(({ id }) => id)).size, 1);
      }
      assert.equal((await store.messages.channels())[0]?.count, 10);
    },
  );

  check("a nonce is known for an hour at least, however many come after it", async (store) => {
    const { id } = await store.messages.append(one, once("old"));
    for (let n = 0; n < 50; n++) await store.messages.append(one, once(`n${n}`, { at: AT + HOUR - 1 }));
    assert.deepEqual(await store.messages.append(one, once("old", { at: AT + HOUR - 1 })), { outcome: "repeated", id });
  });

  check(
    "nonces that are older than an hour leave, a few with each that comes, so that they don't pile up",
    async (store) => {
      for (let n = 0; n < 20; n++) await store.messages.append(one, once(`old${n}`));
      for (let n = 0; n < 20; n++) await store.messages.append(one, once(`new${n}`, { at: AT + HOUR + 1 }));
      for (let n = 0; n < 20; n++) {
        const other = { digest: "other", at: AT + HOUR + 2 };
        assert.equal((await store.messages.append(one, once(`old${n}`, other))).outcome, "done", `old${n}`);
        assert.equal((await store.messages.append(one, once(`new${n}`, other))).outcome, "clash", `new${n}`);
      }
    },
  );

  check("what was sent under a nonce is known by it after it was pruned", async (store) => {
    const { id } = await store.messages.append(one, once("n"));
    assert.equal(await store.messages.remove("a", id, 10), 1);
    assert.deepEqual(await store.messages.append(one, once("n")), { outcome: "repeated", id });
    assert.deepEqual(await store.messages.channels(), []);
  });

  check("an agent is entered once under a nonce, and another entry under it clashes", async (store, place) => {
    await store.agents.add(operator, "new");
    const signed = once("n", { signer: "chief" });
    assert.equal(await store.agents.add(agent("herald", "chief"), "own", signed), "done");
    await store.agents.add(agent("herald", "chief", { publicKey: "newer" }), "own");
    await using other = await place.open();
    assert.equal(await other.agents.add(agent("herald", "chief"), "own", signed), "repeated");
    assert.equal(await other.agents.add(agent("mia", "chief"), "own", { ...signed, digest: "other" }), "clash");
    assert.equal((await store.agents.find("herald"))?.publicKey, "newer", "an old request brings no old key back");
    assert.equal(await store.agents.find("mia"), undefined);
  });

  check("an entry that was refused has used no nonce", async (store) => {
    await store.agents.add(operator, "new");
    const signed = once("n", { signer: "chief" });
    assert.equal(await store.agents.add(agent("herald", "chief"), "rotate", signed), "taken");
    assert.equal(await store.agents.revoke("herald", "key", signed), "taken");
    assert.equal(await store.agents.add(agent("mia", "chief"), "own", { ...signed, digest: "other" }), "done");
  });

  check(
    "an agent is revoked once under a nonce: the same request doesn't revoke a key it has got since",
    async (store) => {
      await store.agents.add(operator, "new");
      const herald = agent("herald", "chief");
      await store.agents.add(herald, "own");
      const signed = once("n", { signer: "chief" });
      assert.equal(await store.agents.revoke("herald", herald.publicKey, signed), "done");
      assert.equal(await store.agents.add(herald, "own"), "done");
      assert.equal(await store.agents.revoke("herald", herald.publicKey, signed), "repeated");
      assert.deepEqual(await store.agents.find("herald"), herald);
      assert.equal(await store.agents.revoke("herald", herald.publicKey, { ...signed, digest: "other" }), "clash");
      assert.deepEqual(await store.agents.find("herald"), herald);
    },
  );

  check("messages and agents share no nonce by accident: one signer's nonce is one request", async (store) => {
    await store.agents.add(operator, "new");
    const signed = once("n", { signer: "chief" });
    assert.equal((await store.messages.append(one, signed)).outcome, "done");
    assert.equal(await store.agents.add(agent("mia", "chief"), "own", { ...signed, digest: "other" }), "clash");
    assert.equal(await store.agents.find("mia"), undefined);
  });
}
