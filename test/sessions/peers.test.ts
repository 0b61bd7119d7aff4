import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { temporaryBus } from "../support/bus.ts";
import { ask } from "../support/http.ts";
import { until } from "../support/program.ts";
import { connect, order, said, saidIn, secondsPass, taken, waitFor } from "../support/sessions.ts";

suite("peers", { concurrency: 4 }, () => {
  test("B1 B27 POST /peers/connect connects a session under its role, with what it can", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const before = Date.now() / 1_000;
    const { ok, id, peer } = await said(server, "POST /peers/connect", {
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
    assert.deepEqual((await said(server, `GET /peers/${id}`)).peer, peer);
    assert.deepEqual((await said(server, "POST /peers/connect", { role: "backend" })).peer.capabilities, []);
  });

  test("B27 without a role, or with one that can't be, it is 400", async () => {
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
      const { ok, error, code } = await said(server, "POST /peers/connect", body, 400);
      assert.deepEqual([ok, code], [false, "invalid"]);
      assert.match(error, sentence);
    }
    assert.deepEqual((await said(server, "GET /peers")).peers, []);
  });

  test("an id is the role's first letters in characters that an address takes as they are", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const letters = {
      "a/b": "axb",
      "ab🦜": "abx",
      "🦜🦜🦜🦜": "xxx",
      "%2F": "x2F",
      "?&#": "xxx",
      x: "x",
      "QA lead": "QAx",
    };
    for (const [role, start] of Object.entries(letters)) {
      const id = await connect(server, role);
      assert.match(id, new RegExp(`^${start}-[0-9a-f]{6}$`));
      assert.equal((await said(server, `GET /peers/${id}`)).peer.role, role);
      assert.equal((await waitFor(server, id, 0)).status, 408);
    }
  });

  test("B28 GET /peers lists who is connected, in the order in which they came", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    assert.deepEqual(await said(server, "GET /peers"), { ok: true, peers: [] });
    const ids = [];
    for (const role of ["orchestrator", "backend", "backend"]) ids.push(await connect(server, role));
    const { ok, peers } = await said(server, "GET /peers");
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

  test("B12 B26 GET /peers/discover says who is online, and which roles are free to choose", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const { ok, peers, suggestions } = await said(server, "GET /peers/discover");
    assert.deepEqual([ok, peers], [true, []]);
    assert.ok(suggestions.includes("orchestrator") && suggestions.includes("backend"));
    const id = await connect(server, "orchestrator");
    await connect(server, "backend");
    const found = await said(server, "GET /peers/discover");
    assert.equal(found.peers[0]?.id, id);
    assert.ok(!found.suggestions.includes("orchestrator") && !found.suggestions.includes("backend"));
    await secondsPass(bus, 100);
    assert.deepEqual((await said(server, "GET /peers/discover")).suggestions, suggestions);
  });

  test("B27 there is one orchestrator: a second one is 409, and told who it is", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const first = await connect(server, "orchestrator");
    const { ok, error, code } = await said(server, "POST /peers/connect", { role: "orchestrator" }, 409);
    assert.deepEqual([ok, code], [false, "conflict"]);
    assert.match(error, new RegExp(`^There is already an orchestrator: ${first}, seen \\d+ s ago$`));
    const other = await connect(server, "backend");
    await said(server, `POST /peers/${other}/role`, { role: "orchestrator" }, 409);
    assert.equal((await said(server, `GET /peers/${other}`)).peer.role, "backend");
    await said(server, `POST /peers/${first}/role`, { role: "orchestrator" });
    await said(server, `DELETE /peers/${first}`);
    assert.equal((await said(server, `POST /peers/${other}/role`, { role: "orchestrator" })).peer.role, "orchestrator");
  });

  test("an orchestrator that is gone makes way for another, and there are never two", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const first = await connect(server, "orchestrator");
    await secondsPass(bus, 89);
    await said(server, "POST /peers/connect", { role: "orchestrator" }, 409);
    await secondsPass(bus, 2);
    const second = await connect(server, "orchestrator");
    for (const what of [`POST /peers/${first}/heartbeat`, `GET /commands/${first}/wait`]) {
      assert.match((await said(server, what, undefined, 404)).error, /connect first/);
    }
    const { peers } = await said(server, "GET /peers");
    assert.deepEqual(
      peers.map(({ id }) => id),
      [second],
    );
  });

  test("twenty that want to be orchestrator at once: one is", async () => {
    using bus = temporaryBus();
    await using one = await bus.serve();
    await using other = await bus.serve();
    const asked = Array.from({ length: 20 }, (_, n) =>
      ask((n % 2 === 0 ? one : other).url, "POST /peers/connect", { body: { role: "orchestrator" } }),
    );
    const statuses = (await Promise.all(asked)).map(({ status }) => status).toSorted();
    assert.deepEqual(statuses, [200, ...Array.from({ length: 19 }, () => 409)]);
  });

  test("who connects sets the signal <role>_ready", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const waiting = ask(server.url, "GET /signals/backend_ready/wait?timeout=5000");
    const id = await connect(server, "backend");
    const { signal } = saidIn(await waiting);
    assert.deepEqual([signal.name, signal.data, signal.from], ["backend_ready", { id, role: "backend" }, id]);
  });

  test("a peer that isn't heard of for 90 s is gone, by when it was last seen; a heartbeat brings it back", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const id = await connect(server, "backend");
    const state = async () => (await said(server, `GET /peers/${id}`)).peer.status;
    await secondsPass(bus, 85);
    assert.equal(await state(), "online");
    await secondsPass(bus, 10);
    assert.equal(await state(), "gone");
    assert.equal((await said(server, "GET /peers")).peers[0]?.status, "gone");
    const { ok, peer } = await said(server, `POST /peers/${id}/heartbeat`);
    assert.deepEqual([ok, peer.status], [true, "online"]);
    assert.ok(Math.abs(peer.last_seen - Date.now() / 1_000) < 2);
    assert.equal(await state(), "online");
  });

  test("whoever waits for commands or does something is seen to live", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const id = await connect(server, "backend");
    const acts: readonly (() => Promise<unknown>)[] = [
      () => waitFor(server, id, 0),
      () => said(server, `POST /channels/c/send?from=${id}`, {}),
      () => said(server, "POST /signals/s", { from: id }),
      () => said(server, "POST /commands/send", { from: id, target: id, action: "x" }),
      async () => said(server, `POST /commands/${(await taken(server, id))?.id}/ack`),
      () => said(server, `POST /peers/${id}/role`, { role: "tester" }),
    ];
    for (const act of acts) {
      await secondsPass(bus, 100);
      await act();
      assert.equal((await said(server, `GET /peers/${id}`)).peer.status, "online", String(act));
    }
  });

  test("who waits for commands is shown to wait, until it has one or goes", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const id = await connect(server, "backend");
    const waits = async () => (await said(server, `GET /peers/${id}`)).peer.waiting_for;
    const waiting = waitFor(server, id);
    await until(async () => (await waits()) === "commands", "it waits");
    await order(server, id);
    assert.equal((await waiting).status, 200);
    assert.equal(await waits(), null);
    const aborting = new AbortController();
    const aborted = waitFor(server, id, 60_000, { signal: aborting.signal }).catch(() => {});
    await until(async () => (await waits()) === "commands", "it waits again");
    aborting.abort();
    await aborted;
    await until(async () => (await waits()) === null, "it waits no more");
  });

  test("POST /peers/:id/role gives a session another role, which orders then reach", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const id = await connect(server, "backend");
    const { ok, peer } = await said(server, `POST /peers/${id}/role`, { role: "tester" });
    assert.deepEqual([ok, peer.id, peer.role], [true, id, "tester"]);
    await said(server, "POST /commands/send", { target: "backend", action: "x" }, 404);
    const sent = await order(server, "tester");
    assert.equal((await taken(server, id))?.id, sent);
    await said(server, `POST /peers/${id}/role`, {}, 400);
    await said(server, `POST /peers/${id}/role`, { role: "all" }, 400);
  });

  test("a session that takes a role while it waits is handed the orders of that role at once", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const [tester, id] = [await connect(server, "tester"), await connect(server, "backend")];
    const sent = await order(server, "tester", "work", { any: true });
    const waiting = taken(server, id, 60_000);
    const started = performance.now();
    await said(server, `POST /peers/${id}/role`, { role: "tester" });
    assert.equal((await waiting)?.id, sent);
    assert.ok(performance.now() - started < 10_000);
    assert.equal((await waitFor(server, tester, 0)).status, 408);
  });

  test("DELETE /peers/:id disconnects a session; who still waits as it is told so", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const id = await connect(server, "backend");
    const waiting = waitFor(server, id, 60_000);
    await until(async () => (await said(server, `GET /peers/${id}`)).peer.waiting_for === "commands", "it waits");
    assert.deepEqual(await said(server, `DELETE /peers/${id}`), { ok: true });
    const answer = await waiting;
    assert.equal(answer.status, 404);
    assert.match(saidIn(answer).error, new RegExp(`^There is no session ${id}: connect first$`));
    for (const what of [`DELETE /peers/${id}`, `GET /peers/${id}`, `POST /peers/${id}/heartbeat`]) {
      assert.equal((await said(server, what, undefined, 404)).code, "not_found");
    }
    assert.deepEqual((await said(server, "GET /peers")).peers, []);
  });

  test("those that have been gone for a week leave when others come", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const old = await connect(server, "backend");
    const sent = await order(server, old);
    await secondsPass(bus, 6.9 * 86_400);
    const week = await connect(server, "backend");
    await secondsPass(bus, 0.2 * 86_400);
    await connect(server, "tester");
    const { peers } = await said(server, "GET /peers");
    assert.deepEqual(
      peers.map(({ id, role }) => (id === old ? "old" : id === week ? "week" : role)),
      ["week", "tester"],
    );
    const { commands } = await said(server, "GET /commands?status=dead");
    assert.deepEqual(
      commands.map(({ id }) => id),
      [sent],
    );
  });
});
