import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { contentsOf, secureBus, temporaryBus, textIn } from "../support/bus.ts";
import { ask, bodyIn, connectRaw, openAnswer, startStandIn, startStandInSocket, statusesIn } from "../support/http.ts";
import { entry, environmentOf, type Server, waitUntil } from "../support/program.ts";

const message = { channel: "c", sender: "a", content: "x" };

async function openRequests({ url }: Server): Promise<number> {
  const { text } = await ask(url, "GET /metrics");
  return Number(/^el_ipc_http_open_requests (\d+)$/m.exec(text)?.[1]) - 1;
}

suite("the server", { concurrency: 6 }, () => {
  test("stops gracefully: long-polls answer [], streams end, what is on its way is answered, and it ends with 0", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const polls = Array.from({ length: 20 }, (_, index) =>
      ask(server.url, `GET /messages?channel=c&agent=${index}&wait=true`),
    );
    const stream = await openAnswer(server.url, "GET /follow?channel=c&agent=b");
    const streamed = Array.fromAsync(stream);
    const body = JSON.stringify({ ...message, content: "sent while it stopped" });
    using sending = await connectRaw(
      server.url,
      `POST /send HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${body.slice(0, 20)}`,
    );
    using idle = await connectRaw(server.url, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await waitUntil(async () => (await openRequests(server)) === 22, "22 open requests");
    server.child.kill("SIGTERM");
    for (const { status, text } of await Promise.all(polls)) assert.deepEqual([status, text], [200, "[]"]);
    await streamed;
    await idle.all;
    sending.socket.write(body.slice(20));
    const answer = await sending.all;
    assert.deepEqual([statusesIn(answer), bodyIn(answer)], [[200], { ok: true, id: 1 }]);
    const { code, stderr } = await server.ended;
    assert.equal(code, 0);
    assert.doesNotMatch(stderr, /"level":"error"/);
    assert.deepEqual(contentsOf(await bus.answer("read", "c", "b")), ["sent while it stopped"]);
  });

  test("loses no send that it answered, however it is stopped under load", async () => {
    using bus = temporaryBus();
    for (const signal of ["SIGINT", "SIGKILL"] as const) {
      await using server = await bus.serve();
      const answered: number[] = [];
      const sending = Array.from({ length: 8 }, async () => {
        for (;;) {
          const answer = await ask(server.url, "POST /send", { body: message }).catch(() => undefined);
          const { json } = answer ?? {};
          if (typeof json !== "object" || json === null || !("id" in json)) return;
          answered.push(Number(json.id));
        }
      });
      await waitUntil(() => answered.length > 100, "100 sends");
      server.child.kill(signal);
      await Promise.all(sending);
      await server.ended;
      assert.equal(new Set(answered).size, answered.length);
      const listed = await bus.answer("channels");
      assert.ok(Array.isArray(listed) && listed[0].count >= answered.length);
    }
    const { stdout } = await bus.run("health", "c", "b");
    assert.match(stdout, /"status":"ok"/);
  });

  test("ends with Ctrl-C in the middle of its start, too", async () => {
    using bus = temporaryBus();
    for (const wait of [0, 20, 40, 60]) {
      await using program = bus.start(["serve", "0"]);
      await sleep(wait);
      program.child.kill("SIGINT");
      const { code, stdout, stderr } = await program.ended;
      assert.ok(code === 0 || code === 130 || code === null, `${code}`);
      assert.equal(stdout, "");
      assert.doesNotMatch(stderr, /\n {4}at /);
    }
  });

  test("outlives the shell that started it in the background", async () => {
    using bus = temporaryBus();
    const line = '"$@" serve 0 2> log & echo $! ; sleep 0.5';
    const shell = spawn("sh", ["-c", line, "sh", process.execPath, entry], {
      env: environmentOf(bus.environment),
      cwd: bus.file("."),
    });
    const [said] = await once(shell.stdout, "data");
    const pid = Number(String(said));
    try {
      await once(shell, "exit");
      await waitUntil(() => textIn(bus.file("log")).includes("listening"), "the server");
      const url = /"url":"([^"]+)"/.exec(textIn(bus.file("log")))?.[1] ?? "";
      await sleep(1_200);
      assert.equal((await ask(url, "GET /health")).status, 200);
      process.kill(pid, "SIGHUP");
      await sleep(200);
      assert.equal((await ask(url, "GET /health")).status, 200);
    } finally {
      process.kill(pid, "SIGTERM");
    }
    await waitUntil(() => textIn(bus.file("log")).includes("stopping"), "the end");
  });

  test("goes on when nobody reads its log any more", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve({}, "--verbose");
    server.child.stderr.destroy();
    for (let count = 0; count < 5; count++) {
      assert.equal((await ask(server.url, "POST /send", { body: message })).status, 200);
      assert.equal((await ask(server.url, "GET /channels", { headers: { Host: "evil.example" } })).status, 403);
    }
    assert.equal(server.child.exitCode, null);
  });

  test("logs one line of JSON per event, with no secret in it", async () => {
    using bus = await secureBus("herald");
    await using server = await bus.serve({ IPC_API_KEY: "s3cret-api-key" }, "--verbose");
    const headers = { Authorization: "Bearer s3cret-api-key" };
    const operator_key = textIn(bus.file("ops.key"));
    const public_key = textIn(bus.file("herald.pub"));
    await ask(server.url, "POST /send", {
      headers,
      body: { ...message, content: "s3cret content", signature: "s3cret" },
    });
    await ask(server.url, "POST /register", {
      headers,
      body: { name: "x", public_key, operator: "ops", operator_key },
    });
    await ask(server.url, "POST /register", {
      headers,
      body: { name: "ops", public_key, operator: "ops", operator_key },
    });
    await ask(server.url, "GET /messages?channel=s3cret-query&agent=b", { headers });
    await ask(server.url, "GET /health", { headers: { Authorization: "Bearer s3cret-guess" } });
    await ask(server.url, "GET /nothing%0Ahere?s3cret", { headers });
    await ask(server.url, "POST /send", { headers, body: "{s3cret" });
    server.child.kill();
    const { stderr } = await server.ended;
    const lines = stderr
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    for (const { time, level, event } of lines) {
      assert.match(time, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
      assert.match(level, /^(debug|info|warn|error)$/);
      assert.match(event, /^[a-z]+$/);
    }
    assert.deepEqual([lines[0].event, lines.at(-1).event], ["listening", "stopping"]);
    assert.ok(lines.filter(({ event }) => event === "request").length >= 7);
    assert.ok(lines.some(({ event }) => event === "refused"));
    assert.doesNotMatch(stderr, /s3cret|PRIVATE/);
  });

  test("is quiet about requests unless --verbose asks for them", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    await ask(server.url, "POST /send", { body: message });
    await ask(server.url, "GET /nothing");
    server.child.kill();
    const { stderr } = await server.ended;
    assert.deepEqual(
      stderr
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line).event),
      ["listening", "stopping"],
    );
  });

  test("a command whose result nobody has asked for yet keeps nothing else on its connection waiting", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const asking = (what: string, body: object, connection = "keep-alive"): string => {
      const text = JSON.stringify(body);
      return `${what} HTTP/1.1\r\nHost: ${new URL(server.url).host}\r\nConnection: ${connection}\r\nContent-Length: ${text.length}\r\n\r\n${text}`;
    };
    await ask(server.url, "POST /peers/connect", { body: { role: "worker" } });
    const started = performance.now();
    const both = asking("POST /commands/ask", { target: "worker", action: "x" }) + asking("GET /health", {}, "close");
    using said = await connectRaw(server.url, both);
    assert.equal((await said.all).match(/HTTP\/1\.1 200 OK/g)?.length, 2);
    assert.ok(performance.now() - started < 10_000);
  });

  test("GET / says what can be asked; anything else of what is no operation is refused by its method", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const { status, json } = await ask(server.url, "GET /");
    const { ok, server: product, endpoints } = Object(json);
    assert.deepEqual([status, ok], [200, true]);
    assert.match(product, /^el-ipc\//);
    const send = endpoints.find(({ endpoint }: { endpoint: string }) => endpoint === "POST /send");
    assert.equal(send.summary, "Send a message to a channel");
    for (const what of ["POST /", "POST /metrics", "DELETE /metrics"]) {
      const refused = await ask(server.url, what);
      assert.deepEqual([refused.status, refused.headers.allow], [405, "GET"], what);
    }
  });

  test("GET /metrics counts requests by route, method and status, for Prometheus", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    for (let count = 0; count < 3; count++) await ask(server.url, "POST /send", { body: message });
    await ask(server.url, "POST /send", { body: {} });
    await ask(server.url, "GET /made-up-by-a-caller");
    const { status, headers, text } = await ask(server.url, "GET /metrics");
    assert.equal(status, 200);
    assert.match(headers["content-type"] ?? "", /^text\/plain; version=0\.0\.4/);
    assert.match(text, /^el_ipc_http_requests_total\{method="POST",route="\/send",status="200"\} 3$/m);
    assert.match(text, /^el_ipc_http_requests_total\{method="POST",route="\/send",status="400"\} 1$/m);
    assert.match(text, /^el_ipc_http_request_seconds_count\{method="POST",route="\/send"\} 4$/m);
    assert.match(text, /^process_resident_memory_bytes \d/m);
    assert.doesNotMatch(text, /made-up/);
    for (const line of text.trimEnd().split("\n"))
      assert.match(line, /^$|^# (HELP|TYPE) \w+ |^\w+(\{.*\})? (NaN|[-+.\de]+)$/);
  });

  test("names itself, and forbids caching", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const { headers } = await ask(server.url, "GET /channels");
    assert.match(String(headers.server), /^el-ipc\/\d/);
    assert.equal(headers["cache-control"], "no-store");
    assert.equal(headers["x-content-type-options"], "nosniff");
  });

  test("a port already served by el-ipc is pointed to", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const second = await bus.run("serve", String(server.port));
    assert.deepEqual([second.code, second.stdout], [1, ""]);
    assert.match(
      second.stderr,
      new RegExp(
        `^Error: el-ipc/\\S+ serves on port ${server.port} already: use http://localhost:${server.port}, or choose`,
      ),
    );
    using keyed = temporaryBus();
    await using locked = await keyed.serve({ IPC_API_KEY: "key" });
    assert.match(
      (await keyed.run("serve", String(locked.port))).stderr,
      /^Error: el-ipc\/\S+ serves on port \d+ already/,
    );
  });

  test("a busy port of another program is a clear error, also when that says nothing", async () => {
    using bus = temporaryBus();
    using http = await startStandIn((_, response) => response.end("hello"));
    using silent = await startStandInSocket(() => {});
    using rude = await startStandInSocket((socket) => socket.end("220 not HTTP\r\n"));
    const ports = [http.port, silent.port, rude.port];
    const results = await Promise.all(ports.map((port) => bus.run("serve", String(port))));
    for (const [index, { code, stdout, stderr }] of results.entries()) {
      const port = ports[index] ?? 0;
      assert.equal(
        stderr,
        `Error: Port ${port} is taken by another program; choose another: el-ipc serve ${port + 1}\n`,
      );
      assert.deepEqual([code, stdout], [1, ""]);
    }
  });

  test("an address that isn't this machine's is a clear error", async () => {
    using bus = temporaryBus();
    for (const host of ["203.0.113.1", "no-such-host.invalid"]) {
      const { code, stderr } = await bus.run("serve", "0", "--insecure", "--host", host);
      assert.deepEqual([code, stderr], [1, `Error: ${host} is not an address of this machine\n`]);
    }
  });
});
