import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { objectIn } from "../support/http.ts";
import { eventually, openBus, type Server, succeeded } from "../support/secure-bus.ts";

async function quickest(server: Server, what: string, times: number): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let n = 0; n < times; n++) {
    const started = performance.now();
    assert.equal((await server.ask(what)).status, 200);
    least = Math.min(least, performance.now() - started);
  }
  return least;
}

suite("what reading promises", { concurrency: 4 }, () => {
  test("D1 300 open long-polls keep nobody from being answered, and all hear of a message", async () => {
    using bus = openBus();
    await using server = await bus.serve();
    const waiting = Array.from({ length: 300 }, (_, n) =>
      server.ask(`GET /messages?channel=c&agent=a${n}&wait=true&timeout=30`),
    );
    const opens = async () => /open_requests 30[1-9]/.test((await server.ask("GET /metrics")).text);
    await eventually(opens, "all wait");
    assert.ok((await quickest(server, "GET /health", 5)) < 500);
    await succeeded(bus.run("send", "c", "sender", "wake"));
    const answers = await Promise.all(waiting);
    for (const { text } of answers) assert.match(text, /"content":"wake"/);
  });

  test("D9 messages for a closed pipe stay unread", async () => {
    using bus = openBus();
    await succeeded(bus.run("send", "c", "a", "precious"));
    const reader = bus.start("read", "c", "b");
    reader.child.stdout.destroy();
    assert.equal((await reader.ended).code, 141);
    assert.equal((await bus.read("c", "b"))[0]?.content, "precious");
    assert.deepEqual(await bus.read("c", "b"), []);
  });

  test("D10 a watermark never moves back, whichever request is later", async () => {
    using bus = openBus();
    await using server = await bus.serve();
    for (let n = 0; n < 20; n++)
      await server.ask("POST /send", { body: { channel: "c", sender: "a", content: `${n}` } });
    const acks = Array.from({ length: 20 }, (_, n) =>
      server.ask("POST /ack", { body: { channel: "c", agent: "b", id: ((n * 7) % 20) + 1 } }),
    );
    await Promise.all(acks);
    const back = await server.ask("POST /ack", { body: { channel: "c", agent: "b", id: 3 } });
    assert.deepEqual(back.json, { ok: true, watermark: 20 });
    assert.equal(objectIn((await server.ask("GET /health?channel=c&agent=b")).text).pending, 0);
  });

  test("D11 reading and counting cost what is unread, not what is stored", async () => {
    using bus = openBus();
    await succeeded(bus.run("send", "quiet", "a", "x"));
    bus.sql(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000)
      INSERT INTO messages (channel, sender, content, created_at) SELECT 'loud', 'a', 'some text of a message', i FROM n`);
    await using server = await bus.serve();
    const asked = [
      "GET /messages?channel=quiet&agent=b&peek=true",
      "GET /health?channel=quiet&agent=b",
      "GET /channels",
    ];
    // The server's own measure of its work: a clock would count that of other processes, too.
    const worked = async () =>
      Number(/^process_cpu_seconds_total (\S+)/m.exec((await server.ask("GET /metrics")).text)?.[1]);
    for (const what of asked) {
      const before = await worked();
      for (let n = 0; n < 20; n++) assert.equal((await server.ask(what)).status, 200);
      assert.ok((await worked()) - before < 0.25, what);
    }
  });
});
