import assert from "node:assert/strict";
import type { IncomingMessage } from "node:http";
import { suite, test } from "node:test";
import { contentsOf, type TemporaryBus, temporaryBus } from "../support/bus.ts";
import { fastClock } from "../support/clock.ts";
import { ask, openAnswer } from "../support/http.ts";
import { type Server, untilListening, waitUntil } from "../support/program.ts";

/** What `curl -N` would show: the text of a stream as it grows. */
async function follow(server: Server, query: string, headers: Readonly<Record<string, string>> = {}) {
  const response = await openAnswer(server.url, `GET /follow?${query}`, { headers });
  let text = "";
  response.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
  });
  response.on("error", () => {});
  const ended = new Promise<string>((resolve) => response.on("close", () => resolve(text)));
  return {
    response,
    ended,
    text: () => text,
    holds: (part: string) => waitUntil(() => text.includes(part), `${part} in ${text}`),
    [Symbol.dispose]: () => void response.destroy(),
  };
}

const send = (bus: TemporaryBus, ...contents: string[]) =>
  contents.reduce<Promise<unknown>>(
    (before, text) => before.then(() => bus.run("send", "c", "a", text)),
    Promise.resolve(),
  );

suite("GET /follow", { concurrency: 6 }, () => {
  test("is a stream of server-sent events: what is unread, then each message as it comes", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    await send(bus, "before\nit began");
    using stream = await follow(server, "channel=c&agent=b");
    assertIsStream(stream.response);
    await stream.holds("before");
    await send(bus, "after");
    await ask(server.url, "POST /send", { body: { channel: "other", sender: "a", content: "elsewhere" } });
    await ask(server.url, "POST /send", { body: { channel: "c", sender: "b", content: "by HTTP" } });
    await stream.holds("by HTTP");
    const events = stream
      .text()
      .split("\n\n")
      .filter((block) => block.startsWith("id:"));
    assert.match(stream.text(), /^: \n\n/);
    const read = events.map((block) => /^id: (\d+)\ndata: (.*)$/.exec(block)?.slice(1) ?? []);
    assert.deepEqual(
      read.map(([id]) => id),
      ["1", "2", "4"],
    );
    const messages = read.map(([, data = ""]) => JSON.parse(data));
    assert.deepEqual(contentsOf(messages), ["before\nit began", "after", "by HTTP"]);
    assert.deepEqual(
      messages.map(({ id, sender }) => [id, sender]),
      [
        [1, "a"],
        [2, "a"],
        [4, "b"],
      ],
    );
  });

  test("moves no watermark: the follower acknowledges", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    await send(bus, "1", "2");
    using stream = await follow(server, "channel=c&agent=b");
    await stream.holds('"2"');
    assert.deepEqual(contentsOf(await bus.answer("read", "c", "b", "--peek")), ["1", "2"]);
    await ask(server.url, "POST /ack", { body: { channel: "c", agent: "b", id: 1 } });
    using again = await follow(server, "channel=c&agent=b");
    await again.holds('"2"');
    assert.doesNotMatch(again.text(), /"content":"1"/);
  });

  test("resumes at Last-Event-ID or since", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    await send(bus, "1", "2", "3");
    using resumed = await follow(server, "channel=c&agent=b", { "Last-Event-ID": "2" });
    using since = await follow(server, "channel=c&agent=b&since=1");
    using both = await follow(server, "channel=c&agent=b&since=0", { "Last-Event-ID": "2" });
    for (const [stream, first] of [
      [resumed, "3"],
      [since, "2"],
      [both, "3"],
    ] as const) {
      await stream.holds(`"content":"3"`);
      assert.equal(/"content":"(\d)"/.exec(stream.text())?.[1], first);
    }
    for (const id of ["x", "-1", "1.5"]) {
      const { status } = await ask(server.url, "GET /follow?channel=c&agent=b", { headers: { "Last-Event-ID": id } });
      assert.equal(status, 400);
    }
  });

  test("others leaves out one's own messages", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    using stream = await follow(server, "channel=c&agent=a&others=true");
    await send(bus, "mine");
    await bus.run("send", "c", "you", "yours");
    await stream.holds("yours");
    assert.doesNotMatch(stream.text(), /mine/);
  });

  test("sends a comment now and then, so that proxies see that it is alive", async () => {
    using bus = temporaryBus();
    await using server = await untilListening(bus.start(["serve", "0"], { node: fastClock }));
    using stream = await follow(server, "channel=c&agent=b");
    await stream.holds(": \n\n: \n\n: \n\n");
    assert.doesNotMatch(stream.text(), /data|id/);
  });

  test("is refused before it begins, if it is impossible", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    for (const query of ["", "?channel=c", "?agent=b", "?channel=c&agent=b&since=x", "?channel=c&agent=b&peek=2"]) {
      const { status, headers } = await ask(server.url, `GET /follow${query}`);
      assert.deepEqual([status, headers["content-type"]], [400, "application/json"]);
    }
  });

  test("many follow one channel, and those that leave cost nothing more", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const streams = await Promise.all(
      Array.from({ length: 50 }, (_, index) => follow(server, `channel=c&agent=${index}`)),
    );
    await send(bus, "to all");
    for (const stream of streams) await stream.holds("to all");
    for (const stream of streams) stream[Symbol.dispose]();
    await waitUntil(async () => / 1$/m.test(await openRequests(server)), "the end of all");
  });

  test("a slow reader gets everything in the end, in order", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const content = "x".repeat(500_000);
    for (let count = 0; count < 20; count++) {
      await ask(server.url, "POST /send", { body: { channel: "c", sender: "a", content: `${count} ${content}` } });
    }
    const response = await openAnswer(server.url, "GET /follow?channel=c&agent=b");
    let text = "";
    for await (const chunk of response.setEncoding("utf8")) {
      text += chunk;
      if (text.length < 100_000) await new Promise((resolve) => setTimeout(resolve, 20));
      if (/"content":"19 x{500000}"/.test(text)) break;
    }
    const order = [...text.matchAll(/"content":"(\d+) /g)].map(([, count]) => Number(count));
    assert.deepEqual(
      order,
      Array.from({ length: 20 }, (_, count) => count),
    );
  });
});

function assertIsStream({ statusCode, headers }: IncomingMessage): void {
  assert.equal(statusCode, 200);
  assert.equal(headers["content-type"], "text/event-stream");
  assert.equal(headers["cache-control"], "no-store");
}

async function openRequests({ url }: Server): Promise<string> {
  return /^el_ipc_http_open_requests .*$/m.exec((await ask(url, "GET /metrics")).text)?.[0] ?? "";
}
