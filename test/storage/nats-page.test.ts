import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { suite, test } from "node:test";
import { readAddress } from "../../src/storage/nats/address.ts";
import { type Connection, connectNats } from "../../src/storage/nats/connection.ts";
import { newPeer } from "../contracts/peers.ts";
import { contents, message } from "../contracts/place.ts";
import { blocksOf, codeIn, rowsOf, section } from "../support/markdown.ts";
import { openNatsBus } from "../support/nats-bus.ts";
import { needsNats, startNats } from "../support/nats-server.ts";

const page = readFileSync(new URL("../../docs/nats.md", import.meta.url), "utf8");

/** The streams as the page says to make them. */
function streamsOnPage() {
  const part = section(page, "Making the streams yourself");
  const common = JSON.parse(blocksOf(part)[0]?.text ?? "");
  const streams = rowsOf(part).map(([name = "", subjects = "", perSubject, age]) => ({
    ...common,
    name: codeIn(name)[0] ?? "",
    subjects: codeIn(subjects),
    max_msgs_per_subject: Number(perSubject),
    max_age: Number(age),
  }));
  assert.deepEqual(streams[0], common, "the file is the first of them");
  return streams;
}

/** Stores something in each stream, then replaces it; returns the streams' configurations. */
async function useAll(address: string) {
  await using bus = await openNatsBus(address);
  const { store } = bus;
  await store.sessions.connect(newPeer("bac-1"), undefined);
  for (const round of [1, 2]) {
    const once = { signer: "me", nonce: `${round}`, digest: "x", at: Date.now() / 1_000 };
    const { id } = await store.messages.append(message("c", "me", `${round}`), once);
    assert.deepEqual(await store.messages.append(message("c", "me", "again"), once), { outcome: "repeated", id });
    assert.equal(await store.messages.advance("c", "me", id), id);
    assert.ok(await store.agents.markRevoked({ name: `gone ${round}`, publicKey: "x", registeredBy: null }));
    await store.signals.set({ name: "large", data: `${round}`.repeat(1_000), sender: "bac-1", setAt: round });
  }
  assert.deepEqual(await contents(store.messages.after("c", 0, 10)), ["1", "2"]);
  assert.equal((await store.messages.readers("c"))[0]?.lastId, await store.messages.lastId());
  return await configsOf(bus.connection);
}

async function configsOf({ jsm }: Connection) {
  const found = await Array.fromAsync(jsm.streams.list("el-ipc.>"));
  return new Map(found.map(({ config }) => [config.name, config]));
}

suite("the page about NATS", needsNats, () => {
  test("lists the streams as el-ipc makes them, and streams made from it work", async () => {
    const streams = streamsOnPage();
    await using one = await startNats();
    const made = await useAll(`nats://127.0.0.1:${one.port}`);
    assert.deepEqual([...made.keys()].toSorted(), streams.map(({ name }) => name).toSorted());
    for (const stream of streams) assert.partialDeepStrictEqual(made.get(stream.name), stream);
    await using other = await startNats();
    const address = `nats://127.0.0.1:${other.port}`;
    const connection = await connectNats(readAddress(address));
    for (const stream of streams) await connection.jsm.streams.add({ ...stream, max_bytes: 10_000_000 });
    const before = await configsOf(connection);
    await connection.close();
    assert.deepEqual(await useAll(address), before);
  });
});
