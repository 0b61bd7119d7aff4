import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type * as library from "../src/library.ts";
import { operations } from "../src/operations/index.ts";
import { methodName } from "../src/operations/operation.ts";
import { jsonOf, repository } from "./plugin/support.ts";
import { contentsOf, secureBus, tcpPortOf, temporaryBus } from "./support/bus.ts";
import { blocksOf, section } from "./support/markdown.ts";
import { start, temporaryFolder, temporaryHome, waitUntil } from "./support/program.ts";

const { connect, isIpcError }: typeof library = createRequire(import.meta.url)("../sources.d/ipc-library.js");

// This process keeps its user state in a home of its own, as the programs that tests start do.
process.env.HOME = temporaryHome();

/** A bus near, and the same behind a server: what is true of one is true of the other. */
function nearAndFar(
  title: string,
  check: (target: string, bus: ReturnType<typeof temporaryBus>) => Promise<void>,
): void {
  test(`${title}, on the database`, async () => {
    using bus = temporaryBus();
    await check(bus.environment.IPC_STORE ?? bus.file("bus.db"), bus);
  });
  test(`${title}, behind a server`, async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    await check(server.url, bus);
  });
}

suite("the library", { concurrency: 4 }, () => {
  test("has each verb as a method, and none that stands in another's way", async () => {
    using bus = temporaryBus();
    await using connected = await connect(bus.file("bus.db"));
    const names = operations.map(({ name }) => methodName(name));
    assert.deepEqual(new Set(Object.keys(connected)), new Set([...names, "mail", "close"]));
    assert.equal(new Set([...names, "mail", "close"]).size, names.length + 2);
    for (const name of ["send", "channelSend", "agentCard", "commandWait", "mailboxSettle"]) {
      assert.ok(names.includes(name as (typeof names)[number]), name);
    }
  });

  nearAndFar("sends and reads, each message once", async (target, bus) => {
    await using connected = await connect(target, { agent: "me" });
    assert.deepEqual(await connected.send({ channel: "c", content: "one" }), { ok: true, id: 1 });
    await bus.run("send", "c", "you", "two");
    assert.deepEqual(contentsOf(await connected.read({ channel: "c" })), ["one", "two"]);
    assert.deepEqual(await connected.read({ channel: "c" }), []);
    assert.deepEqual(contentsOf(await connected.read({ channel: "c", agent: "you", ack: "manual" })), ["one", "two"]);
    assert.deepEqual(contentsOf(await connected.read({ channel: "c", agent: "you" })), ["one", "two"]);
    assert.deepEqual(
      (await connected.channels()).map(({ channel, count }) => [channel, count]),
      [["c", 2]],
    );
  });

  nearAndFar("waits until there is something", async (target, bus) => {
    await using connected = await connect(target, { agent: "me" });
    const waiting = connected.read({ channel: "c", wait: true });
    await sleep(100);
    await bus.run("send", "c", "you", "wake up");
    assert.deepEqual(contentsOf(await waiting), ["wake up"]);
    assert.equal(await connected.wait({ timeout: 0.05 }), null);
    const signal = connected.signalWait({ name: "ready" });
    await connected.signalSet({ name: "ready", data: { port: 1 } });
    assert.deepEqual((await signal)?.signal.data, { port: 1 });
  });

  nearAndFar("follows a channel; the message in hand when the loop is left comes again", async (target, bus) => {
    await using connected = await connect(target, { agent: "me" });
    for (const text of ["one", "two", "three"]) await bus.run("send", "c", "you", text);
    const seen: string[] = [];
    for await (const { content } of connected.follow({ channel: "c" })) if (seen.push(content) === 2) break;
    assert.deepEqual(seen, ["one", "two"]);
    assert.deepEqual(contentsOf(await connected.read({ channel: "c", peek: true })), ["two", "three"]);
    const rest = connected.follow({ channel: "c" });
    assert.equal((await rest.next()).value?.content, "two");
    assert.equal((await rest.next()).value?.content, "three");
    const next = rest.next();
    await bus.run("send", "c", "you", "four");
    assert.equal((await next).value?.content, "four");
    await rest.return();
    assert.deepEqual(contentsOf(await connected.read({ channel: "c" })), ["four"]);
  });

  nearAndFar("empties a mailbox; what wasn't consumed is offered again", async (target, bus) => {
    await using connected = await connect(target, { agent: "me" });
    for (const text of ["one", "two"]) await connected.post({ to: "me", message: text, from: "you" });
    for await (const { content } of connected.mail()) {
      assert.equal(content, "one");
      break;
    }
    assert.equal((await connected.inbox()).unread, 2);
    const seen: string[] = [];
    for await (const { content } of connected.mail("me", { signal: AbortSignal.timeout(25_000) })) {
      if (seen.push(content) === 2) break;
    }
    assert.deepEqual(seen.toSorted(), ["one", "two"]);
    assert.equal((await connected.inbox()).unread, 1, "the first was consumed when the second was asked for");
    void bus;
  });

  nearAndFar("gives orders and takes them; ask answers with how it ended", async (target) => {
    await using connected = await connect(target);
    const { id } = await connected.connect({ role: "backend" });
    const works = (async () => {
      const taken = await connected.commandWait({ peer: id });
      await connected.commandAck({ id: taken?.command.id ?? "", result: { pid: 4711 } });
    })();
    const { command } = await connected.ask({ target: "backend", action: "start", timeout: 30 });
    await works;
    assert.deepEqual([command.status, command.result], ["acked", { pid: 4711 }]);
  });

  nearAndFar("a signal ends any call: promises are rejected with its reason, streams end", async (target, bus) => {
    await using connected = await connect(target, { agent: "me" });
    const stop = new AbortController();
    const { signal } = stop;
    const calls = [
      connected.read({ channel: "c", wait: true }, { signal }),
      connected.wait({}, { signal }),
      connected.signalWait({ name: "s" }, { signal }),
    ];
    const streams = [connected.follow({ channel: "c" }, { signal }).next(), connected.mail("me", { signal }).next()];
    // Each is heard from now on: one may be rejected while another still waits for an answer.
    const rejected = calls.map((call) => assert.rejects(call, /^Error: enough$/));
    await sleep(200);
    stop.abort(new Error("enough"));
    await Promise.all(rejected);
    for (const stream of streams) assert.deepEqual(await stream, { value: undefined, done: true });
    await assert.rejects(connected.health({}, { signal }), /enough/);
    void bus;
  });

  nearAndFar("close ends what waits, and nothing more can be asked", async (target) => {
    const connected = await connect(target);
    const waiting = connected.read({ channel: "c", agent: "a", wait: true });
    const refused = assert.rejects(waiting, /this connection to the bus is closed/);
    await sleep(50);
    await connected.close();
    await refused;
    await assert.rejects(connected.health(), /this connection to the bus is closed/);
    await connected.close();
  });

  nearAndFar("an expected failure is an IpcError with its code", async (target) => {
    await using connected = await connect(target);
    const failure = await connected.whoami({ id: "nobody" }).catch((error: unknown) => error);
    assert.ok(isIpcError(failure));
    assert.deepEqual([failure.code, failure.message], ["not_found", "There is no session nobody: connect first"]);
    // As somebody without types would.
    const loose: { send(input: object): Promise<unknown> } = Object(connected);
    await assert.rejects(loose.send({ channel: "c" }), /channel, sender, and content required/);
    await assert.rejects(
      loose.send({ channel: "c\n", sender: "a", content: "x" }),
      /must not contain control characters/,
    );
  });

  test("signs with a key given as a path, as PEM or as bytes, near and far, and goes on when the bus gets an operator", async () => {
    using open = temporaryBus();
    const { privateKey } = (await import("../src/core/keys.ts")).createKeyPair();
    await using early = await connect(open.file("bus.db"), { agent: "a", key: privateKey });
    await early.send({ channel: "c", content: "in open mode" });
    const { private_key: ops } = await early.seed({ name: "ops" });
    const keys = await early.keygen();
    await using operator = await connect(open.file("bus.db"), { key: ops });
    await operator.register({ name: "b", public_key: keys.public_key, operator: "ops" });
    await using later = await connect(open.file("bus.db"), { agent: "b", key: Buffer.from(keys.private_key) });
    assert.equal((await later.send({ channel: "c", content: "signed" })).ok, true);
    await assert.rejects(early.send({ channel: "c", content: "as nobody" }), /unknown sender: a/);

    using secure = await secureBus("herald");
    await using server = await secure.serve({ IPC_READ_AUTH: "required" });
    const key = secure.file("herald.key");
    await using herald = await connect(server.url, { agent: "herald", key });
    await herald.send({ channel: "c", content: "from afar" });
    const [message] = await herald.read({ channel: "c" });
    assert.deepEqual([message?.content, message?.signed], ["from afar", true]);
    assert.match((await herald.token()).token, /^[\w-]+\.[\w-]+\.[\w-]+$/);
    await using stranger = await connect(server.url, { agent: "herald" });
    await assert.rejects(stranger.read({ channel: "c" }), /this needs a token/);
    await assert.rejects(stranger.token(), /token is signed: give key/);
    await assert.rejects(connect(secure.file("bus.db"), { key: "/nowhere.key" }), /can't be read/);
  });

  test("over lines of JSON on TCP, too", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve({}, "--tcp", "0");
    const port = await tcpPortOf(server);
    await using connected = await connect(`tcp://127.0.0.1:${port}`, { agent: "me" });
    await connected.send({ channel: "c", content: "one" });
    assert.deepEqual(contentsOf(await connected.read({ channel: "c" })), ["one"]);
  });

  test("a program that has done its work ends, whether or not it has closed the bus", async () => {
    using folder = temporaryFolder();
    writeFileSync(
      folder.file("x.cjs"),
      `require(${JSON.stringify(join(repository, "sources.d/ipc-library.js"))}).connect(${JSON.stringify(folder.file("bus.db"))})
        .then((bus) => bus.send({ channel: "c", sender: "a", content: "x" })).then(({ id }) => console.log(id));`,
    );
    const { code, stdout, stderr } = await start([], {}, { entry: folder.file("x.cjs") }).ended;
    assert.deepEqual([code, stdout, stderr], [0, "1\n", ""]);
  });
});

