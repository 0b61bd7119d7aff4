// As many connections at once as the machine and CONNECTIONS allow: all are heard, each gets what is for it and nothing
// else, and whoever comes beside them is answered.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { suite, type TestContext, test } from "node:test";
import { type TemporaryBus, tcpPortOf, temporaryBus } from "../support/bus.ts";
import { ask } from "../support/http.ts";
import { type Server, waitUntil } from "../support/program.ts";
import { amount } from "../support/soak.ts";
import { askLine, connectLines, connectWebSocket } from "../support/sockets.ts";

const WANTED = amount(300, 10_000, "CONNECTIONS");

/** Files that a process has open besides its connections. */
const OTHER_FILES = 500;

/** Connections opened at the same moment. */
const BATCH = 500;

/** Every so many wait for something else. */
const APART = 100;

const isApart = (index: number) => index % APART === 0;

/** As many as wanted, or as a process may open here: then the test says so. */
function allowed(t: TestContext): number {
  const most = execFileSync("sh", ["-c", "ulimit -Hn"], { encoding: "utf8" }).trim();
  const count = most === "unlimited" ? WANTED : Math.min(WANTED, Number(most) - OTHER_FILES);
  if (count < WANTED)
    t.diagnostic(`a process may open ${most} files here (ulimit -Hn): ${count} connections, not ${WANTED}`);
  return count;
}

async function openEach<T>(count: number, open: (index: number) => Promise<T>): Promise<T[]> {
  const opened: T[] = [];
  while (opened.length < count) {
    const from = opened.length;
    const batch = Array.from({ length: Math.min(BATCH, count - from) }, (_, index) => open(from + index));
    opened.push(...(await Promise.all(batch)));
  }
  return opened;
}

/** The memory of a process, in KiB. */
function memoryOf({ child }: Server): number {
  return Number(execFileSync("ps", ["-o", "rss=", "-p", String(child.pid)], { encoding: "utf8" }));
}

interface Watch extends AsyncDisposable {
  /** The longest that an answer took so far, in milliseconds. */
  readonly longest: number;
}

/** Asks whether the server is well, again and again. */
function watchHealth({ url }: Server): Watch {
  const ended = new AbortController();
  let longest = 0;
  const asking = (async () => {
    while (!ended.signal.aborted) {
      const started = performance.now();
      assert.equal((await ask(url, "GET /health")).status, 200);
      longest = Math.max(longest, Math.round(performance.now() - started));
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })();
  return {
    get longest() {
      return longest;
    },
    async [Symbol.asyncDispose]() {
      ended.abort();
      await asking;
    },
  };
}

/** A newcomer beside all these connections is served, on each surface. */
async function everybodyElseIsAnswered(bus: TemporaryBus, server: Server, tcpPort: number): Promise<void> {
  assert.equal((await askLine(tcpPort, { op: "post", to: "late", from: "me", msg: "hello" })).ok, true);
  using socket = await connectWebSocket(server.port);
  socket.say({ type: "register", agent: "late" });
  assert.equal((await socket.nextOf("message")).message, "hello");
  assert.match((await bus.run("channels", "--url", server.url)).stdout, /"news"/);
}

async function stage() {
  const bus = temporaryBus();
  const server = await bus.serve({}, "--tcp", "0");
  const port = await tcpPortOf(server);
  return {
    ...{ bus, server, port },
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      bus[Symbol.dispose]();
    },
  };
}

const news = { channel: "news", sender: "herald", content: "to all of you" };

