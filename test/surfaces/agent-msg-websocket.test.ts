import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { type AddressInfo, connect as connectSocket } from "node:net";
import { networkInterfaces } from "node:os";
import { suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type Home, temporaryHome } from "../support/agent-msg.ts";
import { type Program, waitUntil } from "../support/program.ts";

const inTerminal = fileURLToPath(new URL("../support/terminal-process.ts", import.meta.url));
const agentMsg = fileURLToPath(new URL("../../sources.d/agent-msg.js", import.meta.url));

interface AgentServer extends AsyncDisposable {
  readonly program: Program;
  readonly url: string;
  readonly port: number;
}

async function serverIn(home: Home, ...words: string[]): Promise<AgentServer> {
  const program = home.start(["server", "-p", "0", ...words]);
  const said = await program.untilPrinted(/WebSocket server running on port \d+\n/);
  const port = Number(/port (\d+)/.exec(said)?.[1]);
  return { program, port, url: `ws://127.0.0.1:${port}`, [Symbol.asyncDispose]: program[Symbol.asyncDispose] };
}

async function connected(home: Home, agent: string, url: string): Promise<Program> {
  const program = home.start(["connect", "-a", agent, "-u", url], { input: null });
  const said = await program.untilPrinted("Listening for messages...\n");
  const expected = `Connecting to ${url} as ${agent}...\n✓ Connected as ${agent}\nListening for messages...\n`;
  // Messages that waited for the agent may follow at once.
  if (said.startsWith(expected)) return program;
  await program[Symbol.asyncDispose]();
  return assert.fail(said);
}

