import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { contentsOf, messagesOf, temporaryBus } from "../support/bus.ts";

suite("the command line on an open bus", { concurrency: 6 }, () => {
  test("E5 before an operator is seeded any agent can send and read", async () => {
    using bus = temporaryBus();
    for (const agent of ["a", "b", "somebody else"]) {
      assert.equal((await bus.run("send", "room", agent, `from ${agent}`)).code, 0);
    }
    for (const agent of ["a", "stranger"]) {
      assert.deepEqual(contentsOf(await bus.answer("read", "room", agent)), ["from a", "from b", "from somebody else"]);
    }
  });

  test("E7 E26 send and read work on the database itself, with no server running", async () => {
    using bus = temporaryBus();
    const sent = await bus.run("send", "my-channel", "agent-a", "Hello from Agent A");
    assert.deepEqual(sent, {
      code: 0,
      stdout: '{"ok":true,"id":1,"channel":"my-channel","signed":false}\n',
      stderr: "",
    });
    assert.deepEqual(contentsOf(await bus.answer("read", "my-channel", "agent-b")), ["Hello from Agent A"]);
  });

  test("E8 E48 read prints an agent's unread messages as the original does, then []", async () => {
    using bus = temporaryBus();
    const before = Date.now() / 1_000;
    await bus.run("send", "room", "a", "one");
    await bus.run("send", "room", "a", "two");
    const { code, stdout, stderr } = await bus.run("read", "room", "b");
    const messages = messagesOf(JSON.parse(stdout));
    assert.deepEqual([code, stderr], [0, ""]);
    assert.equal(stdout, `${JSON.stringify(messages, null, 2)}\n`);
    assert.deepEqual(
      messages.map(({ timestamp, ...rest }) => rest),
      [
        { id: 1, sender: "a", content: "one" },
        { id: 2, sender: "a", content: "two" },
      ],
    );
    for (const { timestamp } of messages) assert.ok(timestamp >= before && timestamp <= Date.now() / 1_000);
    assert.equal((await bus.run("read", "room", "b")).stdout, "[]\n");
    assert.equal((await bus.run("read", "no-such-channel", "b")).stdout, "[]\n");
  });

  test("E29 each agent reads a channel's messages once, including its own", async () => {
    using bus = temporaryBus();
    await bus.run("send", "one", "a", "1");
    await bus.run("send", "two", "a", "2");
    assert.deepEqual(contentsOf(await bus.answer("read", "one", "a")), ["1"]);
    assert.deepEqual(contentsOf(await bus.answer("read", "one", "b")), ["1"]);
    assert.deepEqual(contentsOf(await bus.answer("read", "two", "b")), ["2"]);
    await bus.run("send", "one", "b", "3");
    for (const agent of ["a", "b"]) {
      assert.deepEqual(contentsOf(await bus.answer("read", "one", agent)), ["3"]);
      assert.deepEqual(await bus.answer("read", "one", agent), []);
    }
  });

  test("--others skips one's own messages, and consumes them", async () => {
    using bus = temporaryBus();
    await bus.run("send", "room", "me", "mine");
    await bus.run("send", "room", "you", "yours");
    await bus.run("send", "room", "me", "mine again");
    assert.deepEqual(contentsOf(await bus.answer("read", "room", "me", "--others")), ["yours"]);
    assert.deepEqual(await bus.answer("read", "room", "me", "--others"), []);
    assert.deepEqual(await bus.answer("read", "room", "me"), []);
  });

  test("--peek leaves messages unread, --limit reads some, ack consumes up to one", async () => {
    using bus = temporaryBus();
    for (const text of ["1", "2", "3", "4"]) await bus.run("send", "room", "a", text);
    assert.deepEqual(contentsOf(await bus.answer("read", "room", "b", "--peek")), ["1", "2", "3", "4"]);
    assert.deepEqual(contentsOf(await bus.answer("read", "room", "b", "--limit", "2")), ["1", "2"]);
    assert.deepEqual(await bus.answer("ack", "room", "b", "3"), { ok: true, watermark: 3 });
    assert.deepEqual(contentsOf(await bus.answer("read", "room", "b", "--limit=1", "--peek")), ["4"]);
    assert.deepEqual(await bus.answer("ack", "room", "b", "1"), { ok: true, watermark: 3 });
    assert.deepEqual(await bus.answer("ack", "room", "b", "999"), { ok: true, watermark: 4 });
    await bus.run("send", "room", "a", "5");
    assert.deepEqual(contentsOf(await bus.answer("read", "room", "b")), ["5"]);
  });

  test("E47 words beyond the third are one message, joined with spaces", async () => {
    using bus = temporaryBus();
    await bus.run("send", "room", "a", "all", "of", "this");
    await bus.run("send", "room", "a", "a  b", "", "c");
    assert.deepEqual(contentsOf(await bus.answer("read", "room", "b")), ["all of this", "a  b  c"]);
  });

  test("E49 channels lists each with its count, newest first", async () => {
    using bus = temporaryBus();
    assert.equal((await bus.run("channels")).stdout, "[]\n");
    await bus.run("send", "old", "a", "1");
    await bus.run("send", "new", "a", "2");
    await bus.run("send", "new", "a", "3");
    const messages = messagesOf(await bus.answer("read", "new", "b"));
    const channels = await bus.answer("channels");
    assert.ok(Array.isArray(channels));
    assert.deepEqual(channels[0], { channel: "new", count: 2, last_message: messages[1]?.timestamp });
    assert.deepEqual([channels.length, channels[1]?.channel, channels[1]?.count], [2, "old", 1]);
  });

  test("E53 agents says so when there are none", async () => {
    using bus = temporaryBus();
    const listed = await bus.run("agents");
    assert.deepEqual(listed, {
      code: 0,
      stdout: "No agents registered (open mode — anyone can send)\n",
      stderr: "",
    });
    assert.deepEqual(await bus.answer("agents", "--json"), []);
  });

  test("follow prints unread messages, then new ones, a line each, and consumes them", async () => {
    using bus = temporaryBus();
    await bus.run("send", "room", "a", "before");
    await using following = bus.start(["follow", "room", "b"]);
    await following.untilPrinted("before");
    await bus.run("send", "room", "a", "two\nlines");
    const printed = await following.untilPrinted(/\n.*\n/);
    assert.deepEqual(
      contentsOf(
        printed
          .trimEnd()
          .split("\n")
          .map((line) => JSON.parse(line)),
      ),
      ["before", "two\nlines"],
    );
    following.child.kill("SIGINT");
    assert.equal((await following.ended).code, 130);
    assert.deepEqual(await bus.answer("read", "room", "b"), []);
  });

  test("follow --since begins where it says, and --peek leaves all unread", async () => {
    using bus = temporaryBus();
    for (const text of ["1", "2", "3"]) await bus.run("send", "room", "a", text);
    await using following = bus.start(["follow", "room", "b", "--since", "1", "--peek"]);
    const printed = await following.untilPrinted('"3"');
    assert.deepEqual(
      contentsOf(
        printed
          .trimEnd()
          .split("\n")
          .map((line) => JSON.parse(line)),
      ),
      ["2", "3"],
    );
    following.child.kill("SIGTERM");
    assert.equal((await following.ended).code, 143);
    assert.equal(contentsOf(await bus.answer("read", "room", "b")).length, 3);
  });

  test("health says what an agent has to read", async () => {
    using bus = temporaryBus();
    await bus.run("send", "room", "a", "1");
    assert.deepEqual(await bus.answer("health"), { status: "ok", pending: 0, secure_mode: false });
    assert.deepEqual(await bus.answer("health", "room", "b"), { status: "ok", pending: 1, secure_mode: false });
    await bus.run("read", "room", "b");
    assert.deepEqual(await bus.answer("health", "room", "b"), { status: "ok", pending: 0, secure_mode: false });
  });
});
