import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, renameSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { jsonIn, temporaryHome } from "../support/agent-msg.ts";
import { waitUntil } from "../support/program.ts";

const STAMP = "\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z";

suite("agent-msg by file", { concurrency: 4 }, () => {
  test("M4 M17 register notes an agent and its type, as the original writes it", async () => {
    using home = temporaryHome();
    assert.equal(await home.prints("register", "bot", "-t", "codex"), "✓ Registered agent: bot (codex)\n");
    for (const type of ["claude-code", "open-code", "openclaw"]) {
      assert.equal(await home.prints("register", type, "--type", type), `✓ Registered agent: ${type} (${type})\n`);
    }
    assert.equal(await home.prints("register", "plain"), "✓ Registered agent: plain (other)\n");
    const agents = jsonIn(home.file(".agent-msg", "agents.json"));
    assert.ok(typeof agents === "object" && agents !== null && "bot" in agents);
    const { registered, ...bot } = Object(agents.bot);
    assert.match(registered, new RegExp(`^${STAMP}$`));
    assert.deepEqual(bot, {
      name: "bot",
      type: "codex",
      inbox: home.file(".agent-msg", "inbox", "bot"),
      outbox: home.file(".agent-msg", "outbox", "bot"),
    });
    assert.ok(existsSync(bot.inbox) && existsSync(bot.outbox));
  });

  test("M9 register without a name takes the machine's", async () => {
    using home = temporaryHome();
    assert.equal(await home.prints("register"), `✓ Registered agent: ${hostname()} (other)\n`);
  });

  test("M5 list says who is registered, whoever registered them", async () => {
    using home = temporaryHome();
    assert.equal(await home.prints("list"), 'No agents registered. Run "agent-msg register <name>" first.\n');
    await home.prints("register", "ours", "-t", "codex");
    const file = home.file(".agent-msg", "agents.json");
    const agents = Object(jsonIn(file));
    agents.theirs = { name: "theirs", type: "other", registered: "2026-02-28T00:00:00.000Z", inbox: "x", outbox: "y" };
    writeFileSync(file, JSON.stringify(agents, null, 2));
    assert.match(
      await home.prints("list"),
      new RegExp(
        `^Registered agents:\n {2}ours \\(codex\\) - registered ${STAMP}\n {2}theirs \\(other\\) - registered 2026-02-28T00:00:00.000Z\n$`,
      ),
    );
    await home.prints("register", "third");
    assert.deepEqual(Object.keys(Object(jsonIn(file))), ["ours", "theirs", "third"]);
  });

  test("M6 M10 M19 M23 M40 send writes the file that the original reads, whole and for its owner alone", async () => {
    using home = temporaryHome();
    await home.prints("register", "two");
    const printed = await home.prints("send", "two", "Can you run the tests?", "-s", "one");
    const [, id = ""] = /^✓ Message sent to two \((\w+)\)\n$/.exec(printed) ?? assert.fail(printed);
    assert.deepEqual(home.inbox("two"), [`${id}.json`]);
    const file = home.file(".agent-msg", "inbox", "two", `${id}.json`);
    const letter = jsonIn(file);
    assert.ok(typeof letter === "object" && letter !== null && "timestamp" in letter);
    assert.match(String(letter.timestamp), new RegExp(`^${STAMP}$`));
    const { timestamp: _, ...rest } = letter;
    assert.deepEqual(rest, { id, from: "one", to: "two", message: "Can you run the tests?", status: "sent" });
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.match(readFileSync(file, "utf8"), /^{\n {2}"id"/);
    const unnamed = await home.prints("send", "two", "x", "--file");
    assert.match(unnamed, /^✓ Message sent to two/);
    assert.match(await home.prints("inbox", "two"), new RegExp(`^\\[${hostname()} at .*\\]: x$`, "m"));
  });

  test("send to nobody fails as the original does", async () => {
    using home = temporaryHome();
    assert.deepEqual(await home.run("send", "nobody", "x"), {
      code: 1,
      stdout: "",
      stderr: 'Error: Agent "nobody" not found. Run "agent-msg list" to see registered agents.\n',
    });
    assert.deepEqual(home.inbox("nobody"), []);
    assert.equal(existsSync(home.file("bus.db")), false, "and no bus is made for it");
  });

  test("M7 M12 M18 inbox prints what came and removes it; --all leaves it there", async () => {
    using home = temporaryHome();
    assert.equal(await home.prints("inbox", "me"), "No messages yet.\n");
    await home.prints("register", "me");
    assert.equal(await home.prints("inbox", "me"), "No messages.\n");
    const at = (second: number) => `2026-01-01T00:00:0${second}.000Z`;
    home.writeAsOriginal("me", { id: "b", from: "you", to: "me", message: "second", timestamp: at(2) }, "b");
    home.writeAsOriginal("me", { id: "a", from: "you", to: "me", message: "first", timestamp: at(1) }, "a");
    const lines = `[you at ${at(1)}]: first\n[you at ${at(2)}]: second\n`;
    assert.equal(await home.prints("inbox", "me", "--all"), lines);
    assert.equal(await home.prints("inbox", "me", "-a"), lines);
    assert.equal(await home.prints("inbox", "me"), `${lines}(Deleted 2 message(s))\n`);
    assert.deepEqual(home.inbox("me"), []);
    assert.equal(await home.prints("inbox", "me"), "No messages.\n");
  });

  test("M8 M13 M42 poll prints new mail at once, woken by a bell and not by its clock", async () => {
    using home = temporaryHome();
    await home.prints("register", "opencode", "-t", "open-code");
    await using poll = home.start(["poll", "opencode", "-i", "60000"]);
    await poll.untilPrinted("Polling for messages every 60000ms...\nPress Ctrl+C to stop.\n\n");
    await home.prints("register", "claude", "-t", "claude-code");
    await home.prints("send", "opencode", "Can you run the tests?", "-s", "claude");
    await poll.untilPrinted("\n[claude]: Can you run the tests?\n");
    home.writeAsOriginal("opencode", {
      id: "o",
      from: "old",
      to: "opencode",
      message: "by the original",
      timestamp: "",
    });
    await poll.untilPrinted("\n[old]: by the original\n");
    await waitUntil(() => home.inbox("opencode").length === 0, "both are gone");
    poll.child.kill("SIGINT");
    const { code, stderr } = await poll.ended;
    assert.deepEqual([code, stderr], [130, ""]);
  });

  test("M19 -i sets how often poll looks where it hears no bell, 2000 by default", async () => {
    using home = temporaryHome();
    await using poll = home.start(["poll", "me"]);
    await poll.untilPrinted("Polling for messages every 2000ms...");
    for (const wrong of ["0", "-1", "abc"]) {
      const { code, stderr } = await home.run("poll", "me", `--interval=${wrong}`);
      assert.deepEqual([code, /^Error: the interval must be a number of milliseconds/.test(stderr)], [1, true], stderr);
    }
  });

  test("each message goes to one of several pollers of a name", async () => {
    using home = temporaryHome();
    await home.prints("register", "me");
    await using one = home.start(["poll", "me"]);
    await using other = home.start(["poll", "me"]);
    await Promise.all([one.untilPrinted("Press"), other.untilPrinted("Press")]);
    await Promise.all(Array.from({ length: 20 }, (_, index) => home.prints("send", "me", `message ${index}.`)));
    await waitUntil(() => home.inbox("me").length === 0, "all are gone");
    for (const poll of [one, other]) poll.child.kill("SIGTERM");
    const said = (await one.ended).stdout + (await other.ended).stdout;
    for (let index = 0; index < 20; index++) assert.equal(said.split(`message ${index}.`).length, 2, `${index} once`);
  });

  test("messages taken by a killed reader come back after a while", async () => {
    using home = temporaryHome();
    home.writeAsOriginal("me", { id: "a", from: "you", to: "me", message: "survives", timestamp: "1" });
    const inbox = home.file(".agent-msg", "inbox", "me");
    renameSync(`${inbox}/original.json`, `${inbox}/original.json.taken`);
    assert.equal(await home.prints("inbox", "me"), "No messages.\n", "it may be on its way");
    while (!(await home.prints("inbox", "me", "--all")).includes("survives")) await sleep(500);
    assert.match(await home.prints("inbox", "me"), /survives\n\(Deleted 1 message/);
  });

  test("D15 names can't leave the folder", async () => {
    using home = temporaryHome();
    const refused = async (...words: string[]) => {
      const { code, stdout, stderr } = await home.run(...words);
      assert.deepEqual([code, stdout], [1, ""], words.join(" "));
      assert.match(stderr, /^Error: the agent's name ".*" must /, words.join(" "));
    };
    for (const name of ["../x", "a/b", "..", ".", "a\\b", "x\ny", "n".repeat(201)])
      await refused("register", "--", name);
    for (const words of [
      ["inbox", "../x"],
      ["poll", "../x"],
      ["send", "../x", "y"],
      ["send", "x/../../y", "z"],
    ]) {
      await refused(...words);
    }
    assert.deepEqual(
      readdirSync(home.path).filter((name) => name !== ".agent-msg"),
      [],
    );
  });

  test("names that mean something to JavaScript are names", async () => {
    using home = temporaryHome();
    for (const name of ["__proto__", "constructor", "toString"]) {
      assert.match((await home.run("send", name, "x")).stderr, /not found/);
      await home.prints("register", name);
      await home.prints("send", name, `to ${name}`);
      assert.match(await home.prints("inbox", name), new RegExp(`: to ${name}\n`));
    }
    assert.match(await home.prints("list"), /__proto__ \(other\)/);
  });

  test("an unfinished file is left alone, and an odd one is shown as text", async () => {
    using home = temporaryHome();
    home.writeAsOriginal("me", '{"from":"you","mess', "half");
    home.writeAsOriginal("me", { from: 7, message: ["a", { b: 1 }], timestamp: null }, "odd");
    home.writeAsOriginal("me", "null", "null");
    home.writeAsOriginal("me", { from: "\u001b[31mred", message: "a\tb\r\nc\u0007", timestamp: "t" }, "control");
    const { code, stdout } = await home.run("inbox", "me");
    assert.equal(code, 0);
    assert.match(stdout, /\[7 at null\]: \["a",\{"b":1\}\]\n/);
    assert.match(stdout, /\[\\u001b\[31mred at t\]: a {4}b\nc\\u0007\n/);
    assert.match(stdout, /\(Deleted 2 message\(s\)\)/);
    assert.deepEqual(home.inbox("me").toSorted(), ["half.json", "null.json"]);
    home.writeAsOriginal("me", { from: "you", message: "whole now", timestamp: "t" }, "half");
    assert.match(await home.prints("inbox", "me"), /whole now/);
  });

  test("concurrent registrations are kept, a stale lock is broken, a damaged list isn't overwritten", async () => {
    using home = temporaryHome();
    await Promise.all(Array.from({ length: 8 }, (_, index) => home.prints("register", `agent-${index}`)));
    const file = home.file(".agent-msg", "agents.json");
    assert.equal(Object.keys(Object(jsonIn(file))).length, 8);
    writeFileSync(`${file}.lock`, "");
    utimesSync(`${file}.lock`, 1, 1);
    await home.prints("register", "after");
    assert.equal(existsSync(`${file}.lock`), false);
    writeFileSync(file, '{"half":');
    const { code, stderr } = await home.run("register", "x");
    assert.equal(code, 1);
    assert.match(stderr, /agents\.json is damaged/);
    assert.equal(readFileSync(file, "utf8"), '{"half":');
  });

  test("nobody sees half of a large message", async () => {
    using home = temporaryHome();
    await home.prints("register", "me");
    const text = "x".repeat(100_000);
    await Promise.all([home.prints("send", "me", text), home.prints("send", "me", text)]);
    assert.equal((await home.prints("inbox", "me")).split(text).length, 3);
    assert.deepEqual(
      readdirSync(home.file(".agent-msg")).filter((name) => name.startsWith(".")),
      [],
    );
  });

  test("usage: help, version, and errors in a sentence", async () => {
    using home = temporaryHome();
    const help = await home.prints("--help");
    for (const verb of ["register", "list", "send", "inbox", "poll", "server", "connect", "ping"]) {
      assert.match(help, new RegExp(`^ {2}${verb} `, "m"));
      assert.match(await home.prints(verb, "--help"), new RegExp(`^Usage: agent-msg ${verb} `));
      assert.equal(await home.prints("help", verb), await home.prints(verb, "-h"));
    }
    assert.match(await home.prints("-V"), /^\d+\.\d+\.\d+\n$/);
    for (const [words, sentence] of [
      [["send", "x"], "missing required argument 'message'"],
      [["ping"], "missing required argument 'agent'"],
      [["send", "a", "b", "--nope"], "unknown option '--nope'"],
      [["nope"], "unknown command 'nope'"],
      [["inbox", "--all=x"], "option"],
      [["connect", "--header", "nonsense"], '--header takes "name: text"'],
      [["server", "-p", "99999"], "the port must be a number from 0 to 65535"],
    ] as const) {
      const { code, stdout, stderr } = await home.run(...words);
      assert.deepEqual([code, stdout.replace(/^Conn.*\n/, "")], [1, ""], words.join(" "));
      assert.ok(stderr.toLowerCase().startsWith(`error: ${sentence.toLowerCase()}`), stderr);
    }
  });
});
