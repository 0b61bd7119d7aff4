import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type TemporaryBus, temporaryBus } from "../support/bus.ts";
import { ask } from "../support/http.ts";
import { type Program, type Server, startModule, untilListening, waitUntil } from "../support/program.ts";
import { askFor, findCommand, type WatchedEvent, watch } from "../support/sessions.ts";

const worker = new URL("worker-process.ts", import.meta.url);

/** A broker on a port that stays the same, whoever serves on it. */
async function broker(bus: TemporaryBus, port: number): Promise<Server> {
  return untilListening(bus.start(["broker", String(port)]));
}

interface Session extends AsyncDisposable {
  readonly id: string;
  readonly program: Program;
  /** Its output so far, one value per line. */
  told(): Promise<readonly Readonly<Record<string, unknown>>[]>;
}

async function session(url: string, role: string): Promise<Session> {
  const program = startModule(worker, [url, role]);
  const said = async () =>
    (await program.untilPrinted(""))
      .trim()
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line));
  await program.untilPrinted('"connected"');
  const [first] = await said();
  return { id: first.connected, program, told: said, [Symbol.asyncDispose]: program[Symbol.asyncDispose] };
}

/** A human who watches, as the dashboard does: over every break, from where it was. */
function dashboard(current: () => Server) {
  const heard: WatchedEvent[] = [];
  let closed = false;
  const watching = (async () => {
    for (let last: string | undefined; !closed; ) {
      try {
        using part = await watch(current(), last);
        for (let ended = false; !ended && !closed; ) {
          const { promise, resolve } = Promise.withResolvers<false>();
          setTimeout(() => resolve(false), 10);
          ended = (await Promise.race([part.ended.then(() => true), promise])) === true;
          const fresh = part.events.slice(part.events.findIndex(({ id }) => id === last) + 1);
          heard.push(...fresh);
          last = fresh.at(-1)?.id ?? last;
        }
      } catch {
        await sleep(20);
      }
    }
  })();
  return {
    heard,
    async [Symbol.asyncDispose]() {
      closed = true;
      await watching;
    },
  };
}

