import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { secureBus, temporaryBus } from "../support/bus.ts";
import { ask } from "../support/http.ts";
import { type Server, waitUntil } from "../support/program.ts";
import {
  askFor,
  connect,
  letSecondsPass,
  sendCommand,
  takeCommand,
  type Watch,
  type WatchedEvent,
  watch,
} from "../support/sessions.ts";

/** What changed, without what is only said of it. */
const told = (events: readonly WatchedEvent[]) =>
  events.map(({ type, data }) => {
    if (type === "message") return `message ${JSON.stringify(data.data)}`;
    return `${type} ${data.name ?? data.action ?? data.role ?? ""}`;
  });

/** Makes so many changes of every kind, over a server; answers with what a watcher must hear of them, by kind in order. */
async function change(server: Server, from: number, count: number): Promise<{ messages: string[]; signals: string[] }> {
  const [messages, signals]: [string[], string[]] = [[], []];
  for (let n = from; n < from + count; n++) {
    if (n % 2 === 0) {
      await askFor(server, `POST /channels/c${n % 3}/send`, { n });
      messages.push(`message {"n":${n}}`);
    } else {
      await askFor(server, `POST /signals/s${n}`, {});
      signals.push(`signal_set s${n}`);
    }
  }
  return { messages, signals };
}

const ofType = (events: readonly WatchedEvent[], type: string) => told(events.filter((event) => event.type === type));

