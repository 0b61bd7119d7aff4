import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { temporaryBus } from "../support/bus.ts";
import { ask } from "../support/http.ts";
import { type Server, waitUntil } from "../support/program.ts";
import {
  answerIn,
  askFor,
  connect,
  findCommand,
  letSecondsPass,
  sendCommand,
  takeCommand,
  waitForCommand,
} from "../support/sessions.ts";

const isWaiting = async (server: Server, id: string) =>
  (await askFor(server, `GET /peers/${id}`)).peer.waiting_for === "commands";

suite("commands are delivered", { concurrency: 4 }, () => {
  test("D16 a command sent after a waiter was aborted goes to the next wait", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const id = await connect(server, "backend");
    const aborting = new AbortController();
    const aborted = waitForCommand(server, id, 60_000, { signal: aborting.signal }).catch(() => "aborted");
    await waitUntil(() => isWaiting(server, id), "it waits");
    aborting.abort();
    assert.equal(await aborted, "aborted");
    const sent = await sendCommand(server, id);
    const next = await takeCommand(server, id);
    assert.deepEqual([next?.id, next?.attempts], [sent, 1]);
  });

  test("a waiter that leaves at the moment a command comes loses nothing", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const id = await connect(server, "backend");
    let lost = 0;
    for (let round = 0; round < 30; round++) {
      const aborting = new AbortController();
      const waiting = waitForCommand(server, id, 60_000, { signal: aborting.signal }).then(
        (answer) => answerIn(answer).command.id,
        () => undefined,
      );
      await sleep(Math.random() * 10);
      const sending = sendCommand(server, id, `round_${round}`);
      setTimeout(() => aborting.abort(), Math.random() * 8);
      const [sent, got] = [await sending, await waiting];
      const came = got ?? (await takeCommand(server, id, 1_500))?.id;
      if (came === undefined) {
        // The server had handed it to a connection that was there still: it comes when its lease ends.
        lost++;
        await letSecondsPass(bus, 61);
        assert.equal((await takeCommand(server, id))?.id, sent);
      } else assert.equal(came, sent, `round ${round}`);
      await askFor(server, `POST /commands/${sent}/ack`, {});
    }
    assert.ok(lost < 30, "most come back at once");
  });

  test("a waiter killed with kill -9 loses nothing: neither later commands nor the one it held", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const id = await connect(server, "backend");
    const far = bus.with({ IPC_URL: server.url });
    for (const worker of [bus, far]) {
      await using waiter = worker.start(["command", "wait", id]);
      await waitUntil(() => isWaiting(server, id), "it waits");
      waiter.child.kill("SIGKILL");
      await waiter.ended;
      if (worker === far) await waitUntil(async () => !(await isWaiting(server, id)), "the server notices");
      const sent = await sendCommand(server, id);
      const held = worker.run("command", "wait", id, "--timeout", "20");
      assert.equal(JSON.parse((await held).stdout).id, sent);
      // And that one dies without a word of it.
      assert.equal((await waitForCommand(server, id, 300)).status, 408);
      await letSecondsPass(bus, 61);
      const again = await takeCommand(server, id);
      assert.deepEqual([again?.id, again?.attempts], [sent, 2]);
      await askFor(server, `POST /commands/${sent}/ack`, {});
    }
  });

  test("an unacknowledged command goes to a waiting session when its lease ends", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const id = await connect(server, "backend");
    const sent = await sendCommand(server, id, "work", { lease: 1 });
    const attempts = [];
    for (let n = 0; n < 3; n++) {
      const started = performance.now();
      const next = await takeCommand(server, id, 10_000);
      assert.equal(next?.id, sent);
      attempts.push(next?.attempts);
      if (n > 0) assert.ok(performance.now() - started > 500, "not before");
    }
    assert.deepEqual(attempts, [1, 2, 3]);
  });

  test("a heartbeat, a message or a signal of its holder renews a command's lease", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const id = await connect(server, "backend");
    const sent = await sendCommand(server, id);
    await takeCommand(server, id);
    for (const [what, body] of [
      [`POST /peers/${id}/heartbeat`, undefined],
      [`POST /channels/progress/send?from=${id}`, { done: 1 }],
      ["POST /signals/half_way", { from: id }],
    ] as const) {
      await letSecondsPass(bus, 50);
      await askFor(server, what, body);
      await letSecondsPass(bus, 50);
      assert.equal((await waitForCommand(server, id, 0)).status, 408, what);
    }
    await letSecondsPass(bus, 61);
    assert.equal((await takeCommand(server, id))?.id, sent);
  });

  test("a command whose holder leaves goes to another of its role at once; one for the leaver alone is dead", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const [boss, one, two] = [
      await connect(server, "orchestrator"),
      await connect(server, "tester"),
      await connect(server, "tester"),
    ];
    const any = await sendCommand(server, "tester", "run", { any: true, from: boss });
    assert.equal((await takeCommand(server, one))?.id, any);
    const own = await sendCommand(server, one, "clean", { from: boss });
    const [waiting, result] = [
      takeCommand(server, two, 60_000),
      ask(server.url, `GET /commands/${own}/result?timeout=60000`),
    ];
    await waitUntil(() => isWaiting(server, two), "it waits");
    const started = performance.now();
    await askFor(server, `DELETE /peers/${one}`);
    assert.equal((await waiting)?.id, any);
    assert.equal(answerIn(await result).command.status, "dead");
    assert.ok(performance.now() - started < 10_000, "at once");
    const answer = await takeCommand(server, boss);
    assert.deepEqual(Object(answer?.params).command_id, own);
    assert.deepEqual(Object(answer?.params).status, "dead");
    const { error } = await askFor(server, `POST /commands/${own}/retry`, undefined, 404);
    assert.equal(error, `Nobody can take the command ${own} any more: ${one} has left`);
  });

  test("expires: a command not taken in time expires, and a wait for its end is answered", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const [boss, worker] = [await connect(server, "orchestrator"), await connect(server, "backend")];
    const sent = await sendCommand(server, worker, "work", { from: boss, expires: 1 });
    const started = performance.now();
    const { command: ended } = answerIn(await ask(server.url, `GET /commands/${sent}/result?timeout=20000`));
    assert.equal(ended.status, "expired");
    assert.ok(performance.now() - started < 10_000, "soon, though nobody else looks");
    assert.equal((await waitForCommand(server, worker, 0)).status, 408);
    assert.equal(Object((await takeCommand(server, boss))?.params).status, "expired");
    assert.deepEqual((await askFor(server, `GET /commands/${worker}`)).commands, []);
  });

  test("a command goes to one of two waits of its session", async () => {
    using bus = temporaryBus();
    await using one = await bus.serve();
    await using other = await bus.serve();
    const id = await connect(one, "backend");
    for (let round = 0; round < 5; round++) {
      const waits = [waitForCommand(one, id, 1_500), waitForCommand(other, id, 1_500)];
      const sent = await sendCommand(round % 2 === 0 ? one : other, id);
      const answers = await Promise.all(waits);
      assert.deepEqual(answers.map(({ status }) => status).toSorted(), [200, 408]);
      await askFor(one, `POST /commands/${sent}/ack`, {});
    }
  });

  test("a server that stops answers its waits, and hands out nothing it can't deliver", async () => {
    using bus = temporaryBus();
    const server = await bus.serve();
    const id = await connect(server, "backend");
    const waiting = waitForCommand(server, id, 60_000);
    await waitUntil(() => isWaiting(server, id), "it waits");
    server.child.kill("SIGTERM");
    assert.equal((await waiting).status, 408);
    assert.equal((await server.ended).code, 0);
    await using again = await bus.serve();
    const sent = await sendCommand(again, id);
    assert.deepEqual([(await takeCommand(again, id))?.id, (await findCommand(again, sent)).attempts], [sent, 1]);
  });
});
