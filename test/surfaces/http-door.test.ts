import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { secureBus, temporaryBus } from "../support/bus.ts";
import { ask, connectRaw, statusesIn } from "../support/http.ts";
import type { Server } from "../support/program.ts";

const message = { channel: "c", sender: "a", content: "x" };

async function statuses(server: Server, headers: Readonly<Record<string, string>>): Promise<Record<string, number>> {
  const asked = {
    send: ask(server.url, "POST /send", { headers, body: message }),
    messages: ask(server.url, "GET /messages?channel=c&agent=b&peek=true", { headers }),
    ack: ask(server.url, "POST /ack", { headers, body: { channel: "c", agent: "b", id: 0 } }),
    channels: ask(server.url, "GET /channels", { headers }),
    agents: ask(server.url, "GET /agents", { headers }),
    metrics: ask(server.url, "GET /metrics", { headers }),
    health: ask(server.url, "GET /health", { headers }),
    card: ask(server.url, "GET /.well-known/agent-card.json", { headers }),
  };
  const entries = Object.entries(asked).map(async ([name, answer]) => [name, (await answer).status] as const);
  return Object.fromEntries(await Promise.all(entries));
}

const all = (status: number) => ({
  send: status,
  messages: status,
  ack: status,
  channels: status,
  agents: status,
  metrics: status,
  health: status,
  card: status,
});

const BEYOND = { ...all(403), health: 200, card: 200 };