suite("AgentMessenger", { concurrency: 4 }, () => {
  /** The original's example, but for the package's name. */
  const EXAMPLE = `
const { AgentMessenger } = require('el-ipc');

const agent = new AgentMessenger('my-agent');

// Send a message
agent.send('other-agent', 'Hello from my agent!');

// Check inbox
const messages = agent.checkInbox();
messages.forEach(msg => console.log(msg.message));
`;

  function installed(folder: string): void {
    mkdirSync(join(folder, "node_modules"));
    symlinkSync(repository, join(folder, "node_modules", "el-ipc"));
  }

  const runIn = (folder: ReturnType<typeof temporaryFolder>, name: string, text: string, more = {}) => {
    writeFileSync(folder.file(name), text);
    const environment = { HOME: folder.path, IPC_DB_PATH: folder.file("bus.db"), ...more };
    return start([], environment, { entry: folder.file(name), cwd: folder.path }).ended;
  };

  test("M39 the original's example runs unchanged but for the package's name, and its other half gets the message", async () => {
    using folder = temporaryFolder();
    installed(folder.path);
    assert.deepEqual(await runIn(folder, "a.cjs", EXAMPLE), { code: 0, stdout: "", stderr: "" });
    const other = EXAMPLE.replaceAll("other-agent", "x")
      .replaceAll("my-agent", "other-agent")
      .replaceAll("x'", "my-agent'");
    assert.equal((await runIn(folder, "b.cjs", other)).stdout, "Hello from my agent!\n");
    const documented = blocksOf(section(readFileSync(join(repository, "docs/library.md"), "utf8"), "AgentMessenger"));
    assert.match((await runIn(folder, "a.cjs", documented[0]?.text ?? "")).stdout, /^Hello from my agent!\n$/);
  });

  test("M39 import works as require does; checkInbox(false) leaves what is there", async () => {
    using folder = temporaryFolder();
    installed(folder.path);
    const text = `
      import { AgentMessenger } from "el-ipc";
      const a = new AgentMessenger("a");
      const id = a.send("a", "to myself");
      const [first] = a.checkInbox(false);
      const [second] = a.checkInbox();
      console.log(first.id === id, JSON.stringify([second.from, second.to, second.message]), a.checkInbox().length);
      try { a.send("../x", "y") } catch (error) { console.log(error.message) }
    `;
    const { code, stdout, stderr } = await runIn(folder, "a.mjs", text);
    assert.deepEqual([code, stderr], [0, ""]);
    assert.match(stdout, /^true \["a","a","to myself"\] 0\nthe agent's name "\.\.\/x" must /);
  });

  test("asks the bus where the folder doesn't know who is meant, and shows what waits there", async () => {
    using folder = temporaryFolder();
    installed(folder.path);
    using bus = temporaryBus();
    await bus.run("post", "there", "so that it is known", "--from", "x");
    await bus.run("post", "me", "by the bus", "--from", "x");
    const text = `
      const { AgentMessenger } = require("el-ipc");
      const me = new AgentMessenger("me");
      console.log(me.send("there", "hello"));
      console.log(me.checkInbox(false).map(({ from, message }) => from + message).join(), me.checkInbox().length, me.checkInbox().length);
    `;
    const { code, stdout, stderr } = await runIn(folder, "a.cjs", text, bus.environment);
    assert.deepEqual([code, stdout, stderr], [0, "3\nxby the bus 1 0\n", ""]);
    assert.match((await bus.run("fetch", "there")).stdout, /"sender":"me","content":"hello"/);
  });

  test("connectWebSocket and sendWebSocket: what comes is given to handleMessage, and consumed after that", async () => {
    using folder = temporaryFolder();
    installed(folder.path);
    using bus = temporaryBus();
    await using server = await bus.serve();
    const url = server.url.replace("http", "ws");
    const text = `
      const { AgentMessenger } = require("el-ipc");
      (async () => {
        const [a, b] = [new AgentMessenger("a"), new AgentMessenger("b")];
        try { a.sendWebSocket("b", "x") } catch (error) { console.log(error.message) }
        await a.connectWebSocket("${url}");
        await b.connectWebSocket("${url}");
        const came = new Promise((resolve) => { a.handleMessage = ({ from, message }) => resolve(from + " " + message) });
        a.sendWebSocket("b", "printed");
        b.sendWebSocket("a", "handled");
        console.log(await came);
        await new AgentMessenger("a").connectWebSocket("${url}").catch((error) => console.log(error.message));
        setTimeout(() => Promise.all([a.closeWebSocket(), b.closeWebSocket()]), 300);
      })();
    `;
    const { code, stdout, stderr } = await runIn(folder, "a.cjs", text, bus.environment);
    assert.deepEqual([code, stderr], [0, ""]);
    assert.deepEqual(stdout.trim().split("\n").toSorted(), [
      "Not connected to WebSocket",
      "[a]: printed",
      "a is connected already, from elsewhere",
      "b handled",
    ]);
    await waitUntil(async () => (await bus.run("inbox", "a")).stderr.startsWith("0 unread"), "it was consumed");
  });
});

suite("the package", () => {
  test("M1 a global install gives both commands", async () => {
    using folder = temporaryFolder();
    const npm = (...words: string[]) =>
      execFileSync("npm", words, { cwd: repository, stdio: ["ignore", "pipe", "ignore"] }).toString();
    const packed = npm("pack", "--silent", "--pack-destination", folder.path).trim();
    npm(
      "install",
      "-g",
      "--prefix",
      folder.path,
      "--offline",
      "--omit=optional",
      "--ignore-scripts",
      folder.file(packed),
    );
    // The `node` on PATH may be one that has to hand over.
    const path = `${folder.file("bin")}:${process.env.PATH ?? ""}`;
    const env = { PATH: path, HOME: folder.path, EL_IPC_NODE: process.execPath };
    const { version } = Object(jsonOf("package.json"));
    for (const command of ["agent-msg", "el-ipc"]) {
      assert.equal(execFileSync(command, ["--version"], { env }).toString(), `${version}\n`);
    }
    assert.match(execFileSync("agent-msg", ["register", "me"], { env }).toString(), /^✓ Registered agent: me/);
  });

  test("what npm packs has both commands and the library, which work from there; its types hold for strict users", () => {
    using folder = temporaryFolder();
    const packed = execFileSync("npm", ["pack", "--silent", "--pack-destination", folder.path], { cwd: repository });
    const place = folder.file("node_modules/el-ipc");
    mkdirSync(place, { recursive: true });
    execFileSync("tar", ["xf", folder.file(packed.toString().trim()), "--strip-components=1", "-C", place]);
    mkdirSync(folder.file("node_modules/@types"));
    symlinkSync(join(repository, "node_modules/@types/node"), folder.file("node_modules/@types/node"));
    symlinkSync(join(repository, "node_modules/undici-types"), folder.file("node_modules/undici-types"));
    const manifest: unknown = JSON.parse(readFileSync(join(place, "package.json"), "utf8"));
    assert.ok(typeof manifest === "object" && manifest !== null && "bin" in manifest);
    for (const [name, file] of Object.entries(Object(manifest.bin))) {
      const env = { PATH: process.env.PATH ?? "", HOME: folder.path };
      assert.match(
        execFileSync(process.execPath, [join(place, String(file)), "--version"], { env }).toString(),
        /^\d/,
        name,
      );
    }
    const consumer = `
      import { AgentMessenger, connect, IpcError, isIpcError, type ConnectedBus, type Letter, type Message } from "el-ipc";
      export async function works(signal: AbortSignal): Promise<number> {
        await using bus: ConnectedBus = await connect("bus.db", { agent: "me", key: new Uint8Array() });
        const messages: readonly Message[] = await bus.read({ channel: "c" }, { signal });
        for await (const message of bus.follow({ channel: "c" })) if (message.signed) break;
        const { command } = await bus.ask({ target: "x", action: "y", params: { any: ["json"] } });
        const status: "pending" | "leased" | "acked" | "failed" | "dead" | "expired" = command.status;
        const names: string[] = (await bus.agents()).map(({ name }) => name);
        const letters: Letter[] = new AgentMessenger("me").checkInbox();
        const failure: unknown = new IpcError("invalid", status + names + letters);
        // @ts-expect-error a channel is needed
        await bus.read({});
        // @ts-expect-error there is no such thing
        await bus.nothing();
        // @ts-expect-error a number is needed
        await bus.read({ channel: "c", limit: "3" });
        return isIpcError(failure) ? messages.length : (await bus.send({ channel: "c", content: "x" })).id;
      }
    `;
    writeFileSync(folder.file("a.mts"), consumer);
    writeFileSync(folder.file("b.cts"), `${consumer}\nimport ipc = require("el-ipc");\nvoid ipc.connect;`);
    const options = { strict: true, exactOptionalPropertyTypes: true, noEmit: true, types: ["node"], target: "es2022" };
    const lib = ["es2024", "esnext.disposable", "esnext.array"];
    writeFileSync(
      folder.file("tsconfig.json"),
      JSON.stringify({ compilerOptions: { ...options, lib, module: "nodenext" }, files: ["a.mts", "b.cts"] }),
    );
    const tsc = join(repository, "node_modules/typescript/bin/tsc");
    execFileSync(process.execPath, [tsc, "-p", folder.path], { stdio: ["ignore", "inherit", "inherit"] });
  });
});
