// A session with the Python original itself on one database, where ORIGINAL names its ipc-server.py.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { contentsOf, expectSuccess, messagesOf, type TemporaryBus, temporaryBus } from "../support/bus.ts";
import { ask } from "../support/http.ts";
import { environmentOf, type Result, waitUntil } from "../support/program.ts";
import { freePort } from "../support/sockets.ts";

const file = process.env.ORIGINAL ?? "";
const skip = file === "" ? "ORIGINAL names no ipc-server.py of the Python original to talk with" : false;

interface Python extends Disposable {
  readonly ended: Promise<Result>;
}

function start(bus: TemporaryBus, words: readonly string[], more: Readonly<Record<string, string>> = {}): Python {
  const child = spawn("/usr/bin/python3", [file, ...words], { env: environmentOf({ ...bus.environment, ...more }) });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const ended = new Promise<Result>((resolve) => child.on("close", (code) => resolve({ code, stdout, stderr })));
  return { ended, [Symbol.dispose]: () => void child.kill("SIGKILL") };
}

function python(bus: TemporaryBus, ...words: string[]): Promise<Result> {
  return start(bus, words).ended;
}

async function pythonAnswer(bus: TemporaryBus, ...words: string[]): Promise<unknown> {
  return JSON.parse((await expectSuccess(python(bus, ...words))).stdout);
}

