import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { contentsOf, secureBus, type TemporaryBus, tcpPortOf, temporaryBus, textIn } from "../support/bus.ts";
import { ask, startStandIn, startStandInSocket } from "../support/http.ts";
import { type Server, untilListening, waitUntil } from "../support/program.ts";

/** A user on another machine: no database there, only an address. */
function remoteTo(bus: TemporaryBus, server: { readonly url: string }): TemporaryBus {
  return bus.with({ IPC_URL: server.url, IPC_DB_PATH: "/nonexistent/bus.db" });
}

async function restarted(bus: TemporaryBus, server: Server): Promise<Server> {
  return await untilListening(bus.start(["serve", String(server.port)]));
}

async function waits(server: Server): Promise<void> {
  await waitUntil(async () => {
    const { text } = await ask(server.url, "GET /metrics");
    return Number(/^el_ipc_http_open_requests (\d+)$/m.exec(text)?.[1]) > 1;
  }, "a waiter");
}

suite("the command line against a server", { concurrency: 6 }, () => {
  test("the same verbs print the same, near and far", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const far = remoteTo(bus, server);
    const sent = await far.run("send", "room", "a", "from", "afar");
    assert.deepEqual(sent, { code: 0, stdout: '{"ok":true,"id":1,"channel":"room","signed":false}\n', stderr: "" });
    const alike = [
      ["read", "room", "b", "--peek"],
      ["channels"],
      ["agents"],
      ["health", "room", "b"],
      ["agents", "--json"],
    ];
    for (const words of alike) assert.deepEqual(await far.run(...words), await bus.run(...words), words.join(" "));
    assert.deepEqual(await far.answer("ack", "room", "c", "1"), { ok: true, watermark: 1 });
    assert.deepEqual(await bus.answer("read", "room", "c"), []);
    assert.deepEqual(contentsOf(await far.answer("read", "room", "b")), ["from afar"]);
    assert.deepEqual(await bus.answer("read", "room", "b"), []);
    assert.deepEqual(
      await far.answer("agent-card"),
      await bus.with({ IPC_PORT: String(server.port) }).answer("agent-card"),
    );
  });

  test("prune says what it removed and ends; what is sent after it stays", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve({}, "--tcp", "0");
    const tcp = `tcp://127.0.0.1:${await tcpPortOf(server)}`;
    for (const url of [server.url, tcp]) {
      await bus.run("send", "room", "a", "old");
      const pruned = await bus.run("prune", "room", "--keep", "0", "--url", url);
      assert.deepEqual(pruned, { code: 0, stdout: "Removed 1 message\n  room: 1 (1 not read by all)\n", stderr: "" });
    }
    const { stderr } = await bus.run("prune", "", "--keep", "0", "--url", server.url);
    assert.match(stderr, /^Error: the channel is empty/);
    assert.equal((await ask(server.url, "POST /prune", { body: { channel: "", keep: 0 } })).status, 400);
  });

  test("--url does what IPC_URL does, and goes before it", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const elsewhere = bus.with({ IPC_URL: "http://127.0.0.1:1", IPC_DB_PATH: "/nonexistent/bus.db" });
    assert.equal((await elsewhere.run("send", "room", "a", "x", "--url", server.url)).code, 0);
    assert.equal((await elsewhere.run("read", "room", "b", `--url=${server.url}/`)).code, 0);
    assert.equal((await elsewhere.run("read", "room", "b")).code, 1);
  });

  test("errors are the server's sentences, on standard error, with 1", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const far = remoteTo(bus, server);
    for (const words of [
      ["send", "a\nb", "c", "d"],
      ["read", "a", "b", "--limit", "0"],
      ["send", "a"],
      ["ack", "a", "b", "x"],
    ]) {
      assert.deepEqual(await far.run(...words), await bus.run(...words), words.join(" "));
    }
    const large = await far.start(["send", "a", "b", "-"], { input: "x".repeat(1024 * 1024 + 1) }).ended;
    assert.equal(large.stderr, "Error: content must be 1 MiB of UTF-8 at most\n");
  });

  test("E27 agents on other machines sign with their own key, and operators register with theirs", async () => {
    using bus = await secureBus("herald");
    await using server = await bus.serve();
    const far = remoteTo(bus, server);
    const sent = await far.run("send", "c", "herald", "signed", "--key", bus.file("herald.key"));
    assert.equal(sent.stdout, '{"ok":true,"id":1,"channel":"c","signed":true}\n');
    const unsigned = await far.run("send", "c", "herald", "unsigned");
    assert.match(unsigned.stderr, /^Error: signature required \(secure mode active\): give --key /);
    const forged = await far.run("send", "c", "herald", "forged", "--key", bus.file("ops.key"));
    assert.equal(
      forged.stderr,
      "Error: invalid signature: is this the key that is registered for that name? `el-ipc agents --keys` shows it\n",
    );
    await far.run("keygen", "--out", bus.file("second"));
    const words = [
      "register",
      "second",
      "--pubkey",
      bus.file("second.pub"),
      "--as",
      "ops",
      "--key",
      bus.file("ops.key"),
    ];
    assert.equal((await far.run(...words)).code, 0);
    assert.match((await bus.run("agents")).stdout, /second \(registered by ops\)/);
  });

  test("a private key never leaves this machine", async () => {
    using bus = await secureBus("herald");
    const seen: string[] = [];
    using server = await startStandIn(async (request, response) => {
      seen.push(
        JSON.stringify([request.url, request.headers]),
        ...(await Array.fromAsync(request.setEncoding("utf8"))),
      );
      response.end('{"ok":true,"id":1,"message":"registered","status":"ok","secure_mode":true}');
    });
    const far = remoteTo(bus, server);
    await far.run("send", "c", "herald", "x", "--key", bus.file("herald.key"));
    await far.run(
      "register",
      "second",
      "--pubkey",
      bus.file("herald.pub"),
      "--as",
      "ops",
      "--key",
      bus.file("ops.key"),
    );
    assert.ok(seen.length > 0);
    for (const key of ["herald.key", "ops.key"]) {
      const [, inside = "?"] = textIn(bus.file(key)).split("\n");
      for (const text of seen) assert.equal(text.includes(inside.slice(-40)) || text.includes("PRIVATE"), false);
    }
  });

  test("read --wait waits, is woken by anyone, and prints nothing but its JSON", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const waiter = remoteTo(bus, server).start(["read", "c", "me", "--wait"]);
    await waits(server);
    await bus.run("send", "c", "you", "wake up");
    const { code, stdout, stderr } = await waiter.ended;
    assert.deepEqual([code, stderr], [0, ""]);
    assert.deepEqual(contentsOf(JSON.parse(stdout)), ["wake up"]);
    assert.deepEqual(await bus.answer("read", "c", "me"), []);
    const bounded = await remoteTo(bus, server).run("read", "c", "me", "--wait", "--timeout", "0.5");
    assert.deepEqual(bounded, { code: 0, stdout: "[]\n", stderr: "" });
  });

  test("read --wait survives a restart of its server", async () => {
    using bus = temporaryBus();
    await using first = await bus.serve();
    const waiter = remoteTo(bus, first).start(["read", "c", "me", "--wait"]);
    await waits(first);
    first.child.kill("SIGTERM");
    await first.ended;
    await sleep(300);
    await using second = await restarted(bus, first);
    await waits(second);
    await bus.run("send", "c", "you", "after the restart");
    const { code, stdout, stderr } = await waiter.ended;
    assert.deepEqual([code, stderr], [0, ""]);
    assert.deepEqual(contentsOf(JSON.parse(stdout)), ["after the restart"]);
  });

  test("read --wait survives a killed server", async () => {
    using bus = temporaryBus();
    await using first = await bus.serve();
    const waiter = remoteTo(bus, first).start(["read", "c", "me", "--wait"]);
    await waits(first);
    first.child.kill("SIGKILL");
    await first.ended;
    await using second = await restarted(bus, first);
    await bus.run("send", "c", "you", "after the kill");
    const { code, stdout, stderr } = await waiter.ended;
    assert.deepEqual([code, stderr], [0, ""]);
    assert.deepEqual(contentsOf(JSON.parse(stdout)), ["after the kill"]);
    assert.equal(second.child.exitCode, null);
  });

  test("follow survives a restart of its server, and prints each message once", async () => {
    using bus = temporaryBus();
    await using first = await bus.serve();
    const follower = remoteTo(bus, first).start(["follow", "c", "me"]);
    await bus.run("send", "c", "you", "1");
    await follower.untilPrinted('"1"');
    await waitUntil(async () => (await bus.run("read", "c", "me", "--peek")).stdout === "[]\n", "the first watermark");
    first.child.kill("SIGTERM");
    await first.ended;
    await bus.run("send", "c", "you", "2");
    await using second = await restarted(bus, first);
    await follower.untilPrinted('"2"');
    await bus.run("send", "c", "you", "3");
    const printed = await follower.untilPrinted('"3"');
    const contents = contentsOf(
      printed
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line)),
    );
    assert.deepEqual(contents, ["1", "2", "3"]);
    follower.child.kill("SIGTERM");
    assert.equal((await follower.ended).code, 143);
    await waitUntil(async () => (await bus.run("read", "c", "me", "--peek")).stdout === "[]\n", "the watermark");
    assert.equal(second.child.exitCode, null);
  });

  test("follow survives a server that is away just as it acknowledges", async () => {
    using bus = temporaryBus();
    let acknowledged = 0;
    using server = await startStandIn((request, response) => {
      if (request.url?.startsWith("/follow")) {
        response.writeHead(200, { "Content-Type": "text/event-stream" });
        response.write('id: 1\ndata: {"id":1,"sender":"a","content":"x","timestamp":1}\n\n');
      } else if (acknowledged++ === 0) response.destroy();
      else response.end('{"ok":true,"watermark":1}');
    });
    await using follower = remoteTo(bus, server).start(["follow", "c", "me"]);
    await follower.untilPrinted('"x"');
    await waitUntil(() => acknowledged > 0, "the first acknowledgement");
    await sleep(300);
    assert.equal(follower.child.exitCode, null);
    await waitUntil(() => acknowledged > 1, "the second acknowledgement");
  });

  test("Ctrl-C ends a remote waiter with 130 and nothing printed", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    for (const words of [
      ["read", "c", "me", "--wait"],
      ["follow", "c", "me"],
    ]) {
      const waiter = remoteTo(bus, server).start(words);
      await waits(server);
      waiter.child.kill("SIGINT");
      assert.deepEqual(await waiter.ended, { code: 130, stdout: "", stderr: "" });
    }
  });

  test("what couldn't be printed stays unread at the server", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    await bus.run("send", "c", "you", "x");
    const reader = remoteTo(bus, server).start(["read", "c", "me", "--wait"]);
    reader.child.stdout.destroy();
    assert.equal((await reader.ended).code, 141);
    assert.deepEqual(contentsOf(await bus.answer("read", "c", "me")), ["x"]);
  });

  test("an impossible, silent or foreign address is an error at once", async () => {
    using bus = temporaryBus();
    using page = await startStandIn((request, response) => {
      if (request.url?.startsWith("/gone/")) response.writeHead(404).end("<html>no such page</html>");
      else response.end("<html>hello</html>");
    });
    using silent = await startStandInSocket((socket) => socket.end("220 mail\r\n"));
    const cases: readonly [string, RegExp][] = [
      ["nonsense", /^Error: "nonsense" is not the address of a server: http:\/\/host:port or https:\/\/host\n$/],
      ["localhost:9876", /^Error: "localhost:9876" is not the address of a server/],
      ["ftp://localhost", /^Error: "ftp:\/\/localhost" is not the address of a server/],
      ["http://127.0.0.1:1", /^Error: No server answers at http:\/\/127\.0\.0\.1:1 \(.*ECONNREFUSED.*\)\n$/],
      ["http://no-such-host.invalid", /^Error: No server answers at http:\/\/no-such-host\.invalid \(.*\)\n$/],
      [page.url, /^Error: The server's answer is not JSON; is that an el-ipc server\?\n$/],
      [`${page.url}/gone`, /^Error: [^\n]*\n$/],
      [silent.url, /^Error: No server answers at .*\n$/],
      [
        page.url.replace("http:", "https:"),
        /^Error: The server at 127\.0\.0\.1:(\d+) doesn't speak https: use http:\/\/127\.0\.0\.1:\1\n$/,
      ],
    ];
    const waiting: Readonly<Record<string, string[][]>> = {
      "http://127.0.0.1:1": [
        ["read", "a", "b", "--wait"],
        ["follow", "a", "b"],
      ],
      [page.url]: [["read", "a", "b", "--wait"]],
      [silent.url]: [
        ["read", "a", "b", "--wait"],
        ["follow", "a", "b"],
      ],
    };
    for (const [url, sentence] of cases) {
      for (const words of [["send", "a", "b", "c"], ...(waiting[url] ?? [])]) {
        const { code, stdout, stderr } = await bus.run(...words, "--url", url);
        assert.match(stderr, sentence, words.join(" "));
        assert.deepEqual([code, stdout], [1, ""], `${words.join(" ")} at ${url}`);
      }
    }
  });

  test("follow reports an answer from another program", async () => {
    using bus = temporaryBus();
    using page = await startStandIn((_, response) => response.end("<html>hello</html>"));
    await using follower = bus.start(["follow", "a", "b", "--url", page.url]);
    const ended = await Promise.race([follower.ended, sleep(20_000)]);
    assert.match(ended?.stderr ?? "", /^Error: The server's answer is not /);
  });

  test("seed works on the database itself, and says so; keygen asks nobody", async () => {
    using bus = temporaryBus();
    const far = bus.with({ IPC_URL: "http://127.0.0.1:1" });
    assert.deepEqual(await far.run("seed", "ops"), {
      code: 1,
      stdout: "",
      stderr: "Error: seed works on the database itself: leave out --url and IPC_URL\n",
    });
    assert.match(
      (await bus.run("seed", "ops", "--url", "http://x")).stderr,
      /^Error: unknown option --url; see el-ipc seed/,
    );
    assert.equal((await far.run("keygen")).code, 0);
    assert.deepEqual(await bus.answer("agents", "--json"), []);
  });

  test("a server behind a path is reached under it", async () => {
    using bus = temporaryBus();
    const paths: string[] = [];
    using proxy = await startStandIn((request, response) => {
      paths.push(request.url ?? "");
      response.end("[]");
    });
    await bus.run("channels", "--url", `${proxy.url}/bus/`);
    assert.deepEqual(paths, ["/bus/channels"]);
  });
});
