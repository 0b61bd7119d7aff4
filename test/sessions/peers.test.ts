import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { temporaryBus } from "../support/bus.ts";
import { ask } from "../support/http.ts";
import { waitUntil } from "../support/program.ts";
import {
  answerIn,
  askFor,
  connect,
  letSecondsPass,
  sendCommand,
  takeCommand,
  waitForCommand,
} from "../support/sessions.ts";

suite("peers", { concurrency: 4 }, () => {
  test("B1 B27 POST /peers/connect connects a session with its role and capabilities", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const before = Date.now() / 1_000;
    const { ok, id, peer } = await askFor(server, "POST /peers/connect", {
      role: "backend",
      capabilities: ["node", "docker"],
    });
    assert.equal(ok, true);
    assert.match(String(id), /^bac-[0-9a-f]{6}$/);
    const { connected_at, last_seen, ...rest } = peer;
    assert.deepEqual(rest, {
      id,
      role: "backend",
      capabilities: ["node", "docker"],
      status: "online",
      waiting_for: null,
      agent: null,
    });
    for (const at of [connected_at, last_seen]) assert.ok(at >= before - 1 && at <= Date.now() / 1_000 + 1);
    assert.deepEqual((await askFor(server, `GET /peers/${id}`)).peer, peer);
    assert.deepEqual((await askFor(server, "POST /peers/connect", { role: "backend" })).peer.capabilities, []);
  });

  test("B27 a missing or impossible role is 400", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const wrong: readonly [unknown, RegExp][] = [
      [{}, /^role required$/],
      [{ role: "" }, /^role required$/],
      [{ role: null, capabilities: [] }, /^role required$/],
      [{ role: 7 }, /^role must be text$/],
      [{ role: "a\nb" }, /control characters/],
      [{ role: "x".repeat(101) }, /100 characters at most/],
      [{ role: "*" }, /means everybody/],
      [{ role: "all" }, /means everybody/],
      [{ role: "a", capabilities: "node" }, /must be a list/],
      [{ role: "a", capabilities: [7] }, /must be a list/],
      [[], /must be a JSON object/],
      ["{", /must be JSON/],
    ];
    for (const [body, sentence] of wrong) {
      const { ok, error, code } = await askFor(server, "POST /peers/connect", body, 400);
      assert.deepEqual([ok, code], [false, "invalid"]);
      assert.match(error, sentence);
    }
    assert.deepEqual((await askFor(server, "GET /peers")).peers, []);
  });

  test("B28 GET /peers lists the sessions in the order they connected", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    assert.deepEqual(await askFor(server, "GET /peers"), { ok: true, peers: [] });
    const ids = [];
    for (const role of ["orchestrator", "backend", "backend"]) ids.push(await connect(server, role));
    const { ok, peers } = await askFor(server, "GET /peers");
    assert.equal(ok, true);
    assert.deepEqual(
      peers.map(({ id, role, status }) => [id, role, status]),
      [
        [ids[0], "orchestrator", "online"],
        [ids[1], "backend", "online"],
        [ids[2], "backend", "online"],
      ],
    );
  });

  test("B12 B26 GET /peers/discover lists who is online and which roles are free", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const { ok, peers, suggestions } = await askFor(server, "GET /peers/discover");
    assert.deepEqual([ok, peers], [true, []]);
    assert.ok(suggestions.includes("orchestrator") && suggestions.includes("backend"));
    const id = await connect(server, "orchestrator");
    await connect(server, "backend");
    const found = await askFor(server, "GET /peers/discover");
    assert.equal(found.peers[0]?.id, id);
    assert.ok(!found.suggestions.includes("orchestrator") && !found.suggestions.includes("backend"));
    await letSecondsPass(bus, 100);
    assert.deepEqual((await askFor(server, "GET /peers/discover")).suggestions, suggestions);
  });

  test("B27 there is one orchestrator: a second one is 409, and the error names the first", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const first = await connect(server, "orchestrator");
    const { ok, error, code } = await askFor(server, "POST /peers/connect", { role: "orchestrator" }, 409);
    assert.deepEqual([ok, code], [false, "conflict"]);
    assert.match(error, new RegExp(`^There is already an orchestrator: ${first}, seen \\d+ s ago$`));
    const other = await connect(server, "backend");
    await askFor(server, `POST /peers/${other}/role`, { role: "orchestrator" }, 409);
    assert.equal((await askFor(server, `GET /peers/${other}`)).peer.role, "backend");
    await askFor(server, `POST /peers/${first}/role`, { role: "orchestrator" });
    await askFor(server, `DELETE /peers/${first}`);
    assert.equal(
      (await askFor(server, `POST /peers/${other}/role`, { role: "orchestrator" })).peer.role,
      "orchestrator",
    );
  });

  test("of twenty that connect as orchestrator at once, one does", async () => {
    using bus = temporaryBus();
    await using one = await bus.serve();
    await using other = await bus.serve();
    const asked = Array.from({ length: 20 }, (_, n) =>
      ask((n % 2 === 0 ? one : other).url, "POST /peers/connect", { body: { role: "orchestrator" } }),
    );
    const statuses = (await Promise.all(asked)).map(({ status }) => status).toSorted();
    assert.deepEqual(statuses, [200, ...Array.from({ length: 19 }, () => 409)]);
  });

  test("connecting sets the signal <role>_ready", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const waiting = ask(server.url, "GET /signals/backend_ready/wait?timeout=5000");
    const id = await connect(server, "backend");
    const { signal } = answerIn(await waiting);
    assert.deepEqual([signal.name, signal.data, signal.from], ["backend_ready", { id, role: "backend" }, id]);
  });

  test("a session not seen for 90 s is shown as gone, and a heartbeat brings it back", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const id = await connect(server, "backend");
    const state = async () => (await askFor(server, `GET /peers/${id}`)).peer.status;
    await letSecondsPass(bus, 85);
    assert.equal(await state(), "online");
    await letSecondsPass(bus, 10);
    assert.equal(await state(), "gone");
    assert.equal((await askFor(server, "GET /peers")).peers[0]?.status, "gone");
    const { ok, peer } = await askFor(server, `POST /peers/${id}/heartbeat`);
    assert.deepEqual([ok, peer.status], [true, "online"]);
    assert.ok(Math.abs(peer.last_seen - Date.now() / 1_000) < 2);
    assert.equal(await state(), "online");
  });

  test("waiting for commands, or doing something, shows that a session is alive", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const id = await connect(server, "backend");
    const acts: readonly (() => Promise<unknown>)[] = [
      () => waitForCommand(server, id, 0),
      () => askFor(server, `POST /channels/c/send?from=${id}`, {}),
      () => askFor(server, "POST /signals/s", { from: id }),
      () => askFor(server, "POST /commands/send", { from: id, target: id, action: "x" }),
      async () => askFor(server, `POST /commands/${(await takeCommand(server, id))?.id}/ack`),
      () => askFor(server, `POST /peers/${id}/role`, { role: "tester" }),
    ];
    for (const act of acts) {
      await letSecondsPass(bus, 100);
      await act();
      assert.equal((await askFor(server, `GET /peers/${id}`)).peer.status, "online", String(act));
    }
  });

  test("a session is shown as waiting until it has a command or leaves", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const id = await connect(server, "backend");
    const waits = async () => (await askFor(server, `GET /peers/${id}`)).peer.waiting_for;
    const waiting = waitForCommand(server, id);
    await waitUntil(async () => (await waits()) === "commands", "it waits");
    await sendCommand(server, id);
    assert.equal((await waiting).status, 200);
    assert.equal(await waits(), null);
    const aborting = new AbortController();
    const aborted = waitForCommand(server, id, 60_000, { signal: aborting.signal }).catch(() => {});
    await waitUntil(async () => (await waits()) === "commands", "it waits again");
    aborting.abort();
    await aborted;
    await waitUntil(async () => (await waits()) === null, "it waits no more");
  });

  test("POST /peers/:id/role changes a session's role, and commands for that role reach it", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const id = await connect(server, "backend");
    const { ok, peer } = await askFor(server, `POST /peers/${id}/role`, { role: "tester" });
    assert.deepEqual([ok, peer.id, peer.role], [true, id, "tester"]);
    await askFor(server, "POST /commands/send", { target: "backend", action: "x" }, 404);
    const sent = await sendCommand(server, "tester");
    assert.equal((await takeCommand(server, id))?.id, sent);
    await askFor(server, `POST /peers/${id}/role`, {}, 400);
    await askFor(server, `POST /peers/${id}/role`, { role: "all" }, 400);
  });

  test("DELETE /peers/:id disconnects a session, and its waits end with an error", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const id = await connect(server, "backend");
    const waiting = waitForCommand(server, id, 60_000);
    await waitUntil(async () => (await askFor(server, `GET /peers/${id}`)).peer.waiting_for === "commands", "it waits");
    assert.deepEqual(await askFor(server, `DELETE /peers/${id}`), { ok: true });
    const answer = await waiting;
    assert.equal(answer.status, 404);
    assert.match(answerIn(answer).error, new RegExp(`^There is no session ${id}: connect first$`));
    for (const what of [`DELETE /peers/${id}`, `GET /peers/${id}`, `POST /peers/${id}/heartbeat`]) {
      assert.equal((await askFor(server, what, undefined, 404)).code, "not_found");
    }
    assert.deepEqual((await askFor(server, "GET /peers")).peers, []);
  });
});
