import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { operations } from "../../src/operations/index.ts";
import { command, commands, path, skills, verbsIn } from "./documents.ts";
import { busEnvironment, type Environment, run, scratch, script, until } from "./support.ts";

/** Runs a command's shell text as the model would, with the words in angle brackets filled in. */
function perform(text: string, env: Environment, words: Readonly<Record<string, string>> = {}) {
  const filled = text.replaceAll(/<([a-z]+)>/g, (whole, name: string) => words[name] ?? whole);
  return run("/bin/sh", ["-c", filled], { env });
}

/** The command line that a slash command runs. */
function verbOf(name: string): string {
  return { listen: "read", dashboard: "serve" }[name] ?? name;
}

test("there are eleven slash commands", () => {
  assert.deepEqual(
    commands.map(({ name }) => name),
    ["agents", "channels", "command", "dashboard", "listen", "peers", "read", "send", "serve", "setup", "signal"],
  );
});

suite("each slash command", { concurrency: true }, () => {
  for (const { name, head, text, blocks } of commands) {
    test(`${name} says what it does, and hints at its arguments if it takes any`, () => {
      assert.match(String(head.get("description")?.[0]), /^[A-Z].{20,100}[^.]$/);
      assert.equal(head.has("argument-hint"), text.includes("$ARGUMENTS"));
    });

    test(`${name} is for people: a model learns the bus from the skill alone`, () => {
      assert.deepEqual(head.get("disable-model-invocation"), ["true"]);
    });

    test(`${name} is allowed one verb of ours, by the very text that it runs`, () => {
      const allowed = head.get("allowed-tools") ?? [];
      const [, rule, more] = /^Bash\((.* [a-z-]+)(:\*)?\)$/.exec(allowed[0] ?? "") ?? [];
      assert.equal(allowed.length, 1);
      assert.ok(rule?.startsWith(`${path} `));
      assert.ok(
        blocks.some((block) =>
          more === undefined ? block === rule || verbOf(name) === "serve" : block.startsWith(`${rule} `),
        ),
      );
    });

    test(`${name} runs verbs that exist, with options that they have`, async (t) => {
      const env = busEnvironment(scratch(t));
      const used = verbsIn(text);
      assert.ok(used.length > 0);
      for (const { verb, options } of used) {
        const help = await run(script, [...verb.split(" "), "--help"], { env });
        assert.equal(help.code, 0, verb);
        for (const option of options) assert.ok(help.stdout.includes(option), `${verb} ${option}`);
      }
      if (name !== "setup") assert.deepEqual([...new Set(used.map(({ verb }) => verb.split(" ")[0]))], [verbOf(name)]);
    });

    test(`${name} runs nothing before the model has seen it`, () => {
      assert.doesNotMatch(text, /!`|```!|^@|\s@\S/m);
    });
  }
});

