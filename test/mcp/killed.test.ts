import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { temporaryBus } from "../support/bus.ts";
import { everyWay, NEWEST, stdio, streamable } from "../support/mcp.ts";
import { isAlive, startModule, waitUntil } from "../support/program.ts";
import { askFor, findCommand, sendCommand } from "../support/sessions.ts";

const client = new URL("client-process.ts", import.meta.url);

suite("kill -9", { concurrency: 2 }, () => {
  const far = { name: `${stdio().name}, of a server`, way: stdio(), far: true };
  for (const { name, way, far: viaServer } of [...everyWay.map((way) => ({ name: way.name, way, far: false })), far]) {
    test(`of an MCP client that waits for a command leaves no lease and no process behind: ${name}`, async () => {
      using bus = temporaryBus();
      await using server = await bus.serve();
      const environment = viaServer ? { IPC_URL: server.url, IPC_DB_PATH: bus.file("unused.db") } : bus.environment;
      const place = JSON.stringify({ environment, server: { url: server.url } });
      // The files that it can't clean up any more lie in the bus's own folder.
      await using doomed = startModule(client, [way.name, place], { TMPDIR: bus.file(".") });
      const told: { peer: string; server: number | null } = JSON.parse(await doomed.untilPrinted("\n"));
      const waitsFor = async () => (await askFor(server, `GET /peers/${told.peer}`)).peer.waiting_for;
      await waitUntil(async () => (await waitsFor()) === "commands", "it waits");

      doomed.child.kill("SIGKILL");
      assert.equal((await doomed.ended).stderr, "");
      await waitUntil(async () => (await waitsFor()) === null, "it waits no more");
      await waitUntil(() => told.server === null || !isAlive(told.server), "the process that it started is gone");

      const id = await sendCommand(server, told.peer);
      assert.partialDeepStrictEqual(await findCommand(server, id), { status: "pending", attempts: 0, holder: null });
      await using next = await streamable(NEWEST).connect({ environment, server });
      const taken = await next.call("wait_for_command", { timeout: 20, peer_id: told.peer });
      assert.ok(taken.startsWith(`${id}: `), taken);
    });
  }

  for (const way of everyWay.filter(({ name }) => !name.startsWith("stdio"))) {
    test(`of the server: started again, it has every command, signal and message: ${way.name}`, async () => {
      using bus = temporaryBus();
      let server = await bus.serve();
      await using _last = { [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
      const first = await way.connect({ environment: bus.environment, server });
      const peer = await first.join("worker");
      const begun = await sendCommand(server, peer, "begun");
      assert.match(await first.call("wait_for_command", { timeout: 20 }), new RegExp(`^${begun}: `));
      await first.call("signal", { name: "half_way", data: { done: 1 } });
      await first.call("send_message", { channel: "log", message: "half of it is done" });
      const later = await sendCommand(server, peer, "later");

      server.child.kill("SIGKILL");
      await server.ended;
      await first.client.close();
      server = await bus.serve();

      await using again = await way.connect({ environment: bus.environment, server });
      const call = (tool: string, given: object) => again.call(tool, { ...given, peer_id: peer });
      assert.match(await call("ack_command", { id: begun, result: { done: 2 } }), /is acknowledged/);
      assert.match(await call("wait_for_command", { timeout: 20 }), new RegExp(`^${later}: `));
      assert.match(await call("wait_for_signal", { name: "half_way", timeout: 1 }), /half_way \{"done":1\}/);
      assert.match(await call("wait_for_signal", { name: "begun_done", timeout: 1 }), /"done":2/);
      assert.match(await call("read_messages", { channel: "log" }), /half of it is done/);
    });
  }

  test("of an MCP client that works on a command: when the lease ends another has it", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const place = JSON.stringify({ environment: bus.environment, server: { url: server.url } });
    await using doomed = startModule(client, [stdio().name, place], { TMPDIR: bus.file(".") });
    const { peer }: { peer: string } = JSON.parse(await doomed.untilPrinted("\n"));
    const sent = await askFor(server, "POST /commands/send", { target: peer, action: "work", lease: 1 });
    await doomed.untilPrinted(sent.command.id);
    doomed.child.kill("SIGKILL");
    await doomed.ended;
    await using next = await streamable(NEWEST).connect({ environment: bus.environment, server });
    const taken = await next.call("wait_for_command", { timeout: 20, peer_id: peer });
    assert.match(taken, new RegExp(`^${sent.command.id} \\(attempt 2\\): `));
  });
});
