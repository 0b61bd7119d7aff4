import assert from "node:assert/strict";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import { type Home, temporaryHome } from "../support/agent-msg.ts";
import { contentsOf } from "../support/bus.ts";
import { start, startServer, waitUntil } from "../support/program.ts";

const library = fileURLToPath(new URL("../../sources.d/ipc-library.js", import.meta.url));

/** A bus in secure mode in somebody's home, with a key for each of these agents in NAME.key. */
async function secure(home: Home, ...agents: string[]): Promise<void> {
  writeFileSync(home.file("ops.key"), (await home.bus("seed", "ops")).stdout, { mode: 0o600 });
  for (const agent of agents) {
    await home.bus("keygen", "--out", home.file(agent));
    const signed = ["--as", "ops", "--key", home.file("ops.key")];
    assert.equal((await home.bus("register", agent, "--pubkey", home.file(`${agent}.pub`), ...signed)).code, 0);
  }
}

suite("agent-msg on the bus", { concurrency: 4 }, () => {
  test("send goes by file to agents in the folder, by the bus to agents known there, never both", async () => {
    using home = temporaryHome();
    await home.bus("post", "both", "so that the bus knows both", "--from", "x");
    await home.bus("post", "remote", "so that the bus knows remote", "--from", "x");
    await home.bus("fetch", "both");
    await home.bus("fetch", "remote");
    await home.prints("register", "both");
    await home.prints("send", "both", "by file", "-s", "me");
    assert.equal(home.inbox("both").length, 1);
    assert.equal((await home.bus("fetch", "both")).stdout, "");
    assert.equal(await home.prints("send", "remote", "by the bus", "-s", "me"), "✓ Message sent to remote (3)\n");
    assert.deepEqual(home.inbox("remote"), []);
    const { sender, content } = JSON.parse((await home.bus("fetch", "remote")).stdout);
    assert.deepEqual([sender, content], ["me", "by the bus"]);
    assert.match((await home.run("send", "nobody", "x")).stderr, /^Error: Agent "nobody" not found\./);
  });

  test("agent-msg send and AgentMessenger choose alike: by file to registered names, else by the bus", async () => {
    using home = temporaryHome();
    for (const name of ["registered", "with-inbox", "unregistered"]) {
      await home.bus("post", name, "so that the bus knows it", "--from", "x");
      await home.bus("fetch", name);
    }
    await home.prints("register", "registered");
    mkdirSync(home.file(".agent-msg", "inbox", "with-inbox"));
    const messenger = home.file("messenger.cjs");
    writeFileSync(
      messenger,
      `const { AgentMessenger } = require(${JSON.stringify(library)});
      new AgentMessenger("me").send(process.argv[2], "by the messenger");`,
    );
    const sent = async (name: string) => {
      await home.prints("send", name, "by the verb", "-s", "me");
      const { code, stderr } = await start([name], home.environment, { entry: messenger }).ended;
      assert.deepEqual([code, stderr], [0, ""]);
      return { byFile: home.inbox(name).length, byBus: (await home.bus("fetch", name)).stdout };
    };
    assert.deepEqual(await sent("registered"), { byFile: 2, byBus: "" });
    for (const name of ["with-inbox", "unregistered"]) {
      const { byFile, byBus } = await sent(name);
      assert.equal(byFile, 0, name);
      assert.match(byBus, /by the verb[\s\S]*by the messenger/, name);
    }
  });

  test("the bus knows who is registered, connected, or has a mailbox; list says so", async () => {
    using home = temporaryHome();
    const { stdout } = await home.bus("connect", "backend");
    const [session = ""] = stdout.split(" ");
    await home.prints("register", "here", "-t", "codex");
    await home.bus("post", "here", "x", "--from", "y");
    await home.bus("post", "there", "x", "--from", "y");
    const listed = await home.prints("list");
    assert.match(listed, /^Registered agents:\n {2}here \(codex\) - registered .*\nOn the bus:\n/);
    assert.match(listed, new RegExp(`^ {2}${session} \\(connected\\)$`, "m"));
    assert.match(listed, /^ {2}there \(mailbox\)$/m);
    assert.equal(listed.match(/here/g)?.length, 2, "who is in the folder isn't listed again");
    assert.match(await home.prints("send", session, "to a session"), /^✓ Message sent/);
  });

  test("inbox and poll show mail from both, each once", async () => {
    using home = temporaryHome();
    await home.prints("register", "me");
    await home.prints("send", "me", "by file", "-s", "a");
    await home.bus("post", "me", "by the bus", "--from", "b");
    const all = await home.prints("inbox", "me", "--all");
    assert.match(all, /^\[a at .*Z\]: by file\n\[b at .*Z\]: by the bus\n$/);
    assert.equal(await home.prints("inbox", "me"), `${all}(Deleted 2 message(s))\n`);
    assert.equal(await home.prints("inbox", "me"), "No messages.\n");
    assert.equal((await home.bus("fetch", "me")).stdout, "");

    await using poll = home.start(["poll", "me", "-i", "60000"]);
    await poll.untilPrinted("Press Ctrl+C");
    await home.bus("post", "me", "two", "--from", "b");
    await poll.untilPrinted("\n[b]: two\n");
    await home.prints("send", "me", "one", "-s", "a");
    await poll.untilPrinted("\n[a]: one\n");
    await waitUntil(async () => (await home.bus("inbox", "me")).stderr.startsWith("0 unread"), "it was taken");
    poll.child.kill("SIGTERM");
    assert.equal((await poll.ended).stdout.match(/\]: /g)?.length, 2);
    assert.match(await home.prints("inbox", "me"), /^No messages/);
  });

  test("what couldn't be printed isn't consumed", async () => {
    using home = temporaryHome();
    await home.prints("register", "me");
    for (const send of [() => home.prints("send", "me", "kept"), () => home.bus("post", "me", "kept", "--from", "b")]) {
      await using poll = home.start(["poll", "me"]);
      await poll.untilPrinted("Press Ctrl+C");
      poll.child.stdout.destroy();
      await send();
      assert.equal((await poll.ended).code, 141);
    }
    assert.equal(home.inbox("me").length, 1);
    assert.match((await home.bus("inbox", "me")).stderr, /^1 unread/);
  });

  test("a folder alone needs no bus, and poll goes on with the folder where the bus can't be opened", async () => {
    using home = temporaryHome();
    await home.prints("register", "me");
    await home.prints("send", "me", "x");
    await home.prints("inbox", "me");
    await home.prints("list");
    assert.equal(existsSync(home.file("bus.db")), false);
    const broken = home.with({ IPC_DB_PATH: home.file("no", "such", "folder", "bus.db") });
    await using poll = broken.start(["poll", "me", "-i", "50"]);
    await poll.untilLogged("Only the folder is polled for now: The database");
    await home.prints("send", "me", "still read", "-s", "a");
    await poll.untilPrinted("[a]: still read");
  });

  test("inbox prints what came by file even where the bus fails, and then says so", async () => {
    using home = temporaryHome();
    await home.prints("register", "me");
    await home.prints("send", "me", "by file", "-s", "a");
    const { code, stdout, stderr } = await home.with({ IPC_URL: "http://127.0.0.1:1" }).run("inbox", "me");
    assert.equal(code, 1);
    assert.match(stdout, /^\[a at .*\]: by file\n\(Deleted 1 message\(s\)\)\n$/);
    assert.match(stderr, /^Error: No server answers at http:\/\/127\.0\.0\.1:1/);
  });

  test("in secure mode what is sent is signed with IPC_KEY, here and over a server", async () => {
    using home = temporaryHome();
    await secure(home, "herald", "reader");
    const unsigned = await home.run("send", "reader", "x", "-s", "herald");
    assert.deepEqual([unsigned.code, /^Error: signature required/.test(unsigned.stderr)], [1, true], unsigned.stderr);
    const herald = home.with({ IPC_KEY: home.file("herald.key"), IPC_AGENT: "herald" });
    assert.match(await herald.prints("send", "reader", "signed"), /^✓ Message sent to reader \(\d+\)\n$/);

    await using server = await startServer(home.environment);
    const far = herald.with({ IPC_URL: server.url, IPC_DB_PATH: home.file("unused.db") });
    await far.prints("send", "reader", "signed from afar");
    const reader = home.with({ IPC_KEY: home.file("reader.key"), IPC_AGENT: "reader", IPC_URL: server.url });
    const printed = await reader.prints("inbox");
    assert.match(printed, /^\[herald at .*\]: signed\n\[herald at .*\]: signed from afar\n\(Deleted 2/);
    assert.equal(existsSync(home.file("unused.db")), false);
    const read = JSON.parse((await home.bus("channel", "messages", "@reader", "--json")).stdout);
    assert.equal(read.messages.length, 2);
    assert.deepEqual(contentsOf(JSON.parse((await home.bus("read", "@reader", "other")).stdout)), [
      "signed",
      "signed from afar",
    ]);
  });
});