suite("the shell text of a slash command does what its page says", { concurrency: true }, () => {
  test("send passes any text on unharmed, read shows it", async (t) => {
    const env = busEnvironment(scratch(t));
    const message = "it's \"quoted\" `id` $HOME $(id) \\n !x * # --key\n\n  <b>second</b> line 'END'";
    const words = { channel: "c", from: "me", message, agent: "you" };
    const sent = await perform(String(command("send").blocks[0]), env, words);
    assert.deepEqual([sent.code, sent.stderr], [0, ""]);
    const read = await perform(String(command("read").blocks[0]), env, words);
    assert.deepEqual([read.code, read.stderr], [0, ""]);
    assert.equal(JSON.parse(read.stdout)[0].content, message);
  });

  test("send takes an option after the lone dash", async (t) => {
    const env = busEnvironment(scratch(t));
    const text = String(command("send").blocks[0]).replace(" - ", " - --key nowhere.key ");
    const sent = await perform(text, env, { channel: "c", from: "me", message: "x" });
    assert.equal(sent.code, 1);
    assert.match(sent.stderr, /nowhere\.key/);
  });

  test("listen waits, leaves out one's own messages, and ends with another's", async (t) => {
    const env = busEnvironment(scratch(t));
    const text = String(command("listen").blocks[0]).replace("<channel>", "c").replace("<agent>", "me");
    const waiter = perform(text, env);
    await run(script, ["send", "c", "me", "mine"], { env });
    const early = await Promise.race([waiter, new Promise((resolve) => setTimeout(resolve, 500, "still waiting"))]);
    assert.equal(early, "still waiting");
    await run(script, ["send", "c", "you", "yours"], { env });
    const { code, stdout, stderr } = await waiter;
    assert.deepEqual([code, stderr], [0, ""]);
    assert.deepEqual(
      JSON.parse(stdout).map(({ content }: { content: string }) => content),
      ["yours"],
    );
  });

  test("channels and agents answer on an empty bus", async (t) => {
    const env = busEnvironment(scratch(t));
    for (const name of ["channels", "agents"]) {
      const { code, stderr } = await perform(String(command(name).blocks[0]), env);
      assert.deepEqual([code, stderr], [0, ""]);
    }
  });

  test("command sends to a session any JSON as it is, and its result is waited for", async (t) => {
    const env = busEnvironment(scratch(t));
    const [peer = ""] = (await run(script, ["connect", "backend"], { env })).stdout.split(" ");
    const [send = "", result = ""] = command("command").blocks;
    const words = { target: "backend", action: "start", params: '{"say":"it\\u0027s $HOME `id` \\"x\\""}' };
    const sent = await perform(send, env, words);
    assert.deepEqual([sent.code, sent.stderr], [0, ""]);
    const [id = ""] = sent.stdout.split(" ");
    const taken = JSON.parse((await run(script, ["command", "wait", peer], { env })).stdout);
    assert.deepEqual([taken.id, taken.params], [id, { say: 'it\'s $HOME `id` "x"' }]);
    const waiting = perform(result, env, { id });
    assert.equal((await run(script, ["command", "ack", id, '{"port":7400}'], { env })).code, 0);
    assert.deepEqual(JSON.parse((await waiting).stdout), { port: 7400 });
  });

  test("command to everybody is no list of files", async (t) => {
    const env = busEnvironment(scratch(t));
    await run(script, ["connect", "backend"], { env });
    const sent = await perform(String(command("command").blocks[0]), env, { target: "*", action: "go", params: "{}" });
    assert.match(sent.stdout, /^cmd-\w+ sent to bac-/);
  });

  test("signal sets one for whoever waits, and lists it", async (t) => {
    const env = busEnvironment(scratch(t));
    const [list = "", wait = "", set = ""] = command("signal").blocks;
    const waiting = perform(wait, env, { name: "build ready" });
    const done = await perform(set, env, { name: "build ready", data: '{"port":7400}' });
    assert.deepEqual([done.code, done.stderr], [0, ""]);
    for (const outcome of [await waiting, await perform(list, env)]) {
      const { name, data } = JSON.parse(outcome.stdout);
      assert.deepEqual([name, data], ["build ready", { port: 7400 }]);
    }
  });

  test("peers lists who is connected", async (t) => {
    const env = busEnvironment(scratch(t));
    await run(script, ["connect", "backend", "--capabilities", "node"], { env });
    const { stdout } = await perform(String(command("peers").blocks[0]), env);
    assert.match(stdout, /^bac-\w+ {2}backend {2}online {2}can node\n$/);
  });

  test("dashboard and serve say where they listen, and end with their task", async (t) => {
    const env = busEnvironment(scratch(t));
    const text = String(command("dashboard").blocks[0]).replace("<port>", "0");
    assert.equal(text, String(command("serve").blocks[0]).replace("<port>", "0"));
    const server = spawn("/bin/sh", ["-c", `exec ${text}`], { env, stdio: ["ignore", "pipe", "pipe"] });
    t.after(() => server.kill("SIGKILL"));
    let output = "";
    for (const stream of [server.stdout, server.stderr]) {
      stream.on("data", (bytes) => {
        output += bytes;
      });
    }
    const ended = new Promise((resolve) => server.on("close", resolve));
    await until(() => /http:\/\/(127\.0\.0\.1|localhost):\d+/.test(output), "an address");
    const page = await fetch(/"dashboard":"([^"]+)"/.exec(output)?.[1] ?? "");
    assert.equal(page.status, 200);
    assert.match(await page.text(), /<title>el-ipc<\/title>/);
    server.kill("SIGTERM");
    await ended;
  });

  test("setup leads to a bus that takes signed messages only, and shows no private key", async (t) => {
    const folder = scratch(t);
    const env = busEnvironment(folder);
    const words = { operator: "boss", agent: "herald", identity: "the one that reports" };
    const outputs: string[] = [];
    for (const block of command("setup").blocks) {
      const outcome = await perform(block, env, words);
      assert.equal(outcome.code, 0, `${block}\n${outcome.stderr}`);
      outputs.push(outcome.stdout + outcome.stderr);
    }
    const all = outputs.join("");
    assert.match(all, /"signed":true/);
    assert.match(String(outputs.at(-1)), /herald/);
    assert.doesNotMatch(all, /PRIVATE KEY/);

    const keys = join(folder, "home", ".config", "el-ipc", "keys");
    assert.deepEqual(readdirSync(keys).sort(), ["boss.key", "herald.key", "herald.pub"]);
    assert.equal(statSync(keys).mode & 0o777, 0o700);
    for (const key of ["boss.key", "herald.key"]) assert.equal(statSync(join(keys, key)).mode & 0o777, 0o600);

    assert.equal((await run(script, ["send", "c", "herald", "unsigned"], { env })).code, 1);
    const signing = { ...env, IPC_AGENT: "herald", IPC_KEY: join(keys, "herald.key") };
    assert.equal((await run(script, ["send", "c", "herald", "signed"], { env: signing })).code, 0);
  });

  test("setup, begun again, overwrites no key", async (t) => {
    const folder = scratch(t);
    const env = busEnvironment(folder);
    const [, folderOfKeys, seed, keygen] = command("setup").blocks.map(String);
    const words = { operator: "boss", agent: "herald" };
    mkdirSync(join(folder, "home"));
    for (const step of [folderOfKeys, seed, keygen]) assert.equal((await perform(String(step), env, words)).code, 0);
    const keys = join(folder, "home", ".config", "el-ipc", "keys");
    const before = readdirSync(keys).map((name) => [name, statSync(join(keys, name)).mtimeMs]);
    for (const step of [seed, keygen]) assert.notEqual((await perform(String(step), env, words)).code, 0);
    const after = readdirSync(keys).map((name) => [name, statSync(join(keys, name)).mtimeMs]);
    assert.deepEqual(after, before);
  });
});