suite("the Python original on the same database", { skip, concurrency: 4 }, () => {
  test("each reads what the other sends, with one watermark between them, whoever made the file", async () => {
    for (const first of ["ours", "theirs"]) {
      using bus = temporaryBus();
      if (first === "ours") await bus.run("channels");
      assert.deepEqual(await pythonAnswer(bus, "send", "c", "py", "from", "Python ü"), {
        ok: true,
        id: 1,
        channel: "c",
        signed: false,
      });
      await bus.run("send", "c", "node", "from Node 🎉\nline two");
      const both = ["from Python ü", "from Node 🎉\nline two"];
      assert.deepEqual(contentsOf(await bus.answer("read", "c", "a")), both);
      assert.deepEqual(contentsOf(await pythonAnswer(bus, "read", "c", "b")), both);
      assert.deepEqual(await pythonAnswer(bus, "read", "c", "a"), []);
      assert.deepEqual(await bus.answer("read", "c", "b"), []);
      await python(bus, "send", "c", "py", "again");
      assert.deepEqual(await bus.answer("read", "c", "x", "--peek"), await pythonAnswer(bus, "read", "c", "y"));
      assert.deepEqual(await bus.answer("channels"), await pythonAnswer(bus, "channels"));
      assert.deepEqual(await bus.answer("agent-card"), await pythonAnswer(bus, "agent-card"));
      assert.deepEqual(await bus.run("agents"), await python(bus, "agents"));
    }
  });

  test("each wakes the other's waiters", async () => {
    using bus = temporaryBus();
    await bus.run("channels");
    const ours = bus.start(["read", "c", "a", "--wait"]);
    using theirs = start(bus, ["read", "c", "b", "--wait"]);
    await sleep(500);
    await python(bus, "send", "c", "py", "to both");
    for (const { ended } of [ours, theirs]) assert.deepEqual(contentsOf(JSON.parse((await ended).stdout)), ["to both"]);
    using again = start(bus, ["read", "c", "b", "--wait"]);
    await sleep(300);
    await bus.run("send", "c", "node", "from ours");
    assert.deepEqual(contentsOf(JSON.parse((await again.ended).stdout)), ["from ours"]);
  });

  test("identities that one makes the other knows: operators, agents, keys, signatures and the DID", async () => {
    using bus = temporaryBus();
    bus.place("py-ops.key", (await expectSuccess(python(bus, "seed", "py-ops"))).stdout);
    bus.place("node-ops.key", (await expectSuccess(bus.run("seed", "node-ops"))).stdout);
    await expectSuccess(python(bus, "keygen", "--out", bus.file("py")));
    await expectSuccess(bus.run("keygen", "--out", bus.file("node")));
    const register = (name: string, operator: string) => [
      "register",
      name,
      "--pubkey",
      bus.file(`${name}.pub`),
      "--as",
      operator,
      "--key",
      bus.file(`${operator}.key`),
    ];
    await expectSuccess(bus.run(...register("py", "py-ops")));
    await expectSuccess(python(bus, ...register("node", "node-ops")));
    const send = (name: string) => ["send", "c", name, `by ${name} ü`, "--key", bus.file(`${name}.key`)];
    for (const name of ["py", "node", "py-ops", "node-ops"]) {
      await expectSuccess(bus.run(...send(name)));
      await expectSuccess(python(bus, ...send(name)));
    }
    const messages = messagesOf(await bus.answer("read", "c", "a"));
    assert.deepEqual(
      messages.map(({ signed }) => signed),
      Array(8).fill(true),
    );
    assert.deepEqual(await pythonAnswer(bus, "read", "c", "b"), messages);
    const forged = ["send", "c", "py", "forged", "--key", bus.file("node.key")];
    assert.equal((await bus.run(...forged)).code, 1);
    assert.equal((await python(bus, ...forged)).code, 1);
    assert.equal((await bus.run("agents")).stdout, (await python(bus, "agents")).stdout);
    assert.deepEqual(await bus.answer("agent-card"), await pythonAnswer(bus, "agent-card"));
  });

  test("the original can't replace an operator by an agent, which would end secure mode", async () => {
    using bus = temporaryBus();
    bus.place("ops.key", (await expectSuccess(bus.run("seed", "ops"))).stdout);
    await bus.run("keygen", "--out", bus.file("k"));
    const words = ["register", "ops", "--pubkey", bus.file("k.pub"), "--as", "ops", "--key", bus.file("ops.key")];
    assert.notEqual((await python(bus, ...words)).code, 0);
    assert.match((await bus.run("health")).stdout, /"secure_mode":true/);
  });

  test("its server and ours serve one database at once and give the same answers", async () => {
    using bus = temporaryBus();
    const port = await freePort();
    using _ = start(bus, ["serve", String(port)]);
    await using ours = await bus.serve({ IPC_AGENT_URL: "http://same" });
    const theirs = { url: `http://127.0.0.1:${port}` };
    await waitUntil(
      () =>
        ask(theirs.url, "GET /health").then(
          () => true,
          () => false,
        ),
      "the original's server",
    );
    const both = [ours, theirs];
    const waiting = both.map(({ url }, index) => ask(url, `GET /messages?channel=c&agent=w${index}&wait=true`));
    await sleep(300);
    for (const { url } of both) await ask(url, "POST /send", { body: { channel: "c", sender: "a", content: "x y" } });
    for (const answer of await Promise.all(waiting)) assert.ok(contentsOf(answer.json).length >= 1);
    const alike = [
      ["GET /channels"],
      ["GET /agents"],
      ["GET /health"],
      ["GET /health?channel=c&agent=new"],
      ["GET /messages?channel=none&agent=new"],
      ["POST /send", { channel: "d", sender: "a", content: "" }],
    ] as const;
    for (const [what, body] of alike) {
      const [mine, its] = await Promise.all(both.map(({ url }) => ask(url, what, { body })));
      assert.equal(mine?.status, its?.status, what);
      if (mine?.status === 200) assert.deepEqual(mine.json, its?.json, what);
      else assert.match(mine?.text ?? "", new RegExp(/"error": ?("[^"]*")/.exec(its?.text ?? "")?.[1] ?? "nothing"));
    }
    for (const what of ["GET /messages", "GET /nothing", "GET /messages?channel=a"]) {
      const [mine, its] = await Promise.all(both.map(({ url }) => ask(url, what)));
      assert.equal(mine?.status, its?.status, what);
    }
  });

  test("both write at once, and nothing is lost or read twice", async () => {
    using bus = temporaryBus();
    await bus.run("channels");
    const writers = Array.from({ length: 6 }, async (_, writer) => {
      for (let count = 0; count < 5; count++) {
        const words = ["send", "c", `writer-${writer}`, `${count}`];
        await expectSuccess(writer % 2 === 0 ? bus.run(...words) : python(bus, ...words));
      }
    });
    const seen: string[] = [];
    const reading = Promise.all(writers).then(() => true);
    for (let done = false, turn = 0; !done; turn++) {
      done = await Promise.race([reading, sleep(50).then(() => false)]);
      const read =
        turn % 2 === 0 ? await bus.answer("read", "c", "reader") : await pythonAnswer(bus, "read", "c", "reader");
      seen.push(...messagesOf(read).map(({ sender, content }) => `${sender} ${content}`));
    }
    seen.push(
      ...messagesOf(await bus.answer("read", "c", "reader")).map(({ sender, content }) => `${sender} ${content}`),
    );
    assert.equal(seen.length, 30);
    assert.equal(new Set(seen).size, 30);
    for (let writer = 0; writer < 6; writer++) {
      const order = seen.filter((one) => one.startsWith(`writer-${writer} `)).map((one) => one.slice(-1));
      assert.deepEqual(order, ["0", "1", "2", "3", "4"]);
    }
  });
});