suite("many connections at once", { timeout: 300_000 }, () => {
  test("over TCP each waiting connection gets its message, and the others go on waiting", async (t) => {
    const count = allowed(t);
    await using place = await stage();
    const { bus, server, port } = place;
    const before = memoryOf(server);
    const all = await openEach(count, () => connectLines(port));
    await using health = watchHealth(server);
    for (const [index, line] of all.entries()) {
      const channel = isApart(index) ? "other" : news.channel;
      line.say({ id: "wait", ask: "read", input: { channel, agent: `agent-${index}`, wait: true, timeout: 300 } });
      line.say({ id: "there", ask: "health" });
    }
    for (const line of all) assert.equal((await line.next()).id, "there");
    for (const line of all) line.say({ id: "posted", op: "post", to: "everybody", from: "me", msg: "I am here" });
    for (const line of all) assert.deepEqual(Object.keys(await line.next()), ["id", "ok", "info", "message_id"]);
    assert.equal(Object((await askLine(port, { op: "status" })).mailboxes).everybody, count);
    const each = (memoryOf(server) - before) / count;
    const [started, sent] = [performance.now(), await ask(server.url, "POST /send", { body: news })];
    assert.equal(sent.status, 200);
    for (const [index, line] of all.entries()) {
      if (isApart(index)) continue;
      const { id, answer } = await line.next();
      assert.deepEqual(
        [id, Object(answer).map((message: typeof news) => message.content)],
        ["wait", [news.content]],
        `${index}`,
      );
    }
    const took = Math.round(performance.now() - started);
    const { longest } = health;
    await everybodyElseIsAnswered(bus, server, port);
    await ask(server.url, "POST /send", { body: { ...news, channel: "other" } });
    for (const [index, line] of all.entries()) if (isApart(index)) assert.equal((await line.next()).id, "wait");
    for (const line of all) line[Symbol.dispose]();
    t.diagnostic(
      `TCP: ${count} waiting, ${each.toFixed(1)} KiB each; a message to them ${took} ms; /health ${longest} ms at most`,
    );
  });

  test("over WebSocket each is known by its name, gets its own letters, and a message that is for all", async (t) => {
    const count = allowed(t);
    await using place = await stage();
    const { bus, server, port } = place;
    const before = memoryOf(server);
    const all = await openEach(count, () => connectWebSocket(server.port));
    await using health = watchHealth(server);
    for (const [index, socket] of all.entries()) socket.say({ type: "register", agent: `agent-${index}` });
    for (const socket of all) assert.equal((await socket.next()).type, "registered");
    for (const [index, socket] of all.entries()) {
      const channel = isApart(index) ? "other" : news.channel;
      const input = { channel, agent: `agent-${index}`, wait: true, timeout: 300 };
      socket.say({ type: "ask", id: "wait", ask: "read", input });
      socket.say({ type: "ping" });
    }
    for (const socket of all) assert.equal((await socket.next()).type, "pong");
    const each = (memoryOf(server) - before) / count;
    const [started, sent] = [performance.now(), await ask(server.url, "POST /send", { body: news })];
    assert.equal(sent.status, 200);
    for (const [index, socket] of all.entries()) {
      if (isApart(index)) continue;
      const { id, answer } = await socket.next();
      assert.deepEqual([id, Object(answer)[0].content], ["wait", news.content], `${index}`);
    }
    const took = Math.round(performance.now() - started);
    for (const [index, socket] of all.entries()) {
      socket.say({ type: "message", to: `agent-${(index + 1) % count}`, message: `from ${index}` });
    }
    for (const [index, socket] of all.entries()) {
      const came = [await socket.next(), await socket.next(), await socket.next()];
      const [delivered, message, stored] = came.toSorted((one, other) =>
        String(one.type) < String(other.type) ? -1 : 1,
      );
      assert.deepEqual([delivered?.type, stored?.type], ["delivered", "stored"]);
      assert.equal(message?.message, `from ${(index + count - 1) % count}`);
    }
    const { longest } = health;
    await everybodyElseIsAnswered(bus, server, port);
    for (const socket of all) socket[Symbol.dispose]();
    await waitUntil(
      async () => JSON.stringify((await ask(server.url, "GET /peers")).json).length < 1_000,
      "all have left",
    );
    t.diagnostic(
      `WebSocket: ${count} by name, ${each.toFixed(1)} KiB each; a message to them ${took} ms; /health ${longest} ms at most`,
    );
  });
});