suite("four sessions", () => {
  test("B47 B49 the example works: both sessions acknowledge, all is visible live, and a killed broker loses nothing", async () => {
    using bus = temporaryBus();
    let server = await broker(bus, 0);
    const { port, url } = server;
    await using _last = { [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
    await using watching = dashboard(() => server);
    await using orchestrator = await session(url, "orchestrator");
    await using backend = await session(url, "backend");
    await using client = await session(url, "linux-client");
    assert.match(client.id, /^lin-[0-9a-f]{6}$/);

    /** Kills the broker without a word, and starts it again. */
    const killed = async (meanwhile: () => Promise<void> = async () => {}) => {
      server.child.kill("SIGKILL");
      await server.ended;
      await meanwhile();
      server = await broker(bus, port);
    };
    const send = async (target: string, action: string, params: object, from: string) =>
      (await askFor(server, "POST /commands/send", { from, target, action, params })).command.id;

    const start = await send("backend", "start_server", { port: 7400 }, "human");
    await backend.program.untilPrinted(start);
    // It works on it now: the broker dies, and is back when it is done, or later.
    const waiting = ask(url, "GET /signals/start_server_done/wait?timeout=60000").catch(() => "broken");
    await askFor(server, "POST /channels/log/send?from=human", { before: "the kill" });
    await killed(() => sleep(400));
    assert.equal(await waiting, "broken");
    await waitUntil(async () => (await findCommand(server, start)).status === "acked", "backend acknowledges");

    const { signal } = await askFor(server, "GET /signals/start_server_done/wait");
    const { ip, port: where } = Object(signal.data).result;
    const connect = await send(client.id, "connect_and_test", { ip, port: where }, orchestrator.id);
    const later = await send(client.id, "connect_and_test", { ip, port: 1 }, orchestrator.id);
    await client.program.untilPrinted(connect);
    await killed();
    for (const id of [connect, later]) {
      await waitUntil(async () => (await findCommand(server, id)).status === "acked", "linux-client acknowledges");
    }
    await orchestrator.program.untilPrinted(later);

    const { commands, signals, peers } = await askFor(server, "GET /status");
    const ofKind = (kind: string) => commands.filter((one) => one.kind === kind);
    assert.deepEqual(
      ofKind("command").map(({ id, status, attempts, result }) => [id, status, attempts, result]),
      [
        [start, "acked", 1, { ip: "127.0.0.1", port: 7400, pid: backend.program.child.pid }],
        [connect, "acked", 1, { reached: "127.0.0.1:7400" }],
        [later, "acked", 1, { reached: "127.0.0.1:1" }],
      ],
    );
    assert.deepEqual(
      peers.map(({ id, role, status }) => [id, role, status]),
      [
        [orchestrator.id, "orchestrator", "online"],
        [backend.id, "backend", "online"],
        [client.id, "linux-client", "online"],
      ],
    );
    assert.deepEqual(signals.map(({ name }) => name).toSorted(), [
      "backend_ready",
      "connect_and_test_done",
      "linux-client_ready",
      "orchestrator_ready",
      "start_server_done",
    ]);
    assert.deepEqual(
      (await askFor(server, "GET /channels/log/messages")).messages.map(({ data }) => data),
      [{ before: "the kill" }],
    );
    const { messages } = await askFor(server, "GET /channels/activity/messages");
    assert.deepEqual(
      messages.map(({ data }) => Object(data).command_id),
      [start, connect, later],
    );

    const answers = (await orchestrator.told()).flatMap(({ response }) =>
      response === undefined ? [] : [Object(response)],
    );
    assert.deepEqual(
      answers.map(({ command_id, status, result }) => [command_id, status, result.reached]),
      [
        [connect, "acked", "127.0.0.1:7400"],
        [later, "acked", "127.0.0.1:1"],
      ],
      "the orchestrator heard of each once",
    );

    const ends = () => watching.heard.filter(({ type }) => type === "command_acked").map(({ data }) => data.id);
    await waitUntil(() => ends().length >= 3 + ofKind("command_response").length, "the human sees all of it");
    assert.deepEqual(
      ends().filter((id) => [start, connect, later].some((one) => one === id)),
      [start, connect, later],
    );
    assert.equal(watching.heard.filter(({ type }) => type === "snapshot").length, 1, "without a gap");
    assert.equal(
      new Set(watching.heard.map(({ id, type }) => `${id} ${type}`)).size,
      watching.heard.length,
      "and none twice",
    );

    for (const one of [orchestrator, backend, client]) {
      await send(one.id, "shutdown", {}, "human");
      const { code, stderr } = await one.program.ended;
      assert.deepEqual([code, stderr], [0, ""]);
    }
  });

  test("D18 everything answered survives a SIGKILL in the middle of many changes", async () => {
    using bus = temporaryBus();
    const server = await bus.serve();
    const { id } = await askFor(server, "POST /peers/connect", { role: "backend" });
    const done = { commands: new Set<string>(), signals: new Set<string>(), acked: new Map<string, number>() };
    const working = Array.from({ length: 4 }, async (_, lane) => {
      for (let n = 0; ; n++) {
        try {
          const { command } = await askFor(server, "POST /commands/send", { target: id, action: `act_${lane}_${n}` });
          done.commands.add(command.id);
          await askFor(server, `POST /signals/s_${lane}_${n}`, { data: n });
          done.signals.add(`s_${lane}_${n}`);
          await askFor(server, `POST /commands/${command.id}/ack`, { result: n });
          done.acked.set(command.id, n);
        } catch {
          return;
        }
      }
    });
    await waitUntil(() => done.acked.size > 40, "there is something to lose");
    server.child.kill("SIGKILL");
    await Promise.all(working);
    await using again = await bus.serve();
    const { commands } = await askFor(again, "GET /commands?limit=1000");
    const byId = new Map(commands.map((one) => [one.id, one]));
    for (const sent of done.commands) assert.ok(byId.has(sent), `the command ${sent}`);
    for (const [acked, n] of done.acked)
      assert.deepEqual([byId.get(acked)?.status, byId.get(acked)?.result], ["acked", n]);
    const { signals } = await askFor(again, "GET /signals");
    const names = new Set(signals.map(({ name }) => name));
    for (const name of done.signals) assert.ok(names.has(name), `the signal ${name}`);
    for (const one of commands) {
      // The consequences of an end are stored exactly where the end is.
      assert.equal(names.has(`${one.action}_done`), one.status === "acked", one.action);
    }
    assert.equal((await askFor(again, `GET /peers/${id}`)).peer.role, "backend");
    // Where they lie apart, whoever comes next tells of an end that the kill left untold.
    const acked = commands.filter(({ status }) => status === "acked").length;
    const told = async () => (await askFor(again, "GET /channels/activity/messages")).messages.length;
    await waitUntil(async () => (await told()) >= acked, "each end is told", 40_000);
    assert.equal(await told(), acked, "once");
  });
});