suite("GET /events", { concurrency: 4 }, () => {
  test("B39 begins with a snapshot, which is what GET /status says", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const id = await connect(server, "backend");
    await sendCommand(server, id);
    await askFor(server, "POST /channels/builds/send", {});
    using watching = await watch(server);
    const [snapshot] = await watching.untilCame("snapshot");
    assert.equal(watching.events[0], snapshot);
    const status = Object(await askFor(server, "GET /status"));
    for (const part of ["peers", "commands", "signals", "channels", "secure_mode"]) {
      assert.deepEqual(snapshot?.data[part], status[part], part);
    }
    await sleep(100);
    assert.equal(watching.events.length, 1, "and nothing that was before comes after it");
  });

  test("then reports each change as it is made, by anyone", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    await using other = await bus.serve();
    using watching = await watch(server);
    await watching.untilCame("snapshot");
    const id = await connect(server, "backend");
    await bus.run("send", "builds", "herald", "by hand");
    await askFor(other, `POST /peers/${id}/role`, { role: "tester" });
    const sent = await sendCommand(other, id, "run");
    await takeCommand(server, id);
    await askFor(server, `POST /commands/${sent}/ack`, { result: 7 });
    await bus.run("signal", "set", "go");
    await bus.run("signal", "clear", "go");
    await askFor(other, `DELETE /peers/${id}`);
    await watching.untilCame("peer_left");
    await watching.untilCame("signal_cleared");
    const heard = told(watching.events).filter((one) => !/^(snapshot|peer_(waits|works))/.test(one));
    // A subject is told as it is, not as it was.
    const connected = heard.find((one) => one.startsWith("peer_connected"));
    assert.ok(connected === "peer_connected backend" || connected === "peer_connected tester", connected);
    const activity = { type: "command_acked", command_id: sent, action: "run", status: "acked", result: 7, by: id };
    assert.deepEqual(
      heard.filter((one) => one !== connected).toSorted(),
      [
        "command_acked run",
        "command_leased run",
        "command_pending run",
        'message "by hand"',
        `message ${JSON.stringify(activity)}`,
        "peer_changed_role tester",
        "peer_left ",
        "signal_cleared go",
        "signal_set backend_ready",
        "signal_set go",
        "signal_set run_done",
      ].toSorted(),
    );
  });

  test("each event has its time, and an id to resume from", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    using watching = await watch(server);
    await watching.untilCame("snapshot");
    await change(server, 0, 10);
    await watching.untilCame("signal_set", 5);
    await watching.untilCame("message", 5);
    const ids = watching.events.map(({ id }) => id);
    assert.equal(new Set(ids).size, ids.length);
    for (const { id, ts } of watching.events) {
      assert.match(id, /^\d+\.\d+$/);
      assert.ok(Math.abs(ts - Date.now() / 1_000) < 60);
    }
    for (const index of [0, 3, 7]) {
      using again = await watch(server, ids[index]);
      const rest = watching.events.slice(index + 1);
      await waitUntil(() => again.events.length >= rest.length, "the rest comes");
      for (const type of ["message", "signal_set"]) {
        assert.deepEqual(ofType(again.events, type), ofType(rest, type), `${type} after ${ids[index]}`);
      }
      assert.equal(again.events.length, rest.length);
    }
  });

  test("a watcher whose connection keeps breaking hears of each of 200 changes once", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    await using other = await bus.serve();
    const heard: WatchedEvent[] = [];
    let done = false;
    const watching = (async () => {
      for (let last: string | undefined; !(done && heard.filter(({ type }) => type !== "snapshot").length >= 200); ) {
        using part: Watch = await watch(Math.random() < 0.5 ? server : other, last);
        const enough = 1 + Math.floor(Math.random() * 20);
        const end = Date.now() + 1_000;
        while (part.events.length < enough && Date.now() < end) await sleep(2);
        heard.push(...part.events);
        last = part.events.at(-1)?.id ?? last;
      }
    })();
    await waitUntil(() => heard.length > 0 || done, "it watches");
    const [one, two] = await Promise.all([change(server, 0, 100), change(other, 100, 100)]);
    done = true;
    await watching;
    assert.equal(heard.filter(({ type }) => type === "snapshot").length, 1, "one snapshot, at the beginning");
    assert.deepEqual(ofType(heard, "message").toSorted(), [...one.messages, ...two.messages].toSorted());
    assert.deepEqual(ofType(heard, "signal_set").toSorted(), [...one.signals, ...two.signals].toSorted());
    assert.equal(new Set(heard.map(({ id }) => id)).size, heard.length);
    const mine = (all: readonly string[], own: readonly string[]) => all.filter((event) => own.includes(event));
    for (const { messages, signals } of [one, two]) {
      assert.deepEqual(mine(ofType(heard, "message"), messages), messages, "in the order in which they were made");
      assert.deepEqual(mine(ofType(heard, "signal_set"), signals), signals);
    }
  });

  test("a change while a watcher connects is in its snapshot or after it", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    let next = 0;
    let done = false;
    const changing = (async () => {
      for (; !done; next++) await askFor(server, `POST /signals/s${next}`, {});
    })();
    for (let round = 0; round < 15; round++) {
      using watching = await watch(server);
      const [snapshot] = await watching.untilCame("snapshot");
      const after = next + 2;
      await waitUntil(() => watching.events.some(({ data }) => data.name === `s${after}`), `s${after} comes`);
      const known = [...Object(snapshot?.data).signals, ...watching.events.map(({ data }) => data)];
      const names = new Set(known.map(({ name }) => name));
      for (let n = 0; n <= after; n++) assert.ok(names.has(`s${n}`), `round ${round}: s${n} of ${after}`);
    }
    done = true;
    await changing;
  });

  test("a watcher hears of what happened while there was no server", async () => {
    using bus = temporaryBus();
    let last: string | undefined;
    {
      await using server = await bus.serve();
      using watching = await watch(server);
      last = (await watching.untilCame("snapshot"))[0]?.id;
      server.child.kill("SIGKILL");
      await watching.ended;
    }
    await bus.run("signal", "set", "meanwhile");
    await bus.run("send", "c", "herald", "meanwhile");
    await using server = await bus.serve();
    using watching = await watch(server, last);
    await watching.untilCame("message");
    await watching.untilCame("signal_set");
    assert.deepEqual(told(watching.events), ['message "meanwhile"', "signal_set meanwhile"]);
  });

  test("from an unknown or forgotten event it starts over with a snapshot", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    await askFor(server, "POST /signals/go", {});
    for (const since of ["0.999999", "5.12345"]) {
      using watching = await watch(server, since);
      await watching.untilCame("snapshot");
    }
    for (const since of ["x", "1", "-1.0", "1.2.3", "1e3.0", "9999999999999999.0"]) {
      assert.match(
        (await askFor(server, `GET /events?since=${since}`, undefined, 400)).error,
        /^since must be an event's id, such as \d+\.\d+$/,
      );
    }
  });

  test("the command line prints a line for each event, across a server's restart", async () => {
    using bus = temporaryBus();
    const server = await bus.serve();
    await using watcher = bus.with({ IPC_URL: server.url }).start(["events"]);
    await using near = bus.start(["events"]);
    for (const program of [watcher, near]) await program.untilPrinted('"type":"snapshot"');
    await askFor(server, "POST /signals/one", {});
    await watcher.untilPrinted('"name":"one"');
    server.child.kill("SIGKILL");
    await server.ended;
    await bus.run("signal", "set", "two");
    await using _again = await bus.serve({}, "--port", String(server.port)).catch(() => bus.serve({}));
    await near.untilPrinted('"name":"two"');
    for (const program of [near]) {
      program.child.kill("SIGINT");
      const { stdout, stderr } = await program.ended;
      const types = stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line).type);
      assert.deepEqual(
        [types.filter((type) => type !== "readings" && type !== "peers_seen"), stderr],
        [["snapshot", "signal_set", "signal_set"], ""],
      );
    }
  });

  test("a refusal is reported like any change", async () => {
    using bus = await secureBus("herald");
    await using server = await bus.serve();
    using watching = await watch(server);
    await watching.untilCame("snapshot");
    await ask(server.url, "POST /send", { body: { channel: "c", sender: "herald", content: "unsigned" } });
    const [alarm] = await watching.untilCame("message");
    assert.equal(alarm?.data.channel, "security");
  });

  test("a session that is gone is shown as gone in the snapshot and in its changes", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const id = await connect(server, "backend");
    await letSecondsPass(bus, 100);
    using watching = await watch(server);
    const [snapshot] = await watching.untilCame("snapshot");
    assert.equal(Object(snapshot?.data).peers[0].status, "gone");
    const waiting = ask(server.url, `GET /commands/${id}/wait?timeout=300`);
    const [waits] = await watching.untilCame("peer_waits");
    assert.deepEqual([waits?.data.id, waits?.data.status, waits?.data.waiting_for], [id, "online", "commands"]);
    await waiting;
    await watching.untilCame("peer_works");
  });
});
