import assert from "node:assert/strict";
import { hostname } from "node:os";
import { suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import { tokenOf } from "../support/brokers.ts";
import { secureBus, temporaryBus } from "../support/bus.ts";
import { type Environment, listening, type Program, run, start, until } from "../support/program.ts";

const entry = fileURLToPath(new URL("../../sources.d/agent-msg.js", import.meta.url));

const agentMsg = (environment: Environment, ...words: string[]) => run(words, environment, { entry });

const server = (environment: Environment, ...words: string[]) =>
  listening(start(["server", "-p", "0", ...words], environment, { entry }));

async function connect(environment: Environment, agent: string, url: string, ...words: string[]): Promise<Program> {
  const program = start(["connect", "-a", agent, "-u", url, ...words], environment, { entry, input: null });
  await program.printed(`as ${agent}\n`);
  return program;
}

const socketUrl = (url: string) => url.replace("http:", "ws:");

suite("agent-msg over WebSocket", { concurrency: 4 }, () => {
  test("M3 M14 M15 M25 three terminals: what is typed in one shows in the other", async () => {
    using bus = temporaryBus();
    await using serving = await server(bus.environment);
    const url = socketUrl(serving.url);
    await using a = await connect({}, "agent-a", url);
    await using b = await connect({}, "agent-b", url);
    b.child.stdin.write("agent-a Hello from agent B!\n");
    assert.match(await a.printed("Hello"), /\n\[agent-b at \d{4}-\d\d-\d\dT\S+\]: Hello from agent B!\n/);
    await b.printed("✓ Delivered to agent-a\n");
    b.child.stdin.write("nobody are you there?\nagent-a\n");
    await b.printed("… kept for nobody, who is away\n");
    await b.said("Type a name and a message: agent-b Hello");
    b.child.kill("SIGINT");
    assert.equal((await b.ended).code, 130);
    await using nobody = await connect({}, "nobody", url);
    await nobody.printed("are you there?");
  });

  test("M11 M22 M23 M24 M31 M32 send -w, with and without --wait, from elsewhere by -u", async () => {
    using bus = temporaryBus();
    await using serving = await server(bus.environment);
    const url = socketUrl(serving.url);
    await using a = await connect({}, "other-agent", url);
    const wait = await agentMsg({}, "send", "other-agent", "two", "words", "-w", "--wait", "-u", url, "-s", "me");
    assert.deepEqual(wait, { code: 0, stdout: "✓ Delivered to other-agent\n", stderr: "" });
    assert.match(await a.printed("two words"), /\[me at .*\]: two words/);
    assert.equal(
      (await agentMsg({}, "send", "other-agent", "three", "-w", "-u", url)).stdout,
      "✓ Delivered to other-agent\n",
    );
    assert.ok(
      (await a.printed("three")).includes(`[${hostname()} at`),
      "the name of this machine, where none is given",
    );
    const kept = await agentMsg({}, "send", "away", "four", "-w", "-u", url, "--from", "me");
    assert.match(kept.stdout, /^✓ Message sent to away \(\d+\), kept until away takes it\n$/);
    const vain = await agentMsg({}, "send", "away", "five", "-w", "--wait", "--timeout", "0.3", "-u", url);
    assert.equal(vain.code, 1);
    assert.match(vain.stderr, /^Error: Not delivered in that time; message \d+ is kept until away takes it\n$/);
    await using away = await connect({}, "away", url);
    assert.match(await away.printed("five"), /: four\n.*: five\n/);
    const file = bus.place("text", "from a file");
    assert.equal((await agentMsg({}, "send", "away", "-f", file, "-w", "-u", url)).code, 0);
    await away.printed("from a file");
  });

  test("M16 ping says whether an agent is online, and not whether a server is there", async () => {
    using bus = temporaryBus();
    await using serving = await server(bus.environment);
    const url = socketUrl(serving.url);
    assert.deepEqual(await agentMsg({}, "ping", "nobody", "-u", url), {
      code: 1,
      stdout: "",
      stderr: "Error: nobody is offline\n",
    });
    await using a = await connect({}, "agent-a", url);
    assert.deepEqual(await agentMsg({}, "ping", "agent-a", "-u", url), {
      code: 0,
      stdout: "✓ agent-a is online\n",
      stderr: "",
    });
    a.child.kill("SIGKILL");
    await until(async () => (await agentMsg({}, "ping", "agent-a", "-u", url)).code === 1, "its end");
    const { code, stderr } = await agentMsg({}, "ping", "agent-a", "-u", "ws://127.0.0.1:1");
    assert.equal(code, 1);
    assert.match(stderr, /^Error: No server answers at ws:\/\/127\.0\.0\.1:1/);
  });

  test("M21 M33 M35 any server of ours will do, and messages from it reach mailboxes on every other way", async () => {
    using bus = temporaryBus();
    await using serving = await bus.serve();
    const url = socketUrl(serving.url);
    await using a = await connect({}, "agent-a", url);
    await bus.run("post", "agent-a", "from the command line", "--from", "me");
    await a.printed("from the command line");
    await agentMsg({}, "send", "reviewer", "to a mailbox", "-w", "-u", url);
    assert.match((await bus.run("fetch", "reviewer")).stdout, /to a mailbox/);
  });

  test("a connection that breaks is made again, and what was typed meanwhile is sent once", async () => {
    using bus = temporaryBus();
    await using serving = await server(bus.environment);
    const url = socketUrl(serving.url);
    await using a = await connect({}, "agent-a", url);
    await using b = await connect({}, "agent-b", url);
    serving.child.kill("SIGKILL");
    await serving.ended;
    await b.said("The connection is lost; trying again");
    b.child.stdin.write("agent-a while it was away\n");
    await using again = await listening(start(["server", "-p", String(serving.port)], bus.environment, { entry }));
    await a.printed("while it was away");
    await b.printed("✓ Delivered to agent-a\n");
    assert.equal((await bus.run("channel", "messages", "@agent-a")).stdout.trim().split("\n").length, 1);
    assert.equal(again.port, serving.port);
  });

  test("M26 M36 --header is sent with the connection, as often as it is given", async () => {
    using bus = temporaryBus();
    await using serving = await server(bus.environment);
    const seen: string[] = [];
    // A proxy that lets in who shows the token that it knows, as the documents have nginx do it.
    const gate = await gateBefore(serving.port, (headers) => {
      seen.push(`${headers["x-agent-token"]} ${headers["x-more"]}`);
      return headers["x-agent-token"] === "sesame";
    });
    try {
      const more = ["--header", "x-more: a: b"];
      const shown = await agentMsg(
        {},
        "send",
        "x",
        "y",
        "-w",
        "-u",
        gate.url,
        "--header",
        "x-agent-token: sesame",
        ...more,
      );
      assert.equal(shown.code, 0, shown.stderr);
      assert.deepEqual(seen, ["sesame a: b"]);
      const { code, stderr } = await agentMsg({}, "connect", "-a", "x", "-u", gate.url);
      assert.deepEqual([code, stderr], [1, `Error: ${gate.url} refuses: it answers with status 403\n`]);
    } finally {
      gate.close();
    }
  });

  test("M26 in secure mode IPC_TOKEN or a header says who connects", async () => {
    using bus = await secureBus("herald", "scout");
    await using serving = await server(bus.environment);
    const url = socketUrl(serving.url);
    const without = await agentMsg({}, "send", "scout", "forged", "-w", "-s", "herald", "-u", url);
    assert.deepEqual([without.code, without.stderr], [1, "Error: signature required (secure mode active)\n"]);
    await using scout = await connect({ IPC_TOKEN: await tokenOf(bus, "scout") }, "scout", url);
    const header = `Authorization: Bearer ${await tokenOf(bus, "herald")}`;
    const sent = await agentMsg(
      {},
      "send",
      "scout",
      "it is me",
      "-w",
      "--wait",
      "-s",
      "herald",
      "-u",
      url,
      "--header",
      header,
    );
    assert.deepEqual([sent.code, sent.stdout], [0, "✓ Delivered to scout\n"]);
    await scout.printed("it is me");
    const other = await agentMsg({ IPC_TOKEN: await tokenOf(bus, "herald") }, "connect", "-a", "scout", "-u", url);
    assert.match(other.stderr, /^Error: not allowed: this token is for herald\n$/);
  });

  test("M20 M34 the server listens on 127.0.0.1:18790 unless it is told otherwise, and openly only when told so", async () => {
    using bus = temporaryBus();
    const { stdout } = await agentMsg({}, "--help");
    assert.match(stdout, /18790/);
    assert.match(stdout, /127\.0\.0\.1/);
    await using serving = await server(bus.environment);
    assert.match(serving.url, /^http:\/\/127\.0\.0\.1:/);
    const open = await agentMsg(bus.environment, "server", "-p", "0", "--host", "0.0.0.0");
    assert.match(open.stderr, /^Error: listening on 0\.0\.0\.0 would let anyone/);
  });

  test("what is typed wrongly is said so", async () => {
    const wrong: readonly [readonly string[], RegExp][] = [
      [["shout"], /unknown command "shout"; the commands are server, connect, send, ping and help/],
      [["connect", "--colour"], /unknown option --colour/],
      [["send", "x", "-w"], /Usage: agent-msg send/],
      [["ping"], /Usage: agent-msg ping/],
      [["ping", "x", "-u", "http://localhost"], /is no address: ws:\/\/host:port/],
      [["ping", "x", "--header", "no colon"], /--header takes "name: text"/],
      [["ping", "x", "--timeout", "soon"], /--timeout must be a number/],
    ];
    for (const [words, error] of wrong) {
      const { code, stdout, stderr } = await agentMsg({}, ...words);
      assert.deepEqual([code, stdout], [1, ""]);
      assert.match(stderr, error);
    }
  });
});

/** A proxy that speaks for a server, to those whose headers it likes. */
async function gateBefore(port: number, likes: (headers: Readonly<Record<string, unknown>>) => boolean) {
  const { createServer } = await import("node:http");
  const { connect: dial } = await import("node:net");
  const gate = createServer();
  gate.on("upgrade", (request, socket, head) => {
    if (!likes(request.headers)) return void socket.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    const inner = dial(port, "127.0.0.1", () => {
      const lines = Object.entries(request.headers).map(([name, value]) => `${name}: ${value}\r\n`);
      inner.write(`GET / HTTP/1.1\r\n${lines.join("")}\r\n`);
      inner.write(head);
      socket.pipe(inner).pipe(socket);
    });
    inner.on("error", () => socket.destroy());
    socket.on("error", () => inner.destroy());
  });
  await new Promise<void>((resolve) => gate.listen(0, "127.0.0.1", resolve));
  const address = gate.address();
  if (typeof address !== "object" || address === null) throw new Error("it has no port");
  return {
    url: `ws://127.0.0.1:${address.port}`,
    close() {
      gate.close();
      gate.closeAllConnections();
    },
  };
}