suite("who may ask over HTTP", { concurrency: 6 }, () => {
  test("from this machine everything is answered, by any of its names", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    for (const host of ["localhost", `localhost:${server.port}`, "127.0.0.1", "127.1.2.3:80", "[::1]", "LocalHost"]) {
      assert.deepEqual(await statuses(server, { Host: host }), all(200), host);
    }
  });

  test("a request names one host: of two Host headers, or of another in its address, neither is believed", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const here = `127.0.0.1:${server.port}`;
    for (const [head, status] of [
      [`GET /channels HTTP/1.1\r\nHost: ${here}\r\nHost: ${here}`, 400],
      [`GET /channels HTTP/1.1\r\nHost: ${here}\r\nhOST: evil.example`, 400],
      [`GET http://${here}/channels HTTP/1.1\r\nHost: ${here}`, 200],
      [`GET http://${here}/health?channel=c&agent=a HTTP/1.1\r\nHost: ${here}`, 200],
      [`GET http://${here} HTTP/1.1\r\nHost: ${here}`, 200],
      [`GET http://evil.example/channels HTTP/1.1\r\nHost: ${here}`, 400],
      [`GET http://${here}/channels HTTP/1.1\r\nHost: evil.example`, 400],
      [`GET http://evil.example/channels HTTP/1.1\r\nHost: evil.example`, 403],
    ] as const) {
      using said = await connectRaw(server.url, `${head}\r\nConnection: close\r\n\r\n`);
      assert.deepEqual(statusesIn(await said.all), [status], head);
    }
  });

  test("a request that names another host, or that somebody passed on, is from beyond this machine", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    for (const host of [
      "evil.example",
      "192.168.0.7:9876",
      "localhost.evil.example",
      "127.0.0.1.evil.example",
      "x@localhost",
    ]) {
      assert.deepEqual(await statuses(server, { Host: host }), BEYOND, host);
    }
    const passed = ["X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "x-forwarded-anything"];
    for (const name of passed) assert.deepEqual(await statuses(server, { [name]: "127.0.0.1" }), BEYOND, name);
  });

  test("a foreign web page is refused, whatever it asks for; the server's own is not", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve({}, "--insecure");
    const origins = ["null", "https://evil.example", "http://localhost:1", "file://", "http://127.0.0.1", ""];
    for (const origin of origins) assert.deepEqual(await statuses(server, { Origin: origin }), all(403), origin);
    const host = `127.0.0.1:${server.port}`;
    for (const origin of [`http://${host}`, `https://${host}`]) {
      assert.deepEqual(await statuses(server, { Host: host, Origin: origin }), all(200));
    }
    const { headers } = await ask(server.url, "GET /health");
    assert.equal(headers["access-control-allow-origin"], undefined);
  });

  test("a page whose name was rebound to this machine gets nothing", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const headers = { Host: "evil.example:9876", Origin: "http://evil.example:9876" };
    assert.deepEqual(await statuses(server, headers), BEYOND);
  });

  test("E42 with IPC_API_KEY every request needs the key, from this machine too, /health and the card too", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve({ IPC_API_KEY: "s3cret key" });
    const shown = (Authorization: string) => statuses(server, { Authorization });
    assert.deepEqual(await statuses(server, {}), all(401));
    for (const wrong of [
      "Bearer wrong",
      "Bearer s3cret",
      "Bearer S3CRET KEY",
      "Basic s3cret key",
      "s3cret key",
      "Bearer",
      "Bearer ",
    ]) {
      assert.deepEqual(await shown(wrong), all(401), wrong);
    }
    for (const right of ["Bearer s3cret key", "bearer s3cret key"]) assert.deepEqual(await shown(right), all(200));
    const { json, headers } = await ask(server.url, "GET /channels");
    assert.ok(typeof json === "object" && json !== null && "error" in json);
    assert.equal(json.error, "unauthorized");
    assert.equal(headers["www-authenticate"], "Bearer");
    assert.equal((await ask(server.url, "GET /nothing")).status, 401);
  });

  test("the key lets in requests from beyond this machine, but not a foreign page", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve({ IPC_API_KEY: "key" });
    const Authorization = "Bearer key";
    assert.deepEqual(
      await statuses(server, { Authorization, Host: "bus.example", "X-Forwarded-For": "1.2.3.4" }),
      all(200),
    );
    assert.deepEqual(await statuses(server, { Authorization, Origin: "https://evil.example" }), all(403));
  });

  test("E42 the key works beside signatures: in secure mode both are needed", async () => {
    using bus = await secureBus("herald");
    await using server = await bus.serve({ IPC_API_KEY: "key" });
    const remote = bus.with({ IPC_URL: server.url, IPC_API_KEY: "key" });
    const words = ["send", "c", "herald", "x"];
    assert.equal((await remote.run(...words, "--key", bus.file("herald.key"))).code, 0);
    assert.match((await remote.run(...words)).stderr, /signature required/);
    const keyless = await remote.with({ IPC_API_KEY: "" }).run(...words, "--key", bus.file("herald.key"));
    assert.match(keyless.stderr, /^Error: unauthorized: set IPC_API_KEY to the server's key/);
  });

  test("serve refuses to be reached from elsewhere in open mode, without a key", async () => {
    using bus = temporaryBus();
    for (const host of ["0.0.0.0", "::", "192.168.1.1", "example.com"]) {
      await using program = bus.start(["serve", "0", "--host", host]);
      await Promise.race([program.ended, program.untilLogged('"event":"listening"').catch(() => {})]);
      program.child.kill();
      const { code, stdout, stderr } = await program.ended;
      assert.match(stderr, /^Error: listening on \S+ would let anyone who reaches this machine read and write: /);
      assert.deepEqual([code, stdout], [1, ""]);
    }
  });

  test("serve listens elsewhere with a key, an operator or --insecure", async () => {
    using open = temporaryBus();
    using secure = await secureBus();
    await using keyed = await open.serve({ IPC_API_KEY: "key" }, "--host", "0.0.0.0");
    await using insecure = await open.serve({}, "--host", "0.0.0.0", "--insecure");
    await using signed = await secure.serve({}, "--host", "0.0.0.0");
    const at = ({ port }: Server) => `http://127.0.0.1:${port}`;
    assert.equal((await ask(at(keyed), "GET /channels", { headers: { Authorization: "Bearer key" } })).status, 200);
    const foreign = { headers: { Host: "bus.example" } };
    assert.equal((await ask(at(insecure), "GET /channels", foreign)).status, 200);
    assert.equal((await ask(at(signed), "GET /channels", foreign)).status, 401);
    assert.equal((await ask(at(signed), "GET /health", foreign)).status, 200);
  });
});
