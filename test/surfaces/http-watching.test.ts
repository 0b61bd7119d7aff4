import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { temporaryBus } from "../support/bus.ts";
import { fastClockEnvironment } from "../support/clock.ts";
import { ask, openAnswer } from "../support/http.ts";
import { type Server, waitUntil } from "../support/program.ts";

/** The events of a stream, as they come. */
async function watch({ url }: Server, query = "") {
  const response = await openAnswer(url, `GET /events${query}`);
  let text = "";
  response.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
  });
  response.on("error", () => {});
  const events = () => [...text.matchAll(/^data: (.*)$/gm)].map(([, data = ""]) => Object(JSON.parse(data)));
  const find = (type: string) => events().filter((event) => event.type === type);
  return {
    events,
    find,
    holds: (type: string, count = 1) => waitUntil(() => find(type).length >= count, `${count} of ${type} in ${text}`),
    [Symbol.dispose]: () => void response.destroy(),
  };
}

async function say({ url }: Server, channel: string, content: string): Promise<void> {
  await ask(url, "POST /send", { body: { channel, sender: "herald", content } });
}

suite("a watcher of the bus over HTTP", { concurrency: 4 }, () => {
  test("is told how far each agent has read, and how much it hasn't, at first and with each change", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    for (const text of ["one", "two", "three"]) await say(server, "builds", text);
    await ask(server.url, "GET /messages?channel=builds&agent=reader&limit=1");
    using stream = await watch(server);
    await stream.holds("snapshot");
    assert.deepEqual(stream.find("snapshot")[0].data.readings, [
      { channel: "builds", agent: "reader", last_id: 1, unread: 2 },
    ]);
    await ask(server.url, "GET /messages?channel=builds&agent=reader");
    await stream.holds("readings");
    assert.deepEqual(stream.find("readings")[0].data, [{ channel: "builds", agent: "reader", last_id: 3, unread: 0 }]);
    await bus.run("read", "builds", "elsewhere", "--limit", "2");
    await stream.holds("readings", 2);
    assert.deepEqual(stream.find("readings")[1].data, [
      { channel: "builds", agent: "elsewhere", last_id: 2, unread: 1 },
    ]);
  });

  test("gets everything again once the bus was cleared", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    await say(server, "builds", "one");
    using stream = await watch(server);
    await stream.holds("snapshot");
    await ask(server.url, "POST /reset", { body: {} });
    await stream.holds("snapshot", 2);
    assert.deepEqual(stream.find("snapshot")[1].data.channels, []);
    await say(server, "builds", "two");
    await stream.holds("message");
    assert.equal(stream.events().length, 3);
  });

  test("hears of channels that were pruned, or are gone with that", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve(fastClockEnvironment);
    for (const text of ["one", "two", "three"]) await say(server, "builds", text);
    await say(server, "design", "four");
    using stream = await watch(server);
    await stream.holds("snapshot");
    await bus.run("prune", "builds", "--keep", "1");
    await stream.holds("channels_pruned");
    const [left] = stream.find("channels_pruned")[0].data;
    assert.deepEqual([left.channel, left.count], ["builds", 1]);
    await bus.run("prune", "design", "--keep", "0");
    await stream.holds("channels_pruned", 2);
    assert.deepEqual(stream.find("channels_pruned")[1].data, [{ channel: "design", count: 0, last_message: 0 }]);
  });

  test("resumes without a snapshot, and then hears who was seen and what was read", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    await ask(server.url, "POST /peers/connect", { body: { role: "backend" } });
    await say(server, "builds", "one");
    await ask(server.url, "GET /messages?channel=builds&agent=reader");
    using first = await watch(server);
    await first.holds("snapshot");
    using second = await watch(server, `?since=${first.find("snapshot")[0].id}`);
    await second.holds("peers_seen");
    await second.holds("readings");
    assert.deepEqual(
      second.find("peers_seen")[0].data.map(({ role, status }: { role: string; status: string }) => [role, status]),
      [["backend", "online"]],
    );
    assert.deepEqual(second.find("snapshot"), []);
  });

  test("reads a channel backwards, its last messages first", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    for (let index = 1; index <= 5; index++) await say(server, "builds", `number ${index}`);
    const idsOf = async (query: string): Promise<unknown> => {
      const { json } = await ask(server.url, `GET /channels/builds/messages?${query}`);
      return Object(json).messages.map(({ id }: { id: number }) => id);
    };
    assert.deepEqual(await idsOf("before=9007199254740991&limit=2"), [4, 5]);
    assert.deepEqual(await idsOf("before=4&limit=2"), [2, 3]);
    assert.deepEqual(await idsOf("before=4&since=2"), [3]);
    assert.equal((await ask(server.url, "GET /channels/builds/messages?before=0")).status, 400);
  });

  test("asks how much was sent, by whom and where, and for its own rights", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    for (const text of ["one", "two"]) await say(server, "builds", text);
    await say(server, "design", "three");
    const { json } = await ask(server.url, "GET /traffic?minutes=5");
    const { minutes, ...rest } = Object(json);
    assert.equal(
      minutes.reduce((sum: number, { count }: { count: number }) => sum + count, 0),
      3,
    );
    assert.deepEqual(rest, {
      ok: true,
      up_to: 3,
      flows: [
        { from: "herald", channel: "builds", count: 2 },
        { from: "herald", channel: "design", count: 1 },
      ],
    });
    const rights = await ask(server.url, "GET /rights");
    assert.deepEqual(rights.json, {
      ok: true,
      secure_mode: false,
      agent: null,
      operator: false,
      expires: null,
      may: ["anyone", "signed", "reader", "actor", "keeper"],
    });
    const beyond = await ask(server.url, "GET /rights", { headers: { "X-Forwarded-For": "192.0.2.1" } });
    assert.deepEqual(Object(beyond.json).may, ["anyone"]);
  });
});
