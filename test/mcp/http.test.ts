import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { type TemporaryBus, temporaryBus } from "../support/bus.ts";
import { ask, openAnswer } from "../support/http.ts";
import { NEWEST, OLDER, type Place, sse, streamable } from "../support/mcp.ts";
import { type Server, waitUntil } from "../support/program.ts";

const HEADERS = { "Content-Type": "application/json", Accept: "application/json, text/event-stream" };

const initialize = {
  jsonrpc: "2.0",
  id: 1,
  method: "initialize",
  params: { protocolVersion: OLDER, capabilities: {}, clientInfo: { name: "test", version: "1" } },
};

suite("MCP over HTTP", () => {
  const stack = new AsyncDisposableStack();
  let stage: Place & { readonly bus: TemporaryBus; readonly server: Server };
  const post = (body: unknown, headers: Readonly<Record<string, string>> = {}, path = "/mcp") =>
    ask(stage.server.url, `POST ${path}`, { headers: { ...HEADERS, ...headers }, body });

  before(async () => {
    const bus = stack.use(temporaryBus());
    stage = { bus, environment: bus.environment, server: stack.use(await bus.serve()) };
  });
  after(() => stack.disposeAsync());

  for (const revision of [NEWEST, OLDER, "2025-06-18", "2025-03-26", "2024-11-05"]) {
    test(`/mcp speaks revision ${revision}`, async () => {
      await using model = await streamable(revision).connect(stage);
      assert.equal(model.client.getNegotiatedProtocolVersion(), revision);
      await model.join("speaker");
      assert.match(await model.call("my_info"), /speaker/);
    });
  }

  test("B11 /mcp/sse speaks the broker's revision", async () => {
    await using model = await sse().connect(stage);
    assert.equal(model.client.getNegotiatedProtocolVersion(), "2024-11-05");
  });

  test("a client that looks for OAuth finds JSON that says there is none", async () => {
    for (const path of [
      "/.well-known/oauth-protected-resource",
      "/.well-known/oauth-protected-resource/mcp",
      "/.well-known/oauth-protected-resource/mcp/sse",
      "/.well-known/oauth-authorization-server",
      "/.well-known/oauth-authorization-server/mcp",
      "/.well-known/openid-configuration",
      "/mcp/.well-known/openid-configuration",
      "/mcp/.well-known/oauth-protected-resource",
    ]) {
      const { status, headers, json } = await ask(stage.server.url, `GET ${path}`);
      assert.deepEqual([status, headers["content-type"]], [404, "application/json"], path);
      assert.partialDeepStrictEqual(json, { ok: false, code: "not_found" });
    }
  });

  test("OAuth discovery needs no API key, and everything else does", async () => {
    await using server = await stage.bus.serve({ IPC_API_KEY: "secret" });
    assert.equal((await ask(server.url, "GET /.well-known/oauth-authorization-server")).status, 404);
    const refused = await ask(server.url, "POST /mcp", { headers: HEADERS, body: initialize });
    assert.equal(refused.status, 401);
    const headers = { Authorization: "Bearer secret" };
    await using model = await streamable(NEWEST).connect({ ...stage, server }, { headers });
    await model.join("keyed");
  });

  test("foreign pages and names rebound to this machine are refused", async () => {
    const { port } = stage.server;
    for (const headers of [
      { Origin: "https://evil.example" },
      { Origin: "null" },
      { Host: `evil.example:${port}` },
      { Host: `evil.example:${port}`, Origin: `http://evil.example:${port}` },
    ]) {
      assert.equal((await post(initialize, headers)).status, 403, JSON.stringify(headers));
      for (const path of ["/mcp", "/mcp/sse"]) {
        const { status } = await ask(stage.server.url, `GET ${path}`, { headers: { ...headers } });
        assert.equal(status, 403, path);
      }
      assert.equal((await post(initialize, headers, "/mcp/messages?sessionId=x")).status, 403);
    }
    assert.equal((await post(initialize, { Origin: `http://127.0.0.1:${port}` })).status, 200);
  });

  test("a body is bounded as everywhere over HTTP", async () => {
    const large = JSON.stringify({ ...initialize, more: "x".repeat(7 * 1024 * 1024) });
    const { status, json } = await post(large).catch(() => ({ status: 413, json: { code: "invalid" } }));
    assert.equal(status, 413);
    assert.partialDeepStrictEqual(json, { code: "invalid" });
  });

  test("bad JSON, bad messages and unknown sessions are answered as the protocol says", async () => {
    assert.equal((await post("{")).status, 400);
    assert.equal((await post('"text"')).status, 400);
    assert.equal((await post({ jsonrpc: "2.0", id: 1, method: "tools/list" })).status, 400);
    assert.equal((await post(initialize, { "Mcp-Session-Id": "unknown" })).status, 404);
    assert.equal((await post(initialize, { Accept: "application/json" })).status, 406);
    assert.equal((await post(initialize, { "Content-Type": "text/plain" })).status, 415);
    assert.equal((await post(initialize, {}, "/mcp/messages?sessionId=unknown")).status, 404);
    assert.equal((await post(initialize, {}, "/mcp/elsewhere")).status, 404);
    for (const [what, allow] of [
      ["GET /mcp", "POST"],
      ["DELETE /mcp", "POST"],
      ["PUT /mcp", "POST"],
      ["POST /mcp/sse", "GET"],
      ["GET /mcp/messages", "POST"],
    ] as const) {
      const { status, headers } = await ask(stage.server.url, what, { headers: HEADERS });
      assert.deepEqual([status, headers.allow], [405, allow], what);
    }
  });

  test("a session that its client ended is gone", async () => {
    const begun = await post(initialize);
    const session = { "Mcp-Session-Id": String(begun.headers["mcp-session-id"]) };
    assert.equal((await post({ jsonrpc: "2.0", id: 2, method: "ping" }, session)).status, 200);
    const ended = await ask(stage.server.url, "DELETE /mcp", { headers: { ...HEADERS, ...session } });
    assert.equal(ended.status, 200);
    assert.equal((await post({ jsonrpc: "2.0", id: 3, method: "ping" }, session)).status, 404);
  });

  test("an SSE client posts to where its stream says, and nobody posts when it is closed", async () => {
    const stream = await openAnswer(stage.server.url, "GET /mcp/sse");
    let text = "";
    stream.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
    });
    stream.on("error", () => {});
    await waitUntil(() => text.includes("\n\n"), "it says where");
    const [, path = ""] = /^event: endpoint\ndata: (\/mcp\/messages\?sessionId=[\w-]+)\n\n/.exec(text) ?? [];
    assert.equal((await post(initialize, {}, path)).status, 202);
    await waitUntil(() => text.includes('"serverInfo"'), "it answers");
    assert.equal((await post("{", {}, path)).status, 400);
    assert.equal((await post([initialize], {}, path)).status, 400);
    stream.destroy();
    await waitUntil(async () => (await post(initialize, {}, path)).status === 404, "it is gone");
  });

  test("sessions are limited, and a refused client is told when to try again", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    const statuses = new Map<number, number>();
    for (let round = 0; round < 21; round++) {
      const begun = await Promise.all(
        Array.from({ length: 50 }, () => ask(server.url, "POST /mcp", { headers: HEADERS, body: initialize })),
      );
      for (const { status } of begun) statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
    assert.deepEqual([...statuses].sort(), [
      [200, 1_000],
      [503, 50],
    ]);
  });

  test("a server that stops lets its clients go", async () => {
    using bus = temporaryBus();
    const server = await bus.serve();
    const place = { environment: bus.environment, server };
    const models = await Promise.all([streamable(NEWEST), streamable(OLDER), sse()].map((way) => way.connect(place)));
    const waits = models.map((model) =>
      model.call("wait_for_signal", { name: "never", timeout: 100 }).catch(() => "ended"),
    );
    await waitUntil(async () => {
      const { text } = await ask(server.url, "GET /metrics");
      return Number(/el_ipc_http_open_requests (\d+)/.exec(text)?.[1]) >= 4;
    }, "they wait");
    server.child.kill("SIGTERM");
    assert.equal((await server.ended).code, 0);
    await Promise.all(models.map((model) => model.client.close()));
    await Promise.all(waits);
  });

  test("two servers on one database, and a client at each by another way, work together", async () => {
    await using second = await stage.bus.serve();
    await using orchestrator = await sse().connect({ ...stage, server: second });
    await using worker = await streamable(NEWEST).connect(stage);
    await orchestrator.join("conductor");
    await worker.join("violin");
    const playing = worker.call("wait_for_command", { timeout: 30 });
    await orchestrator.call("send_command", { target: "violin", action: "play" });
    const [id = ""] = /cmd-\w+/.exec(await playing) ?? [];
    const hearing = orchestrator.call("wait_for_command", { timeout: 30 });
    await worker.call("ack_command", { id, result: { sound: "a" } });
    assert.match(await hearing, /"sound":"a"/);
  });
});
