import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { type TemporaryBus, temporaryBus } from "../support/bus.ts";
import { fastClock } from "../support/clock.ts";
import { ask, openAnswer } from "../support/http.ts";
import { everyWay, NEWEST, OLDER, type Place, sse, stdio, streamable } from "../support/mcp.ts";
import { untilListening, waitUntil } from "../support/program.ts";

suite("waiting over MCP", () => {
  const stack = new AsyncDisposableStack();
  let stage: Place & { readonly bus: TemporaryBus };
  let quick: Place;

  before(async () => {
    const bus = stack.use(temporaryBus());
    stage = { bus, environment: bus.environment, server: stack.use(await bus.serve()) };
    const started = bus.start(["serve", "0"], { node: fastClock });
    quick = { environment: bus.environment, server: stack.use(await untilListening(started)) };
  });
  after(() => stack.disposeAsync());

  const peers = async (): Promise<readonly { id: string; waiting_for: string | null; last_seen: number }[]> =>
    Object((await ask(stage.server.url, "GET /peers")).json).peers;
  const waitsFor = async (id: string) => (await peers()).find((peer) => peer.id === id)?.waiting_for ?? null;
  const order = async (target: string, lease = 60): Promise<string> => {
    const sent = await ask(stage.server.url, "POST /commands/send", { body: { target, action: "work", lease } });
    return Object(sent.json).command.id;
  };
  const commandOf = async (id: string) => {
    const { commands } = Object((await ask(stage.server.url, "GET /commands?limit=1000")).json);
    return commands.find((command: { id: string }) => command.id === id);
  };

  for (const way of [streamable(NEWEST), streamable(OLDER), sse()]) {
    test(`a client that vanishes while it waits takes no command with it: ${way.name}`, async () => {
      const vanish = new AbortController();
      const model = await way.connect(stage, { vanish: vanish.signal });
      const peer = await model.join("worker");
      const waiting = model.call("wait_for_command", { timeout: 60 });
      await waitUntil(async () => (await waitsFor(peer)) === "commands", "it waits");
      vanish.abort();
      await Promise.all([assert.rejects(waiting), model.client.close()]);
      await waitUntil(async () => (await waitsFor(peer)) === null, "it waits no more");
      const id = await order(peer);
      assert.partialDeepStrictEqual(await commandOf(id), { status: "pending", attempts: 0 });
    });

    test(`whenever a client vanishes, it has the command or another has it when the lease ends: ${way.name}`, async () => {
      for (let round = 0; round < 12; round++) {
        const vanish = new AbortController();
        const model = await way.connect(stage, { vanish: vanish.signal });
        const peer = await model.join("racer");
        const waiting = model.call("wait_for_command", { timeout: 60 }).catch(() => undefined);
        await waitUntil(async () => (await waitsFor(peer)) === "commands", "it waits");
        const sent = order(peer, 1);
        await new Promise((resolve) => setTimeout(resolve, round));
        vanish.abort();
        const [id, got] = await Promise.all([sent, waiting, model.client.close()]);
        if (got !== undefined) continue;
        await using other = await way.connect(stage);
        const taken = await other.call("wait_for_command", { timeout: 20, peer_id: peer });
        assert.ok(taken.startsWith(id), taken);
      }
    });
  }

  for (const way of everyWay) {
    test(`a call that is cancelled takes no command with it, and the connection goes on: ${way.name}`, async () => {
      await using model = await way.connect(stage);
      const peer = await model.join("canceller");
      const cancel = new AbortController();
      const waiting = model.call("wait_for_command", { timeout: 60 }, { signal: cancel.signal });
      await waitUntil(async () => (await waitsFor(peer)) === "commands", "it waits");
      cancel.abort();
      await assert.rejects(waiting);
      await waitUntil(async () => (await waitsFor(peer)) === null, "it waits no more");
      const id = await order(peer);
      assert.partialDeepStrictEqual(await commandOf(id), { status: "pending", attempts: 0 });
      assert.match(await model.call("wait_for_command", { timeout: 20 }), new RegExp(id));
    });
  }

  test("a stdio client that was killed while it waited takes no command with it", async () => {
    const served = stage.bus.start(["mcp"], { input: null });
    await using _ = served;
    const say = (message: object) => served.child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
    const clientInfo = { name: "test", version: "1" };
    const call = (id: number, name: string, given: object) =>
      say({ id, method: "tools/call", params: { name, arguments: given } });
    say({ id: 1, method: "initialize", params: { protocolVersion: OLDER, capabilities: {}, clientInfo } });
    call(2, "connect", { role: "killed" });
    const [, peer = ""] = /peer_id: (kil-\w+),/.exec(await served.untilPrinted(/peer_id: kil-\w+,/)) ?? [];
    call(3, "wait_for_command", { timeout: 60 });
    await waitUntil(async () => (await waitsFor(peer)) === "commands", "it waits");
    served.child.stdin.end();
    const { code, stderr } = await served.ended;
    assert.deepEqual([code, stderr], [0, ""]);
    assert.equal(await waitsFor(peer), null);
    const id = await order(peer);
    assert.partialDeepStrictEqual(await commandOf(id), { status: "pending", attempts: 0 });
  });

  for (const way of [stdio(), streamable(NEWEST), streamable(OLDER), sse()]) {
    test(`a client that asks for progress hears every 15 s that a wait goes on: ${way.name}`, async () => {
      await using model = await way.connect(quick, { node: fastClock });
      await model.join("patient");
      const heard: number[] = [];
      const onprogress = ({ progress }: { progress: number }) => void heard.push(progress);
      const waiting = model.call("wait_for_signal", { name: way.name, timeout: 300 }, { onprogress });
      await waitUntil(() => heard.length >= 3, "it hears");
      await ask(stage.server.url, `POST /signals/${encodeURIComponent(way.name)}`, { body: {} });
      await waiting;
      assert.deepEqual(heard.slice(0, 3), [15, 30, 45]);
    });
  }

  test("a wait is answered at once with a byte, and then with one every 15 s", async () => {
    const _meta = {
      "io.modelcontextprotocol/protocolVersion": NEWEST,
      "io.modelcontextprotocol/clientCapabilities": {},
    };
    const params = { name: "wait_for_signal", arguments: { name: "never", timeout: 300 }, _meta };
    const response = await openAnswer(quick.server.url, "POST /mcp", {
      headers: {
        "Content-Type": "application/json",
        Accept: "application/json, text/event-stream",
        "MCP-Protocol-Version": NEWEST,
        "Mcp-Method": "tools/call",
        "Mcp-Name": "wait_for_signal",
      },
      body: { jsonrpc: "2.0", id: 1, method: "tools/call", params },
    });
    const chunks: string[] = [];
    response.setEncoding("utf8").on("data", (chunk) => chunks.push(chunk));
    response.on("error", () => {});
    await waitUntil(() => chunks.length > 3, "it is kept alive");
    assert.match(chunks[0] ?? "", /^: *\n\n$/);
    assert.ok(chunks.every((chunk) => chunk.startsWith(":")));
    response.destroy();
  });

  for (const way of [stdio(), streamable(OLDER), sse()]) {
    test(`whose connection stands is there, though it calls nothing: ${way.name}`, async () => {
      await using model = await way.connect(quick, { node: fastClock });
      const peer = await model.join("quiet");
      const seen = async () => (await peers()).find(({ id }) => id === peer)?.last_seen ?? 0;
      const joined = await seen();
      await waitUntil(async () => (await seen()) > joined, "it is seen");
    });
  }
});
