import assert from "node:assert/strict";
import { networkInterfaces } from "node:os";
import { suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { temporaryBus } from "../support/bus.ts";
import { ask, startStandIn } from "../support/http.ts";
import { untilListening } from "../support/program.ts";
import { askFor, connect, sendCommand, takeCommand } from "../support/sessions.ts";

suite("broker", { concurrency: 4 }, () => {
  test("B8 it is documented with port 9100, and listens on this machine alone", async () => {
    using bus = temporaryBus();
    const { code, stdout } = await bus.run("broker", "--help");
    assert.equal(code, 0);
    assert.match(stdout, /^Serve the bus over HTTP on port 9100\.\n\nUsage: el-ipc broker \[port\] \[options\]\n/);
    assert.match(stdout, /0 for any \(9100\)/);
    assert.match((await bus.run("help")).stdout, /\n {2}broker +Serve the bus over HTTP on port 9100\n/);
  });

  test("B8 without a port it is on 9100, whatever IPC_PORT says, or says who has that port", async () => {
    using bus = temporaryBus();
    const broker = bus.with({ IPC_PORT: "1" }).start(["broker"]);
    const { promise: ended, resolve } = Promise.withResolvers<"ended">();
    void broker.ended.then(() => resolve("ended"));
    const end = await Promise.race([ended, broker.untilLogged('"event":"listening"').catch(() => "ended" as const)]);
    if (end === "ended") {
      // Another run of these tests, or a broker, uses the port.
      assert.match((await broker.ended).stderr, /port 9100/i);
      return;
    }
    await using server = await untilListening(broker);
    assert.equal(server.url, "http://127.0.0.1:9100");
    assert.deepEqual((await askFor(server, "GET /peers")).peers, []);
  });

  test("B9 --port and --host say where", async () => {
    using bus = temporaryBus();
    for (const words of [
      ["0"],
      ["--port", "0", "--host", "127.0.0.1"],
      ["--port=0", "--host=127.0.0.1"],
      ["--host", "localhost", "0"],
    ]) {
      await using server = await untilListening(bus.start(["broker", ...words]));
      assert.equal((await askFor(server, "GET /status")).ok, true);
    }
    for (const words of [["--port", "70000"], ["--port", "x"], ["-1"], ["0", "1"]]) {
      const { code, stdout, stderr } = await bus.run("broker", ...words);
      assert.deepEqual([code, stdout], [1, ""], words.join(" "));
      assert.match(stderr, /^Error: /);
    }
  });

  test("B8 it isn't reached from elsewhere unless told to, and then only with a key, an operator or --insecure", async () => {
    using bus = temporaryBus();
    const { code, stderr } = await bus.run("broker", "0", "--host", "0.0.0.0");
    assert.equal(code, 1);
    assert.match(
      stderr,
      /^Error: listening on 0\.0\.0\.0 would let anyone .* set IPC_API_KEY, seed an operator, or use --insecure\n$/,
    );
    await using server = await bus.serve();
    for (const address of Object.values(networkInterfaces()).flatMap((all) => all ?? [])) {
      if (address.internal || address.family !== "IPv4") continue;
      await assert.rejects(ask(`http://${address.address}:${server.port}`, "GET /peers"), "nobody listens there");
    }
  });

  test("a port that is taken is said, and by whom", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const busy = await bus.run("broker", String(server.port));
    assert.match(busy.stderr, new RegExp(`^Error: el-ipc/\\S+ serves on port ${server.port} already`));
    using other = await startStandIn((_, response) => response.end("hello"));
    assert.match((await bus.run("broker", String(other.port))).stderr, /taken by another program/);
  });

  test("B7 sessions of this machine and of others meet on one bus, with the key that those need", async () => {
    using bus = temporaryBus();
    await using server = await untilListening(
      bus.with({ IPC_API_KEY: "s3cret" }).start(["broker", "0", "--host", "0.0.0.0"]),
    );
    const reached = { ...server, url: `http://127.0.0.1:${server.port}` };
    const elsewhere = { Host: "bus.example", Authorization: "Bearer s3cret" };
    const { id } = await askFor(reached, "POST /peers/connect", { role: "linux-client" }, 200, elsewhere);
    const local = await bus.answer("connect", "backend", "--json");
    const asked = bus.run("ask", String(id), "connect_and_test", '{"port":7400}', "--from", Object(local).id);
    const got = await ask(reached.url, `GET /commands/${id}/wait?timeout=10000`, { headers: elsewhere });
    const { command } = Object(got.json);
    assert.deepEqual([command.fromId, command.params], [Object(local).id, { port: 7400 }]);
    await askFor(reached, `POST /commands/${command.id}/ack`, { result: "reached" }, 200, elsewhere);
    assert.deepEqual(await asked, { code: 0, stdout: '"reached"\n', stderr: "" });
    for (const headers of [{ Host: "bus.example" }, { Host: "bus.example", Authorization: "Bearer wrong" }]) {
      await askFor(reached, "GET /peers", undefined, 401, headers);
    }
  });

  test("a broker that isn't asked anything does nothing, and ends cleanly", async () => {
    using bus = temporaryBus();
    await using broker = await untilListening(bus.start(["broker", "0"]));
    const id = await connect(broker, "backend");
    const sent = await sendCommand(broker, id);
    await sleep(100);
    broker.child.kill("SIGTERM");
    assert.equal((await broker.ended).code, 0);
    await using again = await bus.serve();
    assert.equal((await takeCommand(again, id))?.id, sent);
  });
});
