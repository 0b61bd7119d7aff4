import assert from "node:assert/strict";
import { connect } from "node:net";
import { suite, test } from "node:test";
import { contentsOf, type TemporaryBus, temporaryBus } from "../support/bus.ts";
import { ask, openAnswer, type StandIn, startStandInSocket } from "../support/http.ts";
import { type Server, waitUntil } from "../support/program.ts";

/** A way to a server that breaks after so many bytes of an answer, again and again, and mostly in the middle of a line. */
function breakingWay(server: Server, bytes: () => number): Promise<StandIn & { readonly breaks: number }> {
  let breaks = 0;
  const way = startStandInSocket((near) => {
    const far = connect(server.port, "127.0.0.1");
    let left = bytes();
    const end = () => {
      near.destroy();
      far.destroy();
    };
    near.on("data", (chunk) => far.write(chunk)).on("close", end);
    far.on("error", end).on("close", end);
    far.on("data", (chunk) => {
      if (chunk.length < left) {
        near.write(chunk);
        left -= chunk.length;
        return;
      }
      breaks++;
      near.write(chunk.subarray(0, left), end);
      left = 0;
    });
  });
  return way.then((it) =>
    Object.defineProperty(Object.assign(it, { breaks: 0 }), "breaks", { get: () => breaks, enumerable: true }),
  );
}

async function fill(bus: TemporaryBus, server: Server, count: number): Promise<readonly string[]> {
  const contents = Array.from({ length: count }, (_, n) => `${n} ${"x".repeat(n * 10)}`);
  for (const content of contents) {
    await ask(server.url, "POST /send", { body: { channel: "room", sender: "a", content } });
    await ask(server.url, "POST /mailboxes/me", { body: { from: "a", message: content } });
  }
  assert.equal((await bus.run("health")).code, 0);
  return contents;
}

suite("a connection that breaks again and again, in the middle of an answer", { concurrency: 3 }, () => {
  test("follow prints each message once, in order, and has consumed them all in the end", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const contents = await fill(bus, server, 40);
    using way = await breakingWay(server, () => 1_500 + Math.floor(Math.random() * 1_500));
    await using follower = bus.start(["follow", "room", "me", "--url", way.url]);
    await follower.untilPrinted('"content":"39 ');
    await bus.run("send", "room", "a", "the last");
    await follower.untilPrinted("the last");
    await waitUntil(
      async () => (await bus.run("health", "room", "me")).stdout.includes('"pending":0'),
      "all is consumed",
    );
    follower.child.kill("SIGTERM");
    const { stdout, stderr } = await follower.ended;
    const printed = stdout.trimEnd().split("\n");
    assert.deepEqual([contentsOf(printed.map((line) => JSON.parse(line))), stderr], [[...contents, "the last"], ""]);
    assert.ok(way.breaks > 5, `${way.breaks} breaks`);
  });

  test("a stream resumed with Last-Event-ID misses nothing and repeats nothing", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const contents = await fill(bus, server, 30);
    using way = await breakingWay(server, () => 1_000 + Math.floor(Math.random() * 1_000));
    const got: string[] = [];
    let last: string | undefined;
    for (let tries = 0; got.length < contents.length && tries < 200; tries++) {
      const headers: Record<string, string> = last === undefined ? {} : { "Last-Event-ID": last };
      const stream = await openAnswer(way.url, "GET /follow?channel=room&agent=me", { headers }).catch(() => undefined);
      let text = "";
      try {
        for await (const chunk of stream ?? []) {
          text += chunk;
          if (text.includes('"content":"29 ') && text.endsWith("\n\n")) break;
        }
      } catch {
        // It broke.
      }
      for (const [, id, data] of text.matchAll(/^id: (\d+)\ndata: (.*)\n\n/gm)) {
        got.push(...contentsOf([JSON.parse(data ?? "")]));
        last = id;
      }
    }
    assert.deepEqual(got, contents);
    assert.equal((await bus.run("health", "room", "me")).stdout.includes('"pending":30'), true, "it consumed nothing");
  });

  test("read and fetch get all of it, at least once and in order", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const contents = await fill(bus, server, 12);
    let few = false;
    using way = await breakingWay(server, () => (few ? 400 : 1_000_000));
    const far = bus.with({ IPC_URL: way.url });
    for (const words of [
      ["read", "room", "me", "--limit", "5"],
      ["fetch", "me", "--limit", "5"],
    ]) {
      const got: string[] = [];
      // The messages that were cut off come again after their lease of ten seconds.
      const end = Date.now() + 50_000;
      for (let turn = 0; new Set(got).size < contents.length && Date.now() < end; turn++) {
        few = turn === 0 || turn === 2;
        const { stdout } = await far.run(...words);
        const lines = words[0] === "read" ? stdout || "[]" : `[${stdout.trimEnd().split("\n").join(",")}]`;
        got.push(...contentsOf(JSON.parse(lines)));
        if (stdout === "" && words[0] === "fetch") await new Promise((resolve) => setTimeout(resolve, 500));
      }
      assert.deepEqual([...new Set(got)].toSorted(), [...contents].toSorted());
      if (words[0] === "read") assert.deepEqual([...new Set(got)], contents);
    }
  });
});

test("two readers of one name get everything between them, each in order", async () => {
  using bus = temporaryBus();
  await using server = await bus.serve();
  const contents = await fill(bus, server, 60);
  const readers = [bus, bus.with({ IPC_URL: server.url })].map(async (place) => {
    const got: string[] = [];
    for (let more = true; more; ) {
      const some = contentsOf(await place.answer("read", "room", "me", "--limit", "7"));
      got.push(...some);
      more = some.length > 0;
    }
    return got;
  });
  const [one = [], two = []] = await Promise.all(readers);
  assert.deepEqual(
    contents.filter((content) => !one.includes(content) && !two.includes(content)),
    [],
  );
  for (const got of [one, two]) {
    const places = got.map((content) => contents.indexOf(content));
    assert.deepEqual(
      places,
      [...new Set(places)].toSorted((a, b) => a - b),
      "in order, and nothing twice",
    );
  }
  assert.deepEqual(await bus.answer("read", "room", "me"), []);
});
