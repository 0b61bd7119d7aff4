import assert from "node:assert/strict";
import { chmodSync, mkdirSync, statSync, symlinkSync } from "node:fs";
import { suite, test } from "node:test";
import { readEnvironment } from "../../src/environment.ts";
import { aboutTheFile, contentsOf, secureBus, temporaryBus } from "../support/bus.ts";
import { ask } from "../support/http.ts";
import { run, untilListening } from "../support/program.ts";
import { freePort } from "../support/sockets.ts";

suite("the environment", { concurrency: 6 }, () => {
  test("E40 IPC_DB_PATH says where the database is, /tmp/el-ipc.db where it doesn't", aboutTheFile, async () => {
    assert.equal(readEnvironment({}).databasePath, "/tmp/el-ipc.db");
    assert.equal(readEnvironment({ IPC_DB_PATH: "" }).databasePath, "/tmp/el-ipc.db");
    assert.match((await run(["help"], {})).stdout, /IPC_DB_PATH +The database \(\/tmp\/el-ipc\.db\)/);
    using bus = temporaryBus();
    const other = bus.with({ IPC_DB_PATH: bus.file("other bus ü.db") });
    await other.run("send", "room", "a", "elsewhere");
    assert.deepEqual(await bus.answer("channels"), []);
    assert.deepEqual(contentsOf(await other.answer("read", "room", "b")), ["elsewhere"]);
    assert.equal(statSync(bus.file("other bus ü.db")).mode & 0o777, 0o600);
  });

  test("IPC_DB_PATH may be relative to where one is", async () => {
    using bus = temporaryBus();
    mkdirSync(bus.file("folder"));
    const here = bus.with({ IPC_DB_PATH: "folder/here.db" });
    const sent = await here.start(["send", "room", "a", "x"], { cwd: bus.file(".") }).ended;
    assert.equal(sent.code, 0);
    const read = await here.with({ IPC_DB_PATH: bus.file("folder/here.db") }).answer("read", "room", "b");
    assert.deepEqual(contentsOf(read), ["x"]);
  });

  test("an impossible database path is refused in a sentence", aboutTheFile, async () => {
    using bus = temporaryBus();
    bus.place("text.db", "this is no database, but it is long enough to look at".repeat(100));
    symlinkSync(bus.file("bus.db"), bus.file("linked.db"));
    mkdirSync(bus.file("shared"));
    chmodSync(bus.file("shared"), 0o777);
    symlinkSync(bus.file("bus.db"), bus.file("shared/linked.db"));
    const refused: Readonly<Record<string, RegExp>> = {
      "/nonexistent/bus.db": /can't be opened: \/nonexistent doesn't exist/,
      [bus.file("text.db")]: /is not an SQLite database/,
      [bus.file("shared")]: /./,
      [bus.file("shared/linked.db")]: /is refused: it is a symbolic link/,
    };
    for (const [path, sentence] of Object.entries(refused)) {
      const { code, stdout, stderr } = await bus.with({ IPC_DB_PATH: path }).run("send", "a", "b", "c");
      assert.match(stderr, /^Error: The database [^\n]+\n$/);
      assert.match(stderr, sentence);
      assert.deepEqual([code, stdout], [1, ""]);
    }
    assert.equal((await bus.with({ IPC_DB_PATH: bus.file("linked.db") }).run("channels")).code, 0);
  });

  test("E41 IPC_PORT says on which port the server listens, 9876 where it doesn't", async () => {
    assert.equal(readEnvironment({}).port, 9876);
    using bus = temporaryBus();
    const port = await freePort();
    await using server = await untilListening(bus.with({ IPC_PORT: String(port) }).start(["serve"]));
    assert.equal(server.url, `http://127.0.0.1:${port}`);
    assert.equal((await ask(server.url, "GET /health")).status, 200);
  });

  test("E46 serve's own port goes before IPC_PORT, as a word or an option", async () => {
    using bus = temporaryBus();
    const [one, two] = [await freePort(), await freePort()];
    const other = bus.with({ IPC_PORT: "1" });
    await using first = await untilListening(other.start(["serve", String(one)]));
    await using second = await untilListening(other.start(["serve", "--port", String(two)]));
    assert.deepEqual([first.port, second.port], [one, two]);
    assert.equal((await ask(first.url, "GET /health")).status, 200);
  });

  const card = {
    name: "el-ipc agent",
    description: "An el-ipc agent with Ed25519 identity",
    url: "http://localhost:9876",
    version: "1.0.0",
    capabilities: { streaming: false, pushNotifications: false },
    authentication: { schemes: ["Ed25519Signature"] },
    defaultInputModes: ["text/plain"],
    defaultOutputModes: ["text/plain"],
    skills: [
      {
        id: "ipc",
        name: "Inter-Agent Messaging",
        description: "Send and receive signed messages via el-ipc",
        tags: ["ipc", "messaging", "ed25519"],
      },
    ],
  };

  test("E37 E54 E43 E44 agent-card prints the card, with a name and a description of its own", async () => {
    using bus = temporaryBus();
    const { code, stdout, stderr } = await bus.run("agent-card");
    assert.deepEqual([code, stderr], [0, ""]);
    assert.equal(stdout, `${JSON.stringify(card, null, 2)}\n`);
  });

  test("E39 IPC_AGENT_NAME, IPC_AGENT_DESC and IPC_AGENT_URL say what is on the card", async () => {
    using bus = temporaryBus();
    const settings = { IPC_AGENT_NAME: "Herald", IPC_AGENT_DESC: "Tells", IPC_AGENT_URL: "https://herald.example" };
    const expected = { ...card, name: "Herald", description: "Tells", url: "https://herald.example" };
    assert.deepEqual(await bus.with(settings).answer("agent-card"), expected);
    await using server = await bus.serve(settings);
    assert.deepEqual((await ask(server.url, "GET /.well-known/agent-card.json")).json, expected);
  });

  test("E45 the card's address is http://localhost with the server's port, unless IPC_AGENT_URL says another", async () => {
    using bus = temporaryBus();
    assert.deepEqual(await bus.with({ IPC_PORT: "1234" }).answer("agent-card"), {
      ...card,
      url: "http://localhost:1234",
    });
    const port = await freePort();
    await using server = await untilListening(bus.start(["serve", String(port)]));
    await using anywhere = await bus.serve();
    for (const { url, port } of [server, anywhere]) {
      const { json } = await ask(url, "GET /.well-known/agent-card.json");
      assert.deepEqual(json, { ...card, url: `http://localhost:${port}` });
    }
  });

  test("E38 the card has the first operator's key as a DID once there is one", async () => {
    using bus = await secureBus();
    const shown = await bus.answer("agent-card");
    assert.ok(typeof shown === "object" && shown !== null && "did" in shown);
    assert.match(String(shown.did), /^did:key:z6Mk[1-9A-HJ-NP-Za-km-z]{44}$/);
    await bus.run("seed", "second");
    assert.deepEqual(await bus.answer("agent-card"), shown);
  });
});
