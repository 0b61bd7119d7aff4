import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { temporaryBus } from "../support/bus.ts";
import { ask } from "../support/http.ts";
import { type Server, until } from "../support/program.ts";
import { command, connect, order, said, saidIn, secondsPass, taken, waitFor } from "../support/sessions.ts";

const isWaiting = async (server: Server, id: string) =>
  (await said(server, `GET /peers/${id}`)).peer.waiting_for === "commands";

suite("commands are delivered", { concurrency: 4 }, () => {
  test("D16 a command that comes after a waiter was aborted is there for the next wait", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const id = await connect(server, "backend");
    const aborting = new AbortController();
    const aborted = waitFor(server, id, 60_000, { signal: aborting.signal }).catch(() => "aborted");
    await until(() => isWaiting(server, id), "it waits");
    aborting.abort();
    assert.equal(await aborted, "aborted");
    const sent = await order(server, id);
    const next = await taken(server, id);
    assert.deepEqual([next?.id, next?.attempts], [sent, 1]);
  });

  test("a waiter that goes in the very moment in which a command comes swallows nothing", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const id = await connect(server, "backend");
    let lost = 0;
    for (let round = 0; round < 30; round++) {
      const aborting = new AbortController();
      const waiting = waitFor(server, id, 60_000, { signal: aborting.signal }).then(
        (answer) => saidIn(answer).command.id,
        () => undefined,
      );
      await sleep(Math.random() * 10);
      const sending = order(server, id, `round_${round}`);
      setTimeout(() => aborting.abort(), Math.random() * 8);
      const [sent, got] = [await sending, await waiting];
      const came = got ?? (await taken(server, id, 1_500))?.id;
      if (came === undefined) {
        // The server had handed it to a connection that was there still: it comes when its lease ends.
        lost++;
        await secondsPass(bus, 61);
        assert.equal((await taken(server, id))?.id, sent);
      } else assert.equal(came, sent, `round ${round}`);
      await said(server, `POST /commands/${sent}/ack`, {});
    }
    assert.ok(lost < 30, "most come back at once");
  });

  test("a waiter that was killed with kill -9 swallows nothing: neither what comes later nor what it held", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const id = await connect(server, "backend");
    const far = bus.with({ IPC_URL: server.url });
    for (const worker of [bus, far]) {
      await using waiter = worker.start(["command", "wait", id]);
      await until(() => isWaiting(server, id), "it waits");
      waiter.child.kill("SIGKILL");
      await waiter.ended;
      if (worker === far) await until(async () => !(await isWaiting(server, id)), "the server notices");
      const sent = await order(server, id);
      const held = worker.run("command", "wait", id, "--timeout", "20");
      assert.equal(JSON.parse((await held).stdout).id, sent);
      // And that one dies without a word of it.
      assert.equal((await waitFor(server, id, 300)).status, 408);
      await secondsPass(bus, 61);
      const again = await taken(server, id);
      assert.deepEqual([again?.id, again?.attempts], [sent, 2]);
      await said(server, `POST /commands/${sent}/ack`, {});
    }
  });

  test("a command that nobody acknowledged is offered again when its lease ends, to who waits already", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const id = await connect(server, "backend");
    const sent = await order(server, id, "work", { lease: 1 });
    const attempts = [];
    for (let n = 0; n < 3; n++) {
      const started = performance.now();
      const next = await taken(server, id, 10_000);
      assert.equal(next?.id, sent);
      attempts.push(next?.attempts);
      if (n > 0) assert.ok(performance.now() - started > 500, "not before");
    }
    assert.deepEqual(attempts, [1, 2, 3]);
  });

  test("waiting for the next command renews no lease: what got lost on its way comes again though its session waits on", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const id = await connect(server, "backend");
    const sent = await order(server, id, "work", { lease: 2 });
    assert.equal((await taken(server, id))?.id, sent);
    let again: string | undefined;
    for (let n = 0; n < 20 && again === undefined; n++) again = (await taken(server, id, 500))?.id;
    assert.equal(again, sent);
  });

  test("a heartbeat, a message or a signal of who works on it renews its lease", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const id = await connect(server, "backend");
    const sent = await order(server, id);
    await taken(server, id);
    for (const [what, body] of [
      [`POST /peers/${id}/heartbeat`, undefined],
      [`POST /channels/progress/send?from=${id}`, { done: 1 }],
      ["POST /signals/half_way", { from: id }],
    ] as const) {
      await secondsPass(bus, 50);
      await said(server, what, body);
      await secondsPass(bus, 50);
      assert.equal((await waitFor(server, id, 0)).status, 408, what);
    }
    await secondsPass(bus, 61);
    assert.equal((await taken(server, id))?.id, sent);
  });

  test("any: a command for a role goes to one, whoever is first, and to another if that one dies", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const [one, two] = [await connect(server, "tester"), await connect(server, "tester")];
    const waiting = [waitFor(server, one, 3_000), waitFor(server, two, 3_000)];
    const { commands } = await said(server, "POST /commands/send", { target: "tester", action: "run", any: true });
    assert.deepEqual([commands.length, commands[0]?.target], [1, "tester"]);
    const answers = await Promise.all(waiting);
    assert.deepEqual(answers.map(({ status }) => status).toSorted(), [200, 408]);
    const winner = answers[0]?.status === 200 ? one : two;
    const other = winner === one ? two : one;
    const second = taken(server, other, 10_000);
    await secondsPass(bus, 61);
    assert.deepEqual(
      [(await second)?.id, (await command(server, commands[0]?.id ?? "")).holder],
      [commands[0]?.id, other],
    );
  });

  test("any: a command waits for somebody of its role to come", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    await connect(server, "tester");
    await secondsPass(bus, 100);
    const sent = await order(server, "tester", "run", { any: true });
    const late = await connect(server, "tester");
    assert.equal((await taken(server, late))?.id, sent);
  });

  test("a command whose holder leaves is taken by another of the role at once; one for the leaver alone is dead, and its sender hears of it", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const [boss, one, two] = [
      await connect(server, "orchestrator"),
      await connect(server, "tester"),
      await connect(server, "tester"),
    ];
    const any = await order(server, "tester", "run", { any: true, from: boss });
    assert.equal((await taken(server, one))?.id, any);
    const own = await order(server, one, "clean", { from: boss });
    const [waiting, result] = [
      taken(server, two, 60_000),
      ask(server.url, `GET /commands/${own}/result?timeout=60000`),
    ];
    await until(() => isWaiting(server, two), "it waits");
    const started = performance.now();
    await said(server, `DELETE /peers/${one}`);
    assert.equal((await waiting)?.id, any);
    assert.equal(saidIn(await result).command.status, "dead");
    assert.ok(performance.now() - started < 10_000, "at once");
    const answer = await taken(server, boss);
    assert.deepEqual(Object(answer?.params).command_id, own);
    assert.deepEqual(Object(answer?.params).status, "dead");
    const { error } = await said(server, `POST /commands/${own}/retry`, undefined, 404);
    assert.equal(error, `Nobody can take the command ${own} any more: ${one} has left`);
  });

  test("expires: a command that nobody took in time is expired, and whoever waits for its end hears of it", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const [boss, worker] = [await connect(server, "orchestrator"), await connect(server, "backend")];
    const sent = await order(server, worker, "work", { from: boss, expires: 1 });
    const started = performance.now();
    const { command: ended } = saidIn(await ask(server.url, `GET /commands/${sent}/result?timeout=20000`));
    assert.equal(ended.status, "expired");
    assert.ok(performance.now() - started < 10_000, "soon, though nobody else looks");
    assert.equal((await waitFor(server, worker, 0)).status, 408);
    assert.equal(Object((await taken(server, boss))?.params).status, "expired");
    assert.deepEqual((await said(server, `GET /commands/${worker}`)).commands, []);
  });

  test("expires: one that is taken in time may be done after it", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const id = await connect(server, "backend");
    const sent = await order(server, id, "work", { expires: 30 });
    await taken(server, id);
    await secondsPass(bus, 40);
    assert.equal((await said(server, `POST /commands/${sent}/ack`, { result: 1 })).command.status, "acked");
  });

  test("a command that was handed out five times and came to nothing is dead: visible, told, and to be sent again", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const [boss, worker] = [await connect(server, "orchestrator"), await connect(server, "backend")];
    const sent = await order(server, worker, "crash", { from: boss });
    for (let n = 1; n <= 5; n++) {
      assert.equal((await taken(server, worker))?.attempts, n);
      await secondsPass(bus, 61);
    }
    assert.equal((await waitFor(server, worker, 100)).status, 408);
    const dead = await command(server, sent);
    assert.deepEqual([dead.status, dead.attempts, dead.holder], ["dead", 5, worker]);
    assert.deepEqual(
      (await said(server, "GET /commands?status=dead")).commands.map(({ id }) => id),
      [sent],
    );
    assert.equal(Object((await taken(server, boss))?.params).status, "dead");
    const waiting = taken(server, worker, 10_000);
    const { command: again } = await said(server, `POST /commands/${sent}/retry`);
    assert.deepEqual([again.status, again.attempts], ["pending", 0]);
    assert.deepEqual([(await waiting)?.id, (await command(server, sent)).attempts], [sent, 1]);
    await said(server, `POST /commands/${sent}/retry`, undefined, 409);
    await said(server, `POST /commands/${sent}/ack`, {});
    assert.equal(
      (await said(server, `POST /commands/${sent}/retry`, undefined, 409)).error,
      `The command ${sent} is on its way, or was acknowledged`,
    );
    await said(server, "POST /commands/cmd-none/retry", undefined, 404);
  });

  test("of two waits of one session a command goes to one", async () => {
    using bus = temporaryBus();
    await using one = await bus.serve();
    await using other = await bus.serve();
    const id = await connect(one, "backend");
    for (let round = 0; round < 5; round++) {
      const waits = [waitFor(one, id, 1_500), waitFor(other, id, 1_500)];
      const sent = await order(round % 2 === 0 ? one : other, id);
      const answers = await Promise.all(waits);
      assert.deepEqual(answers.map(({ status }) => status).toSorted(), [200, 408]);
      await said(one, `POST /commands/${sent}/ack`, {});
    }
  });

  test("a server that stops answers who waits, and hands out nothing that it can't deliver", async () => {
    using bus = temporaryBus();
    const server = await bus.serve();
    const id = await connect(server, "backend");
    const waiting = waitFor(server, id, 60_000);
    await until(() => isWaiting(server, id), "it waits");
    server.child.kill("SIGTERM");
    assert.equal((await waiting).status, 408);
    assert.equal((await server.ended).code, 0);
    await using again = await bus.serve();
    const sent = await order(again, id);
    assert.deepEqual([(await taken(again, id))?.id, (await command(again, sent)).attempts], [sent, 1]);
  });
});
