import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { contentsOf, type Message, messagesOf, temporaryBus } from "../support/bus.ts";
import { ask } from "../support/http.ts";

const MESSAGES = 60;

suite("a mailbox read as a channel by its owner", { concurrency: 3 }, () => {
  for (const where of ["near", "over HTTP"] as const) {
    test(`T13 readers of one name never get the same message, ${where}`, async () => {
      using bus = temporaryBus();
      await using server = await bus.serve();
      const asked = where === "near" ? bus : bus.with({ IPC_URL: server.url });
      const readers = Array.from({ length: 4 }, async () => {
        const got: Message[] = [];
        for (;;) {
          const messages = messagesOf(
            await asked.answer("read", "@me", "me", "--wait", "--timeout", "2", "--limit", "7"),
          );
          if (messages.length === 0) return got;
          got.push(...messages);
        }
      });
      for (let index = 0; index < MESSAGES; index++) {
        await ask(server.url, "POST /mailboxes/me", { body: { from: "you", message: `m${index}` } });
      }
      const contents = contentsOf((await Promise.all(readers)).flat());
      assert.equal(contents.length, MESSAGES);
      assert.equal(new Set(contents).size, MESSAGES);
      assert.match((await bus.run("mailboxes")).stdout, /^me {2}0$/m);
    });
  }

  test("unprinted messages go to the next reader at once, and a peek takes nothing", async () => {
    using bus = temporaryBus();
    await bus.run("post", "me", "one", "--from", "you");
    assert.deepEqual(contentsOf(await bus.answer("read", "@me", "me", "--peek")), ["one"]);
    const deaf = bus.start(["read", "@me", "me", "--wait"]);
    deaf.child.stdout.destroy();
    assert.equal((await deaf.ended).code, 141);
    assert.deepEqual(contentsOf(await bus.answer("read", "@me", "me")), ["one"]);
    assert.deepEqual(contentsOf(await bus.answer("read", "@me", "me")), []);
    assert.deepEqual(contentsOf(await bus.answer("read", "@me", "somebody")), ["one"], "for others it is a channel");
  });

  test("--others leaves out one's own, and consumes them", async () => {
    using bus = temporaryBus();
    await bus.run("post", "me", "a note to myself", "--from", "me");
    assert.deepEqual(contentsOf(await bus.answer("read", "@me", "me", "--others")), []);
    await bus.run("post", "me", "from you", "--from", "you");
    assert.deepEqual(contentsOf(await bus.answer("read", "@me", "me", "--others", "--wait", "--burst", "0.1")), [
      "from you",
    ]);
    assert.match((await bus.run("inbox", "me")).stderr, /^0 unread/);
  });

  test("T15 waiting messages are counted the same everywhere", async () => {
    using bus = temporaryBus();
    await using server = await bus.serve();
    for (const text of ["one", "two", "three"]) await bus.run("post", "me", text, "--from", "you");
    const manual = await ask(server.url, "GET /mailboxes/me/fetch?limit=2&ack=manual");
    const [, second] = messagesOf(Object(manual.json).messages);
    await ask(server.url, "POST /mailboxes/me/settle", { body: { ids: [second?.id] } });
    assert.deepEqual(Object((await ask(server.url, "GET /mailboxes")).json).mailboxes, [{ mailbox: "me", unread: 2 }]);
    assert.equal(Object((await ask(server.url, "GET /mailboxes/me")).json).unread, 2);
    assert.equal(Object(await bus.answer("health", "@me", "me")).pending, 2);
    assert.match((await bus.run("mailboxes")).stdout, /^me {2}2$/m);
    assert.match((await bus.run("inbox", "me")).stdout, /^.*"one".*\n.*"three"/);
  });
});