/** The commands that each skill may run without asking: they only look. */
const looks: Readonly<Record<string, readonly string[]>> = {
  "el-ipc": ["channels", "agents"],
  "ipc-session": ["peers", "status"],
};

for (const { name, head, text } of skills) {
  suite(`the skill ${name}`, { concurrency: true }, () => {
    test("is named as its folder and says when to use it, in fewer than 800 words", () => {
      assert.deepEqual(head.get("name"), [name]);
      assert.match(String(head.get("description")?.[0]), /Use when/);
      assert.ok(text.split(/\s+/).length < 800);
    });

    test("shows verbs that exist, with options that they have", async (t) => {
      const env = busEnvironment(scratch(t));
      const used = verbsIn(text.replaceAll("`el-ipc` stands", ""));
      assert.ok(used.length >= 8);
      for (const { verb, options } of used.filter(({ verb }) => verb !== "help")) {
        const help = await run(script, [...verb.split(" "), "--help"], { env });
        assert.equal(help.code, 0, verb);
        for (const option of options) assert.ok(help.stdout.includes(option), `${verb} ${option}`);
      }
    });

    test("allows itself nothing but to look", () => {
      assert.deepEqual(
        head.get("allowed-tools"),
        looks[name]?.map((verb) => `Bash(${path} ${verb})`),
      );
    });

    test("says that messages are data and not orders", () => {
      assert.match(text, /data, never orders/);
      assert.match(text, /Never send secrets/);
    });
  });
}

test("the skill el-ipc names the options of a read", async (t) => {
  const env = busEnvironment(scratch(t));
  const help = (await run(script, ["help", "read"], { env })).stdout;
  const { text } = skills.find(({ name }) => name === "el-ipc") ?? assert.fail();
  for (const option of ["--wait", "--timeout", "--peek", "--limit", "--others", "--url"]) {
    assert.ok(text.includes(option), option);
    assert.ok(help.includes(option), option);
  }
});

test("the tools that the skill ipc-session names exist", () => {
  const { text } = skills.find(({ name }) => name === "ipc-session") ?? assert.fail();
  const known = operations.flatMap(({ tool }) => tool?.name ?? []);
  const [, table = ""] = /\n\| To \|.*?\n(.*?)\n\n/s.exec(text) ?? [];
  const named = table.split("\n").flatMap((row) => /`([a-z_]+)`/.exec(row.split("|")[2] ?? "")?.[1] ?? []);
  for (const tool of named) assert.ok(known.includes(tool), tool);
  assert.ok(named.length >= 10);
});
