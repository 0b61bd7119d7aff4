import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { suite, test } from "node:test";
import { temporaryBus } from "../support/bus.ts";
import { ask } from "../support/http.ts";
import { type Server, waitUntil } from "../support/program.ts";
import {
  answerIn,
  askFor,
  connect,
  sendCommand,
  takeCommand,
  type WatchedEvent,
  waitForCommand,
  watch,
} from "../support/sessions.ts";

/** Something of everything; answers with the session's id. */
async function furnish(server: Server): Promise<string> {
  const id = await connect(server, "backend", ["node"]);
  await sendCommand(server, id, "start_server", { params: { port: 7400 } });
  await askFor(server, "POST /signals/go", { data: 1 });
  await askFor(server, "POST /channels/builds/send?from=ada", { green: true });
  return id;
}

suite("status and reset", { concurrency: 4 }, () => {
  test("B39 GET /status shows everything on the bus", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const empty = await askFor(server, "GET /status");
    assert.ok(Math.abs(empty.now - Date.now() / 1_000) < 60);
    assert.deepEqual(
      { ...empty, now: 0 },
      { ok: true, secure_mode: false, now: 0, peers: [], commands: [], signals: [], channels: [] },
    );
    const id = await furnish(server);
    const { peers, commands, signals, channels, ok } = await askFor(server, "GET /status");
    assert.equal(ok, true);
    assert.deepEqual(peers, (await askFor(server, "GET /peers")).peers);
    assert.deepEqual(commands, (await askFor(server, "GET /commands")).commands);
    assert.deepEqual(signals, (await askFor(server, "GET /signals")).signals);
    assert.deepEqual(channels, (await ask(server.url, "GET /channels")).json);
    assert.deepEqual(
      [peers[0]?.id, commands[0]?.target, signals[1]?.name, channels[0]?.channel],
      [id, id, "go", "builds"],
    );
  });

  test("B40 POST /reset clears everything, after a backup, in open mode from this machine", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const id = await furnish(server);
    const { ok, removed, backup } = await askFor(server, "POST /reset");
    assert.deepEqual([ok, removed], [true, 1]);
    assert.equal(statSync(backup).mode & 0o777, 0o600);
    const { peers, commands, signals, channels } = await askFor(server, "GET /status");
    assert.deepEqual([peers, commands, signals, channels], [[], [], [], []]);
    await askFor(server, `GET /peers/${id}`, undefined, 404);
    const { id: next } = await askFor(server, "POST /channels/builds/send", {});
    assert.equal(next, 2, "ids go on");
    const old = await bus.with({ IPC_DB_PATH: backup, IPC_STORE: "" }).answer("status");
    assert.deepEqual([Object(old).peers[0].id, Object(old).commands.length, Object(old).channels.length], [id, 1, 1]);
  });

  test("a reset wakes the waits for what it removed", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const id = await connect(server, "backend");
    const sent = await sendCommand(server, id);
    await takeCommand(server, id);
    const waits = [waitForCommand(server, id, 60_000), ask(server.url, `GET /commands/${sent}/result?timeout=60000`)];
    await waitUntil(async () => (await askFor(server, `GET /peers/${id}`)).peer.waiting_for === "commands", "it waits");
    const started = performance.now();
    await askFor(server, "POST /reset");
    const answers = await Promise.all(waits);
    assert.deepEqual(
      answers.map(({ status }) => status),
      [404, 404],
    );
    assert.match(answerIn(answers[0] ?? assert.fail()).error, /connect first/);
    assert.ok(performance.now() - started < 5_000);
  });

  test("a wait for a signal survives a reset", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const waiting = ask(server.url, "GET /signals/go/wait?timeout=20000");
    await askFor(server, "POST /reset");
    await askFor(server, "POST /signals/go", { data: "after" });
    assert.equal(answerIn(await waiting).signal.data, "after");
  });

  const foreign: readonly [string, Readonly<Record<string, string>>][] = [
    ["a page elsewhere", { Origin: "https://evil.example" }],
    ["a page of another port of this machine", { Origin: "http://127.0.0.1:1" }],
    ["a page without an origin", { Origin: "null" }],
    [
      "a page whose name was rebound to this machine",
      { Host: "evil.example:9100", Origin: "http://evil.example:9100" },
    ],
    ["another name of this machine", { Host: "evil.example" }],
    ["a proxy", { "X-Forwarded-For": "203.0.113.7" }],
  ];
  test("D17 POST /reset is refused from any web page, and from beyond this machine", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    await furnish(server);
    const destroying = [
      "POST /reset",
      "DELETE /signals/go",
      "POST /signals/go",
      "POST /peers/connect",
      "POST /commands/send",
    ];
    const body = JSON.stringify({ role: "tester", target: "backend", action: "x" });
    for (const [who, headers] of foreign) {
      for (const what of destroying) {
        const { ok, code } = await askFor(server, what, body, 403, { "Content-Type": "text/plain", ...headers });
        assert.deepEqual([ok, code], [false, "unauthorized"], `${what} of ${who}`);
      }
    }
    const { channels, signals, peers } = await askFor(server, "GET /status");
    // The refusals are alarms.
    assert.deepEqual(channels.map(({ channel }) => channel).toSorted(), ["builds", "security"]);
    assert.deepEqual([signals.length, peers.length], [2, 1]);
    await askFor(server, "POST /reset", undefined, 200, { Origin: server.url });
  });

  test("a foreign page can't watch either", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    for (const [, headers] of foreign) {
      for (const what of ["GET /status", "GET /events", "GET /peers", "GET /channels/c/messages"]) {
        await askFor(server, what, undefined, 403, headers);
      }
    }
  });

  test("a watcher hears of changes after a reset", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    await furnish(server);
    using watching = await watch(server);
    await watching.untilCame("snapshot");
    await askFor(server, "POST /reset");
    const isCleared = ({ type, data }: WatchedEvent) =>
      type === "peer_left" || (type === "snapshot" && Array.isArray(data.peers) && data.peers.length === 0);
    await waitUntil(() => watching.events.some(isCleared), "it hears that nobody is left");
    const id = await connect(server, "tester");
    const [connected] = await watching.untilCame("peer_connected");
    assert.equal(connected?.data.id, id);
  });
});