suite("agent-msg over WebSocket", { concurrency: 4 }, () => {
  test("M3 M14 M15 M25 M33 M41 three terminals: a server, and two agents that write to each other", async () => {
    using home = temporaryHome();
    await using server = await serverIn(home);
    await using a = await connected(home, "agent-a", server.url);
    await using b = await connected(home, "agent-b", server.url);
    b.child.stdin.write("agent-a Hello from agent B!\n");
    await a.untilPrinted("\n[agent-b]: Hello from agent B!\n");
    await b.untilPrinted("✓ Message delivered\n");
    a.child.stdin.write("agent-b And  hello back\n");
    await b.untilPrinted("\n[agent-a]: And  hello back\n");
  });

  test("M20 M34 D15 the server listens on 127.0.0.1:18790 unless told otherwise, and on nothing else", async () => {
    using home = temporaryHome();
    const { stdout } = await home.run("server", "--help");
    assert.match(stdout, /-p, --port <port> .*\(default: "18790"\)/);
    assert.match(stdout, /--host <address> .*\(default: "127\.0\.0\.1"\)/);
    for (const verb of ["connect", "send", "ping"]) {
      assert.match(
        (await home.run(verb, "--help")).stdout,
        /-u, --url <url> .*\(default: "ws:\/\/127\.0\.0\.1:18790"\)/,
      );
    }
    await using server = await serverIn(home);
    const elsewhere = Object.values(networkInterfaces())
      .flat()
      .find((address) => address?.family === "IPv4" && !address.internal)?.address;
    for (const host of ["127.0.0.2", ...(elsewhere === undefined ? [] : [elsewhere])]) {
      const refused = await new Promise<boolean>((resolve) => {
        const socket = connectSocket(server.port, host, () => resolve(socket.destroy() === undefined));
        socket.on("error", () => resolve(true));
      });
      assert.equal(refused, true, host);
    }
    const open = await home.run("server", "-p", "0", "--host", "0.0.0.0");
    assert.deepEqual([open.code, open.stdout], [1, ""]);
    assert.match(open.stderr, /set IPC_API_KEY, seed an operator, or use --insecure/);
  });

  test("M11 M22 M24 M32 send -w reports a message's delivery, and keeps it for an absent recipient", async () => {
    using home = temporaryHome();
    await using server = await serverIn(home);
    const far = ["-w", "-s", "me", "-u", server.url];
    const kept = await home.prints("send", "other-agent", "for later", ...far);
    assert.match(kept, /^Sending to other-agent via WebSocket\.\.\.\n✓ Message sent to other-agent \(1\), kept until/);
    await using other = await connected(home, "other-agent", server.url);
    await other.untilPrinted("\n[me]: for later\n");
    assert.equal(
      await home.prints("send", "other-agent", "Hello from a different machine!", ...far, "--wait"),
      "Sending to other-agent via WebSocket...\n✓ Delivered to other-agent\n",
    );
    await other.untilPrinted("\n[me]: Hello from a different machine!\n");
    const vain = await home.run("send", "away", "two", "words", ...far, "--wait", "--timeout", "0.3");
    assert.equal(vain.code, 1);
    assert.match(vain.stderr, /^Error: Not delivered in 0\.3 seconds; message 3 is kept until away takes it\n$/);
    assert.match((await home.bus("fetch", "away")).stdout, /"content":"two words"/);
  });

  test("M16 D14 ping says online of agents that are, and of no others", async () => {
    using home = temporaryHome();
    await using server = await serverIn(home);
    await using b = await connected(home, "b", server.url);
    const online = await home.prints("ping", "b", "-u", server.url);
    assert.match(
      online,
      new RegExp(`^Pinging b at ${server.url}\\.\\.\\.\n✓ Agent b is online \\(responded in \\d+ms\\)\n$`),
    );
    const nobody = await home.run("ping", "nobody", "-u", server.url);
    assert.deepEqual([nobody.code, nobody.stderr], [1, "✗ Agent nobody is offline\n"]);
    b.child.kill("SIGTERM");
    await b.ended;
    await waitUntil(async () => (await home.run("ping", "b", "-u", server.url)).code === 1, "b has left");
    const dead = await home.run("ping", "b", "-u", "ws://127.0.0.1:1");
    assert.deepEqual([dead.code, dead.stderr], [1, "✗ Agent b is offline or server not running\n"]);
  });

  test("M21 M26 D15 --url and --header reach a server behind a proxy that asks for one", async () => {
    using home = temporaryHome();
    await using server = await serverIn(home.with({ IPC_API_KEY: "secret" }));
    const proxy = createServer((_, response) => response.writeHead(403).end());
    proxy.on("upgrade", (request, socket, head) => {
      if (request.headers["x-agent-token"] !== "YOUR_SECRET_TOKEN") {
        socket.end("HTTP/1.1 403 Forbidden\r\n\r\n");
        return;
      }
      const behind = connectSocket(server.port, "127.0.0.1", () => {
        const headers = { ...request.headers, host: "your-domain.com", authorization: "Bearer secret" };
        const lines = Object.entries(headers).map(([name, text]) => `${name}: ${text}\r\n`);
        behind.write(`GET ${request.url} HTTP/1.1\r\n${lines.join("")}\r\n`);
        behind.write(head);
        behind.pipe(socket).pipe(behind);
      });
      for (const end of [behind, socket]) end.on("error", () => [behind, socket].map((other) => other.destroy()));
    });
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    const { port }: AddressInfo = Object(proxy.address());
    const url = `ws://127.0.0.1:${port}/agent-msg`;
    try {
      const without = await home.run("connect", "-a", "me", "-u", url);
      assert.deepEqual([without.code, without.stderr], [1, `Error: ${url} refuses: it answers with status 403\n`]);
      const header = ["--header", "x-agent-token: YOUR_SECRET_TOKEN"];
      await using me = home.start(["connect", "-a", "me", "-u", url, ...header], { input: null });
      await me.untilPrinted("✓ Connected as me\n");
      await home.prints("send", "me", "through", "-w", "--wait", "-s", "you", "-u", url, ...header);
      await me.untilPrinted("\n[you]: through\n");
    } finally {
      proxy.close();
      proxy.closeAllConnections();
    }
  });

  test("a server that refuses is quoted: what it wants, and how to give it", async () => {
    using home = temporaryHome();
    await using server = await serverIn(home.with({ IPC_API_KEY: "secret" }));
    for (const words of [
      ["connect", "-a", "me"],
      ["send", "you", "hello", "-w"],
      ["ping", "you"],
    ]) {
      const { code, stderr } = await home.run(...words, "-u", server.url);
      assert.equal(code, 1);
      assert.match(stderr, /refuses: this server asks for its API key or an agent's token: .*IPC_API_KEY/, words[0]);
    }
  });

  test("D15 a connected name is not taken over, and its messages go to its holder", async () => {
    using home = temporaryHome();
    await using server = await serverIn(home);
    await using first = await connected(home, "a", server.url);
    const second = await home.run("connect", "-a", "a", "-u", server.url);
    assert.deepEqual([second.code, second.stderr], [1, "Error: a is connected already, from elsewhere\n"]);
    await home.prints("send", "a", "still here", "-w", "--wait", "-u", server.url);
    await first.untilPrinted("still here");
  });

  test("connect finds its server again after a restart, and what was typed meanwhile is sent once", async () => {
    using home = temporaryHome();
    const first = await serverIn(home);
    await using a = await connected(home, "a", first.url);
    first.program.child.kill("SIGTERM");
    assert.equal((await first.program.ended).code, 0, "a server that is stopped has done its work");
    await a.untilLogged("The connection is lost; trying again");
    a.child.stdin.write("b typed meanwhile\n");
    await using again = home.start(["server", "-p", String(first.port)]);
    await again.untilPrinted("WebSocket server running");
    await a.untilPrinted("… kept for b, who is away");
    const { messages } = JSON.parse((await home.bus("fetch", "b", "--json")).stdout);
    assert.equal(messages.length, 1);
    await a.untilPrinted("✓ Message delivered");
  });

  test("chat by a pipe: /who, /help, what is odd, /quit", async () => {
    using home = temporaryHome();
    await using server = await serverIn(home);
    await using b = await connected(home, "b", server.url);
    await home.bus("post", "c", "x", "--from", "y");
    await using a = await connected(home, "a", server.url);
    a.child.stdin.write("/who\n");
    await a.untilPrinted("  b (online)\n  c\n");
    a.child.stdin.write("/help\n");
    await a.untilPrinted("Type a name and a message to send it");
    a.child.stdin.write("/nope\nalone\n");
    await a.untilLogged("Type a name and a message: agent-b Hello");
    a.child.stdin.write("/quit\n");
    const { code, stdout } = await a.ended;
    assert.equal(code, 0);
    assert.match(stdout, /Disconnected from server\n$/);
    assert.equal(b.child.exitCode, null);
  });

  test("chat at a terminal: names completed, what was typed before brought back, Ctrl-C and Ctrl-D leave cleanly", async () => {
    using home = temporaryHome();
    await using server = await serverIn(home);
    await using friend = await connected(home, "friendly-agent", server.url);
    const sit = () =>
      home.start([agentMsg, "connect", "-a", "me", "-u", server.url], { input: null, entry: inTerminal });

    await using first = sit();
    await first.untilPrinted("Listening for messages...");
    // Once /who names an agent, the client knows that it is there.
    first.child.stdin.write("/who\r");
    await first.untilPrinted("friendly-agent (online)");
    // By hand: what comes in one piece was pasted, and a tab in it is a tab.
    for (const keys of ["fri", "\t"]) {
      first.child.stdin.write(keys);
      await sleep(300);
    }
    await first.untilPrinted("friendly-agent ");
    first.child.stdin.write("hello\r");
    await friend.untilPrinted("\n[me]: hello\n");
    friend.child.stdin.write("me hi\n");
    await first.untilPrinted("[friendly-agent]: hi");
    first.child.stdin.write("\u0003");
    const left = await first.ended;
    assert.deepEqual([left.code, /Disconnected from server\s*$/.test(left.stdout)], [0, true], left.stdout);

    await using second = sit();
    await second.untilPrinted("Listening for messages...");
    second.child.stdin.write("\u001b[A\r");
    await friend.untilPrinted(/hello[\s\S]*hello/);
    second.child.stdin.write("\u0004");
    assert.equal((await second.ended).code, 0);
  });

  test("in secure mode a key is enough to sign and to connect", async () => {
    using home = temporaryHome();
    writeFileSync(home.file("ops.key"), (await home.bus("seed", "ops")).stdout, { mode: 0o600 });
    for (const name of ["a", "b"]) {
      await home.bus("keygen", "--out", home.file(name));
      const signed = ["--as", "ops", "--key", home.file("ops.key")];
      await home.bus("register", name, "--pubkey", home.file(`${name}.pub`), ...signed);
    }
    await using server = await serverIn(home);
    const refused = await home.run("connect", "-a", "a", "-u", server.url);
    assert.deepEqual(
      [refused.code, /^Error: not allowed: connecting as a needs its token/.test(refused.stderr)],
      [1, true],
    );
    const as = (name: string) => home.with({ IPC_KEY: home.file(`${name}.key`), IPC_AGENT: name });
    await using a = await connected(as("a"), "a", server.url);
    await as("b").prints("send", "a", "signed", "-w", "--wait", "-u", server.url);
    await a.untilPrinted("\n[b]: signed\n");
    const { stdout } = await home.bus("read", "@a", "observer");
    assert.match(stdout, /"signed": true/);
    const forged = await as("b").run("send", "a", "forged", "-s", "a", "-w", "-u", server.url);
    const why = "this token is not accepted: its signature is not the agent's";
    assert.deepEqual([forged.code, forged.stderr], [1, `Error: ${server.url} refuses: ${why}\n`]);
    const { stdout: token } = await home.bus("token", "b", "--key", home.file("b.key"));
    const shown = ["--header", `Authorization: Bearer ${token.trim()}`];
    await home.prints("send", "a", "vouched for", "-s", "b", "-w", "--wait", "-u", server.url, ...shown);
    const other = await home.with({ IPC_TOKEN: token.trim() }).run("connect", "-a", "a", "-u", server.url);
    assert.deepEqual([other.code, other.stderr], [1, "Error: not allowed: this token is for b\n"]);
    const overheard = await as("a").run("connect", "-a", "a", "-u", `ws://0.0.0.0:${server.port}`);
    assert.deepEqual(
      [overheard.code, /^Error: a token is sent over wss/.test(overheard.stderr)],
      [1, true],
      overheard.stderr,
    );
  });
});
