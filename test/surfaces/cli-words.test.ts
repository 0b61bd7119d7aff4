import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { parseInput } from "../../src/operations/fields.ts";
import { operations } from "../../src/operations/index.ts";
import { parseArguments } from "../../src/surfaces/cli/arguments.ts";
import { contentsOf, messagesOf, type TemporaryBus, temporaryBus } from "../support/bus.ts";
import { environmentOf, type Result, run } from "../support/program.ts";

const verbs = ["serve", ...operations.map(({ name }) => name)];

/** An error is a sentence on standard error and nothing else. */
function refused({ code, stdout, stderr }: Result, sentence: RegExp | string): void {
  if (typeof sentence === "string") assert.equal(stderr, `Error: ${sentence}\n`);
  else assert.match(stderr, sentence);
  assert.match(stderr, /^Error: /);
  assert.doesNotMatch(stderr, /\n {4}at |node:internal|Internal error/);
  assert.equal(stdout, "");
  assert.equal(code, 1);
}

async function refuses(bus: TemporaryBus, words: string[], sentence: RegExp | string): Promise<void> {
  refused(await bus.run(...words), sentence);
}

/** The outcome of the same words without a process of their own. */
function saysOf(name: string, words: readonly string[], message: string): void {
  const verb = operations.find((operation) => operation.name === name);
  assert.ok(verb !== undefined);
  assert.throws(() => parseInput(verb.input.fields, parseArguments(verb, words, undefined).input), { message });
}

