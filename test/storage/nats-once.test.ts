import assert from "node:assert/strict";
import { test } from "node:test";
import type { Connection } from "../../src/storage/nats/connection.ts";
import { agent, operator } from "../contracts/agents.ts";
import { openNatsBus } from "../support/nats-bus.ts";
import { natsSuite } from "../support/nats-suite.ts";

/** Lets some publications to a matching subject be stored, and fails the next, as if the process was killed there. */
function killAfter({ js }: Connection, subject: RegExp, limit: number): void {
  const publish = js.publish.bind(js);
  let stored = 0;
  js.publish = async (to, ...rest) => {
    const isCounted = subject.test(to);
    if (isCounted && stored === limit) throw new Error("killed");
    const answer = await publish(to, ...rest);
    if (isCounted) stored++;
    return answer;
  };
}

natsSuite("a signed registration whose process is killed on NATS", (server) => {
  const signed = { signer: "chief", nonce: "n", digest: "digest", at: 1_795_200_000 };
  const herald = agent("herald", "chief");

  /** Registers herald in a process that is killed before its change, or after it; returns the next process. */
  const killed = async (when: "before" | "after") => {
    const address = server.freshBus();
    await using one = await openNatsBus(address);
    await one.store.agents.add(operator, "new");
    if (when === "before") killAfter(one.connection, /\.agent\./, 0);
    else killAfter(one.connection, /\.nonce\./, 1);
    await assert.rejects(one.store.agents.add(herald, "own", signed), /killed/);
    return openNatsBus(address);
  };

  test("is done by the next process if it wasn't", async () => {
    await using next = await killed("before");
    assert.equal(await next.store.agents.find("herald"), undefined);
    assert.equal(await next.store.agents.add(herald, "own", signed), "done");
    assert.equal(await next.store.agents.add(herald, "own", signed), "repeated");
    assert.deepEqual(await next.store.agents.find("herald"), herald);
  });

  test("is recognised by the next process if it was done", async () => {
    await using next = await killed("after");
    assert.deepEqual(await next.store.agents.find("herald"), herald);
    assert.equal(await next.store.agents.add(herald, "own", signed), "repeated");
    assert.equal(await next.store.agents.add(herald, "own", { ...signed, digest: "other" }), "clash");
  });

  for (const when of ["before", "after"] as const) {
    test(`brings no old key back if it was killed ${when} its change and the name has changed since`, async () => {
      await using next = await killed(when);
      const newer = { ...herald, publicKey: "newer" };
      assert.equal(await next.store.agents.add(newer, "own"), "done");
      await assert.rejects(
        next.store.agents.add(herald, "own", signed),
        /herald was changed by another request while this one was under way: look at it, and sign a new request/,
      );
      assert.deepEqual(await next.store.agents.find("herald"), newer);
    });
  }
});
