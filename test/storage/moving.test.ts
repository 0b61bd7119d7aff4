import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { createImporter } from "../../src/core/moving.ts";
import type { Store } from "../../src/core/store.ts";
import { openSqlite } from "../../src/storage/sqlite/open.ts";
import { furnishAll, heldBy, move } from "../contracts/archive.ts";
import { contents, fill } from "../contracts/place.ts";
import { openNatsBus } from "../support/nats-bus.ts";
import { needsNats, startNats } from "../support/nats-server.ts";
import { temporaryFolder } from "../support/program.ts";

const now = () => Date.now() / 1_000;

/** Stores and removes three messages, so that the ids of the two buses differ. */
async function shift(store: Store): Promise<void> {
  const ids = await fill(store, "other", "x", "1", "2", "3");
  await store.messages.remove("other", ids[2] ?? 0, 10);
}

suite("moving a bus", () => {
  test("a bus moves to NATS and back without loss, and an interrupted import continues", needsNats, async () => {
    using folder = temporaryFolder();
    await using server = await startNats();
    await using one = await openSqlite({ path: folder.file("one.db") });
    await using nats = await openNatsBus(server.freshBus());
    await using back = await openSqlite({ path: folder.file("back.db") });
    await furnishAll(one);
    const before = await heldBy(one);
    for (const [from, to] of [
      [one, nats.store],
      [nats.store, back],
    ] as const) {
      await shift(to);
      for (const most of [1, 20, 40, 60]) assert.equal((await move(from, to, most)).complete, false);
      assert.equal((await move(from, to)).complete, true);
      assert.deepEqual(await heldBy(to), before);
      const again = await move(from, to);
      assert.deepEqual(Object.values(again.stored), [0, 0, 0, 0, 0, 0]);
      assert.deepEqual(await heldBy(to), before);
    }
  });

  test("a request that was done on one bus is a repetition on the other", async () => {
    using folder = temporaryFolder();
    await using one = await openSqlite({ path: folder.file("one.db") });
    await using other = await openSqlite({ path: folder.file("other.db") });
    await shift(other);
    const once = { signer: "herald", nonce: "n", digest: "d", at: now() };
    const signed = { channel: "c", sender: "herald", content: "x", timestamp: 1, signature: "c2ln" };
    await one.messages.append(signed, once);
    await move(one, other);
    assert.deepEqual(await other.messages.append(signed, once), { outcome: "repeated", id: 4 });
  });

  test("a bus keeps its own keys, its later signals and its unread messages", async () => {
    using folder = temporaryFolder();
    await using one = await openSqlite({ path: folder.file("one.db") });
    await using other = await openSqlite({ path: folder.file("other.db") });
    await furnishAll(one);
    const [operator] = await one.agents.list();
    assert.ok(operator);
    await other.agents.add({ ...operator, publicKey: "another" }, "new");
    await other.signals.set({ name: "go", data: "later", sender: "x", setAt: 9e9 });
    await fill(other, "c", "x", "here alone");
    const { kept } = await move(one, other);
    assert.deepEqual(kept, [
      `${operator.name} has another key on this bus, or its key was revoked here: it was not imported`,
      "reader has messages to read in c that are on this bus alone: its watermark there was not imported",
    ]);
    assert.equal((await other.agents.find(operator.name))?.publicKey, "another");
    assert.equal((await other.signals.get("go"))?.data, "later");
    assert.equal(await other.messages.watermark("c", "reader"), 0);
  });

  test("an agent whose key was revoked after a move loses it with the next", async () => {
    using folder = temporaryFolder();
    await using one = await openSqlite({ path: folder.file("one.db") });
    await using other = await openSqlite({ path: folder.file("other.db") });
    await furnishAll(one);
    await move(one, other);
    const herald = await one.agents.find("herald");
    assert.ok(herald);
    const once = { signer: "ops", nonce: "later", digest: "d", at: now() };
    await one.agents.revoke("herald", herald.publicKey, once);
    await move(one, other);
    assert.equal(await other.agents.find("herald"), undefined);
    assert.equal((await other.agents.revoked("herald"))?.publicKey, herald.publicKey);
  });

  test("a line that is not an export's, or holds an impossible record, is refused in a sentence and changes nothing", async () => {
    using folder = temporaryFolder();
    await using store = await openSqlite({ path: folder.file("one.db") });
    const start = { export: { format: 1, at: 1, after: 0, last: 0 } };
    const message = { id: 1, channel: "c", sender: "a", content: "x", timestamp: 1, signature: "" };
    const hostile: readonly (readonly [unknown, RegExp])[] = [
      [undefined, /not a line of an export/],
      [[], /not a line of an export/],
      [{}, /not a line of an export/],
      [{ message, agent: {} }, /not a line of an export/],
      [{ constructor: {} }, /not a line of an export/],
      [{ toString: {} }, /not a line of an export/],
      [{ export: { format: 2 } }, /newer el-ipc/],
      [{ message: { ...message, channel: "\u0001orders" } }, /channel must not contain control characters/],
      [{ message: { ...message, sender: "x".repeat(201) } }, /sender must be 200 characters at most/],
      [{ message: { ...message, content: 1 } }, /content must be a text/],
      [{ message: { ...message, content: "\ud800" } }, /content must be a text/],
      [{ message: { ...message, content: "x".repeat(1024 * 1024 + 1) } }, /content must be 1048576 bytes at most/],
      [{ message: { ...message, id: 1.5 } }, /an id must be a whole number/],
      [{ message: { ...message, timestamp: null } }, /timestamp must be a number/],
      [{ agent: { name: "a" } }, /identity must be a text/],
      [{ order: { id: "a", kind: "sudo" } }, /kind must be command or command_response/],
      [{ arrived: { channel: "@a", ids: "all" } }, /ids must be a list/],
    ];
    for (const [line, sentence] of hostile) {
      const importer = await createImporter(store, now);
      await importer.take(start);
      await assert.rejects(importer.take(line), sentence);
    }
    await assert.rejects((await createImporter(store, now)).take({ message }), /its first line is missing/);
    const importer = await createImporter(store, now);
    for (const line of [start, { message: { ...message, id: 5 } }]) await importer.take(line);
    await assert.rejects(importer.take({ message: { ...message, id: 5 } }), /in the order of their ids/);
    assert.deepEqual(await contents(store.messages.allAfter(0, 10)), ["x"]);
    assert.deepEqual(await store.agents.list(), []);
  });
});