suite("what is typed", { concurrency: 6 }, () => {
  test("each verb has --help with its usage, all its options and examples, and needs no database for it", async () => {
    const environment = { IPC_DB_PATH: "/nonexistent/bus.db" };
    await Promise.all(
      verbs.map(async (verb) => {
        const help = await run([verb, "--help"], environment);
        assert.deepEqual([help.code, help.stderr], [0, ""], verb);
        assert.ok(help.stdout.includes(`\nUsage: el-ipc ${verb}`), help.stdout);
        assert.match(help.stdout, /\nOptions:\n/);
        assert.match(help.stdout, /\n {2}--help +Print this\n/);
        assert.match(help.stdout, new RegExp(`\nExamples:\n.*el-ipc ${verb}`));
        if (verb !== "serve") assert.match(help.stdout, /\n {2}--json /);
      }),
    );
    const help = await run(["send", "--help"], environment);
    for (const words of [
      ["send", "-h"],
      ["help", "send"],
    ])
      assert.deepEqual(await run(words, environment), help);
  });

  test("the overview names each verb and each variable", async () => {
    const [bare, ...others] = await Promise.all([[], ["help"], ["--help"], ["-h"]].map((words) => run(words, {})));
    for (const { code, stdout } of others) {
      assert.equal(code, 0);
      for (const verb of verbs) assert.match(stdout, new RegExp(`\n {2}${verb} +[A-Z]`));
      for (const name of ["IPC_DB_PATH", "IPC_URL", "IPC_PORT", "IPC_API_KEY", "IPC_AGENT", "IPC_KEY"]) {
        assert.match(stdout, new RegExp(`\n {2}${name} `));
      }
    }
    assert.equal(bare?.code, 1);
    assert.match(bare?.stderr ?? "", /^Error: no command given\n\nel-ipc .*\n\nUsage: /);
  });

  test("--version prints the version of the package", async () => {
    const { default: manifest } = await import("../../package.json", { with: { type: "json" } });
    for (const flag of ["--version", "-v"]) assert.equal((await run([flag], {})).stdout, `${manifest.version}\n`);
  });

  test("--json is one line of JSON for each verb that answers", async () => {
    using bus = temporaryBus();
    const prepared = await bus.run("send", "room", "a", "hello");
    assert.equal(prepared.code, 0);
    const commands = [
      ["send", "room", "a", "two"],
      ["read", "room", "b"],
      ["ack", "room", "c", "1"],
      ["channels"],
      ["agents"],
      ["agent-card"],
      ["health"],
      ["keygen"],
      ["seed", "ops"],
      ["agents"],
    ];
    for (const words of commands) {
      const { code, stdout } = await bus.run(...words, "--json");
      assert.equal(code, 0, words.join(" "));
      assert.match(stdout, /^[^\n]+\n$/);
      assert.equal(typeof JSON.parse(stdout), "object");
    }
  });

  test("an unknown verb or option is refused with what there is", async () => {
    using bus = temporaryBus();
    await refuses(bus, ["sned", "a", "b", "c"], /^Error: unknown command "sned"; did you mean send or seed\?\n$/);
    for (const near of ["sen", "sendd", "sand"]) await refuses(bus, [near], /did you mean (.* or )?send/);
    await refuses(bus, ["frobnicate"], /; the commands are send, read,.* serve, broker,.* and help\n$/);
    await refuses(bus, ["--json", "channels"], "options come after the command: el-ipc COMMAND --json …");
    const overview = (await bus.run("help")).stdout;
    for (const words of [
      ["help", "help"],
      ["help", "--help"],
    ])
      assert.equal((await bus.run(...words)).stdout, overview);
    await refuses(bus, ["help", "sned"], /^Error: unknown command "sned"/);
    await refuses(bus, ["constructor"], /^Error: unknown command "constructor"/);
    await refuses(bus, ["read", "a", "b", "--wiat"], "unknown option --wiat; see el-ipc read --help");
    await refuses(bus, ["read", "a", "b", "-w"], "unknown option -w; see el-ipc read --help");
    saysOf("read", ["a", "b", "--no-peek"], "unknown option --no-peek; see el-ipc read --help");
    saysOf("channels", ["--__proto__=1"], "unknown option --__proto__; see el-ipc channels --help");
    const hint = ", or put -- before words that start with a dash";
    saysOf("send", ["a", "b", "c", "--id=1"], `unknown option --id; see el-ipc send --help${hint}`);
  });

  test("an option given twice, one without its value and a value for a switch are refused", async () => {
    using bus = temporaryBus();
    await refuses(bus, ["read", "a", "b", "--limit", "1", "--limit", "2"], "--limit is given twice");
    await refuses(bus, ["read", "a", "b", "--limit"], "--limit needs a value");
    await refuses(bus, ["send", "a", "b", "c", "--json=5"], "--json takes no value");
    saysOf("send", ["a", "b", "c", "--key", "x", "--key", "y"], "--key is given twice");
    saysOf("read", ["a", "b", "--limit="], "--limit needs a value");
    saysOf("send", ["a", "b", "c", "--key"], "--key needs a value");
    saysOf("read", ["a", "b", "--limit", "--peek"], "--limit needs a value");
    saysOf("read", ["a", "b", "--peek=yes"], "--peek takes no value");
    saysOf("send", ["a", "b", "c", "--help=no"], "--help takes no value");
    saysOf("send", ["a", "b", "c", "-h=no"], "-h takes no value");
    assert.deepEqual(await bus.answer("channels"), []);
  });

  test("a word too many and words missing are refused with the usage", async () => {
    using bus = temporaryBus();
    await refuses(bus, ["read", "a", "b", "c"], '"c" is one word too many; see el-ipc read --help');
    await refuses(bus, ["channels", "5"], '"5" is one word too many; see el-ipc channels --help');
    for (const [missing, ...words] of [
      ["channel, sender, and content"],
      ["sender and content", "a"],
      ["content", "a", "b"],
      ["content", "a", "b", ""],
      ["channel", "", "b", "c"],
    ]) {
      const usage = "Usage: el-ipc send <channel> <sender> <content> [options]";
      await refuses(bus, ["send", ...words], `${missing} required\n${usage}`);
    }
    await refuses(bus, ["post", "you", "hi"], /^Error: --from required\n/);
    await refuses(bus, ["prune"], "say which messages may go: --older-than, --keep or --consumed");
    await refuses(bus, ["prune", "", "--keep", "0"], "the channel is empty; leave it out, or name one");
    await refuses(bus, ["command", "list", ""], "the peer is empty; leave it out, or name one");
    await refuses(bus, ["read", "a", "b", "--ack", "manul"], "--ack must be one of auto, manual");
    await refuses(bus, ["seed"], /^Error: name required\nUsage: el-ipc seed <name> \[options\]\n$/);
    await refuses(bus, ["register", "x"], /\nUsage: el-ipc register <name> --pubkey FILE --as OPERATOR /);
  });

  test("impossible numbers and names are refused", async () => {
    using bus = temporaryBus();
    const limit = "limit must be a whole number from 1 to 1000";
    await refuses(bus, ["read", "a", "b", "--limit=0"], `--${limit}`);
    await refuses(bus, ["read", "a", "b", "--burst=31"], "--burst must be a number of seconds, from 0 to 30");
    for (const given of ["1001", "-1", "1.5", "1e2", "ten", "0x10"])
      saysOf("read", ["a", "b", `--limit=${given}`], limit);
    await refuses(bus, ["send", "x\ny", "b", "c"], "channel must not contain control characters");
    saysOf("send", ["a", "x\u007fy", "c"], "sender must not contain control characters");
    saysOf("send", ["x".repeat(201), "b", "c"], "channel must be 200 characters at most");
    saysOf("seed", ["x\ty"], "name must not contain control characters");
    const id = "id must be a whole number from 0 to 9007199254740991";
    for (const given of ["x", "1.5", "-1", "9007199254740993"]) saysOf("ack", ["a", "b", given], id);
    saysOf("read", ["a", "b", "--wait", "--timeout=-1"], "timeout must be a number of seconds, 0 or more");
    await refuses(bus, ["serve", "70000"], "port must be a whole number from 0 to 65535");
    await refuses(bus, ["serve", "http"], "port must be a whole number from 0 to 65535");
  });

  test("a value may follow its option after a space or =, before or after the words", async () => {
    using bus = temporaryBus();
    await bus.run("send", "room", "a", "1");
    await bus.run("send", "room", "a", "2");
    assert.deepEqual(contentsOf(await bus.answer("read", "--limit", "1", "room", "b", "--peek")), ["1"]);
    assert.deepEqual(contentsOf(await bus.answer("read", "--peek", "room", "b", "--limit=1")), ["1"]);
    assert.deepEqual(contentsOf(await bus.answer("read", "--agent=b", "--channel", "room", "--limit=1")), ["1"]);
    assert.deepEqual(contentsOf(await bus.answer("read", "--agent", "b", "room")), ["2"]);
    await bus.run("send", "--content=a=b", "--sender", "x", "other");
    assert.deepEqual(contentsOf(await bus.answer("read", "other", "b")), ["a=b"]);
  });

  test("a word behind a switch stays the word that it is", async () => {
    using bus = temporaryBus();
    await bus.run("send", "--json", "007", "true", "0x10");
    await bus.run("send", "007", "true", "--json", "1e3", "false");
    const messages = messagesOf(await bus.answer("read", "--peek", "007", "1.0"));
    assert.deepEqual(
      messages.map(({ sender, content }) => [sender, content]),
      [
        ["true", "0x10"],
        ["true", "1e3 false"],
      ],
    );
  });

  test("--help wins over whatever else is wrong", async () => {
    const help = await run(["read", "--help"], {});
    for (const words of [
      ["a", "b", "c", "--help"],
      ["--limit=x", "--help"],
      ["-h", "--limit"],
    ]) {
      assert.deepEqual(await run(["read", ...words], {}), help);
    }
  });

  test("IPC_AGENT fills in an omitted agent", async () => {
    using bus = temporaryBus();
    const me = bus.with({ IPC_AGENT: "me" });
    await me.run("send", "room", "hello");
    await me.run("send", "room", "you", "hello again");
    const [first, second] = JSON.parse((await me.run("read", "room", "--peek")).stdout);
    assert.deepEqual([first?.sender, second?.sender, second?.content], ["me", "you", "hello again"]);
    assert.deepEqual(await me.answer("ack", "room", "2"), { ok: true, watermark: 2 });
    assert.deepEqual(await me.answer("read", "room"), []);
    assert.equal(contentsOf(await me.answer("read", "room", "you")).length, 2);
    await refuses(me, ["read"], /^Error: channel required/);
  });

  test("with IPC_AGENT set, words that may be a sender or a part of the text are refused, and nothing else is", async () => {
    using bus = temporaryBus();
    const me = bus.with({ IPC_AGENT: "me" });
    for (const words of [
      ["hello", "world"],
      ["hello", "big", "world"],
    ]) {
      await refuses(
        me,
        ["send", "room", ...words],
        'IPC_AGENT says that you are me: is "hello" the sender, or a part of the text? Put quotes around the text, or say --sender hello',
      );
    }
    assert.deepEqual(await me.answer("channels", "--json"), []);
    for (const [words, sender, content] of [
      [["hello world"], "me", "hello world"],
      [["me", "hello", "world"], "me", "hello world"],
      [["you", "hello world"], "you", "hello world"],
      [["--sender", "hello", "world"], "hello", "world"],
      [["--sender", "me", "hello", "world"], "me", "hello world"],
    ] as const) {
      await me.answer("send", "room", ...words);
      const [message] = JSON.parse((await bus.run("read", "room", "reader")).stdout);
      assert.deepEqual([message?.sender, message?.content], [sender, content]);
    }
    assert.equal((await me.start(["send", "room", "you", "-"], { input: "hello" }).ended).code, 0);
    assert.equal((await me.run("post", "you", "hello", "world")).code, 0);
    assert.equal((await bus.run("send", "room", "hello", "world")).code, 0, "without it the second word is the sender");
  });

  test("only a bad IPC_PORT or IPC_DURABILITY in the environment makes it an error, by name", async () => {
    using bus = temporaryBus();
    for (const port of ["x", "-1", "65536", "1.5", " 1"]) {
      await refuses(bus.with({ IPC_PORT: port }), ["serve"], `IPC_PORT must be a port from 0 to 65535, not "${port}"`);
    }
    await refuses(bus.with({ IPC_DURABILITY: "no" }), ["channels"], /IPC_DURABILITY must be full or normal, not "no"/);
    const empty = { IPC_PORT: "", IPC_DURABILITY: "", IPC_URL: "", IPC_AGENT: "", IPC_KEY: "", IPC_API_KEY: "" };
    assert.equal((await bus.with(empty).run("send", "a", "b", "c")).code, 0);
    assert.ok(environmentOf({}).HOME);
  });
});
