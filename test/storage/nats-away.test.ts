import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { contents, fill, message } from "../contracts/place.ts";
import { openNatsBus } from "../support/nats-bus.ts";
import { needsNats, startNats } from "../support/nats-server.ts";
import { temporaryFolder, waitUntil } from "../support/program.ts";
import { freePort } from "../support/sockets.ts";

suite("a bus on NATS whose server doesn't answer", needsNats, () => {
  test("requests queued for a server that doesn't come back fail together with the first", async () => {
    await using away = await startNats();
    await using one = await openNatsBus(`${away.freshBus()}?wait=1`);
    away.process.kill("SIGSTOP");
    const sends = Array.from({ length: 20 }, () => assert.rejects(fill(one.store, "c", "me", "x"), /gave no answer/));
    const late = new AbortController();
    const all = Promise.all(sends).finally(() => late.abort());
    // One after the other, twenty would take longer than this.
    await Promise.race([all, sleep(25_000, undefined, late).then(() => assert.fail("they wait one after the other"))]);
    away.process.kill("SIGCONT");
  });

  test("a request queued behind one that gave up still has its own time", async () => {
    await using away = await startNats();
    await using one = await openNatsBus(`${away.freshBus()}?wait=4`);
    away.process.kill("SIGSTOP");
    const first = assert.rejects(fill(one.store, "c", "me", "first"), /gave no answer/);
    await sleep(3_000);
    const second = fill(one.store, "c", "me", "second");
    await first;
    away.process.kill("SIGCONT");
    await second;
    assert.equal((await contents(one.store.messages.after("c", 0, 10))).at(-1), "second");
  });

  test("a message that a hanging server stored without an answer is recognised as this process's own", async () => {
    await using slow = await startNats();
    const address = slow.freshBus();
    await using before = await openNatsBus(address);
    await fill(before.store, "c", "me", "before");
    await using one = await openNatsBus(address);
    slow.process.kill("SIGSTOP");
    const once = { signer: "me", nonce: "1", digest: "d", at: Date.now() / 1_000 };
    const sent = one.store.messages.append(message("c", "me", "meanwhile"), once);
    await sleep(3_500);
    slow.process.kill("SIGCONT");
    assert.equal((await sent).outcome, "done");
    assert.deepEqual(await contents(one.store.messages.after("c", 0, 10)), ["before", "meanwhile"]);
  });

  test("a message sent while no server is there waits for one, whatever its size", async () => {
    using folder = temporaryFolder();
    const at = { port: await freePort(), folder: folder.path };
    const first = await startNats("", at);
    await using one = await openNatsBus(first.freshBus());
    await fill(one.store, "c", "me", "before");
    await first[Symbol.asyncDispose]();
    await waitUntil(() => one.connection.nats.info === undefined, "it looks for a server");
    const sent = fill(one.store, "c", "me", "meanwhile");
    await using _second = await startNats("", at);
    await sent;
    assert.deepEqual(await contents(one.store.messages.after("c", 0, 10)), ["before", "meanwhile"]);
  });

  test("a lost connection is made again, and requests sent meanwhile are done", async () => {
    await using server = await startNats();
    await using one = await openNatsBus(server.freshBus());
    await fill(one.store, "c", "me", "before");
    void one.connection.nats.reconnect();
    assert.deepEqual(await contents(one.store.messages.after("c", 0, 10)), ["before"]);
    await one.store.messages.append(message("c", "me", "after"));
    assert.deepEqual(await contents(one.store.messages.after("c", 0, 10)), ["before", "after"]);
  });
});
