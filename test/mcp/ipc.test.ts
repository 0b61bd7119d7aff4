import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { secureBus, type TemporaryBus, temporaryBus } from "../support/bus.ts";
import { startStandInSocket } from "../support/http.ts";
import { everyWay, type Model } from "../support/mcp.ts";
import { freePort } from "../support/sockets.ts";

const [stdio] = everyWay.filter(({ name }) => /stdio|standard/.test(name));

/** A session with a server of its own, as each agent's client starts one. */
async function session({ environment }: TemporaryBus): Promise<Model> {
  return (stdio ?? assert.fail()).connect({ environment, server: { url: "" } });
}

const wordsIn = (text: string) =>
  [...text.matchAll(/<data from="([^"]*)" trust="\w+">([\s\S]*?)<\/data>/g)].map(([, from, said]) => [from, said]);

suite("the tool ipc", { concurrency: 3 }, () => {
  test("T1 T2 it is one tool, of which only the operation is required, and has nine", async () => {
    using bus = temporaryBus();
    await using a = await session(bus);
    const { tools } = await a.client.listTools();
    const tool = tools.find(({ name }) => name === "ipc");
    assert.deepEqual(tool?.inputSchema.required, ["operation"]);
    const { operation } = Object(tool?.inputSchema.properties);
    const nine = ["send", "receive", "ping", "broker_start", "broker_stop", "post", "fetch", "wait", "broker_status"];
    assert.deepEqual(operation.enum, nine);
    assert.match(await a.refusal("ipc", { operation: "shout" }), /operation must be one of send, receive, ping/);
    assert.match(await a.refusal("ipc"), /operation required/);
    for (const [given, refusal] of [
      [{ operation: "send" }, "host is required"],
      [{ operation: "send", host: "localhost:1" }, "message is required"],
      [{ operation: "post", message: "x" }, "to is required"],
      [{ operation: "fetch" }, "mailbox is required"],
      [{ operation: "wait" }, "mailbox is required"],
    ] as const) {
      assert.equal(await a.refusal("ipc", given), refusal);
    }
  });

  test("T9 T10 T11 T15 T16 the first one starts the broker, and both use it", async () => {
    using bus = temporaryBus();
    const port = await freePort();
    await using a = await session(bus);
    await using b = await session(bus);
    assert.equal(
      await a.call("ipc", { operation: "broker_start", port }),
      `Broker started on 127.0.0.1:${port}. Use post/fetch/wait with port=${port}.`,
    );
    assert.match(
      await a.call("ipc", { operation: "broker_start", port }),
      /already running on port \d+ \(this process\)/,
    );
    assert.match(
      await b.call("ipc", { operation: "broker_start", port: String(port) }),
      /\(another process\)\. Ready to use\./,
    );
    const waiting = a.call("ipc", { operation: "wait", mailbox: "A", port, timeout: 30 });
    assert.match(
      await b.call("ipc", { operation: "post", to: "A", from: "B", message: "hello", port }),
      /^Posted to mailbox "A"/,
    );
    assert.deepEqual(wordsIn(await waiting), [["B", "hello"]]);
    await a.call("ipc", { operation: "post", to: "B", from: "A", message: "re: hello", port });
    assert.match(await a.call("ipc", { operation: "broker_status", port }), /B: 1 queued/);
    assert.deepEqual(wordsIn(await b.call("ipc", { operation: "wait", mailbox: "B", port })), [["A", "re: hello"]]);
    for (const message of ["one", "two"]) await b.call("ipc", { operation: "post", to: "A", from: "B", message, port });
    const fetched = await b.call("ipc", { operation: "fetch", mailbox: "A", port });
    assert.match(fetched, /^2 message\(s\) in mailbox "A":/);
    assert.deepEqual(wordsIn(fetched), [
      ["B", "one"],
      ["B", "two"],
    ]);
    assert.equal(await b.call("ipc", { operation: "fetch", mailbox: "A", port }), 'No messages in mailbox "A"');
    assert.equal(
      await a.call("ipc", { operation: "broker_status", port }),
      `Broker on port ${port}: no active mailboxes`,
    );
    assert.match(await b.refusal("ipc", { operation: "broker_stop", port }), /no broker running in this process/);
    assert.equal(await a.call("ipc", { operation: "broker_stop", port }), `Broker stopped (port ${port})`);
    assert.match(await b.refusal("ipc", { operation: "broker_status", port }), /broker not reachable on port/);
    await b.call("ipc", { operation: "post", to: "A", from: "B", message: "without a broker", port });
    assert.deepEqual(wordsIn(await a.call("ipc", { operation: "wait", mailbox: "A", port })), [
      ["B", "without a broker"],
    ]);
  });

  test("T10 another program's port isn't taken for a broker's; the original's broker is used", async () => {
    using bus = temporaryBus();
    await using a = await session(bus);
    using other = await startStandInSocket(
      (socket) => void socket.on("data", () => socket.end("HTTP/1.1 400\r\n\r\n")),
    );
    assert.match(
      await a.refusal("ipc", { operation: "broker_start", port: other.port }),
      /is in use, and not by a broker/,
    );
    const asked: unknown[] = [];
    using original = await startStandInSocket((socket) => {
      socket.on("data", (bytes) => {
        const { op } = Object(JSON.parse(String(bytes)));
        asked.push(op);
        const ts = new Date().toISOString();
        const answers = {
          status: { ok: true, info: "agent-tool-ipc-broker", mailboxes: { A: 1 } },
          post: { ok: true, info: "delivered to waiter" },
          wait: { ok: true, message: { from: "go", msg: "from the original", ts } },
          fetch: { ok: true },
        };
        socket.end(`${JSON.stringify(Object(answers)[op])}\n`);
      });
    });
    const { port } = original;
    assert.match(await a.call("ipc", { operation: "broker_start", port }), /another process/);
    assert.match(
      await a.call("ipc", { operation: "post", to: "A", from: "B", message: "x", port }),
      /\(delivered to waiter, port/,
    );
    assert.deepEqual(wordsIn(await a.call("ipc", { operation: "wait", mailbox: "A", port })), [
      ["go", "from the original"],
    ]);
    assert.match(await a.call("ipc", { operation: "fetch", mailbox: "A", port }), /No messages/);
    assert.match(await a.call("ipc", { operation: "broker_status", port }), /A: 1 queued/);
    assert.deepEqual(asked, ["status", "post", "wait", "fetch", "status"]);
  });

  test("T3 T4 T5 T6 T7 T8 T17 point-to-point, from one session to the other and back", async () => {
    using bus = temporaryBus();
    await using a = await session(bus);
    await using b = await session(bus);
    const [here, there] = [await freePort(), await freePort()];
    const received = a.call("ipc", { operation: "receive", port: here, timeout: 120 });
    assert.equal(
      await b.call("ipc", { operation: "send", host: `localhost:${here}`, message: "hello A" }),
      `Message sent to localhost:${here}`,
    );
    assert.match(await received, /hello A/);
    const answered = b.call("ipc", { operation: "receive", port: there });
    const pong = async (): Promise<string> =>
      a.call("ipc", { operation: "ping", host: `localhost:${there}` }).catch(() => pong());
    assert.match(await pong(), /^PONG from localhost:\d+, RTT \d+\.\d\d ms$/);
    await a.call("ipc", { operation: "send", host: `localhost:${there}`, message: "hello B" });
    assert.match(await answered, /hello B/);
    assert.match(
      await a.refusal("ipc", { operation: "receive", port: here, timeout: "0.2" }),
      /no message came to port/,
    );
    assert.match(
      await a.refusal("ipc", { operation: "wait", mailbox: "nobody", timeout: 0.2, port: here }),
      /wait timed out after 0\.2s -- no message in mailbox "nobody"/,
    );
  });

  test("in secure mode it acts as the agent whose key it has", async () => {
    using bus = await secureBus("herald", "scout");
    await using nobody = await session(bus);
    assert.match(
      await nobody.refusal("ipc", { operation: "post", to: "scout", from: "herald", message: "forged" }),
      /secure mode/,
    );
    const port = await freePort();
    await using herald = await session(bus.with({ IPC_AGENT: "herald", IPC_KEY: bus.file("herald.key") }));
    await herald.call("ipc", { operation: "post", to: "scout", message: "it is me", port });
    assert.match(
      await herald.refusal("ipc", { operation: "fetch", mailbox: "scout", port }),
      /this token is for herald/,
    );
    assert.match((await bus.run("fetch", "scout")).stdout, /"sender":"herald","content":"it is me".*"attested":true/);
  });
});
