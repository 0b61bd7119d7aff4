import assert from "node:assert/strict";
import { connect } from "node:net";
import { suite, test } from "node:test";
import { startStandInSocket } from "../support/http.ts";
import { run, start, waitUntil } from "../support/program.ts";
import { connectLines, freePort } from "../support/sockets.ts";

const tcp = (...words: string[]) => run(["tcp", ...words], {});

/** A receiver, once it listens. */
async function receiver(port: number, ...words: string[]) {
  const program = start(["tcp", "receive", String(port), ...words], {});
  await waitUntil(() => listens(port), "the receiver");
  return program;
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.on("connect", () => resolve(true)).on("error", () => resolve(false));
    socket.on("connect", () => socket.destroy());
  });
}

suite("point-to-point over TCP", { concurrency: 4 }, () => {
  test("T3 T4 T5 T18 a text goes straight to who listens at localhost:port, and no bus is there", async () => {
    const port = await freePort();
    await using listening = await receiver(port, "--timeout", "20");
    const content = 'line one\nline two: "quoted", ü, 🎉';
    const sent = await tcp("send", `localhost:${port}`, content);
    assert.deepEqual(sent, { code: 0, stdout: `Delivered to localhost:${port}\n`, stderr: "" });
    assert.deepEqual(await listening.ended, { code: 0, stdout: `${content}\n`, stderr: "" });
    assert.equal(await listens(port), false);
  });

  test("T6 T8 pings are answered with their round trip, and the receiver goes on waiting", async () => {
    const port = await freePort();
    await using listening = await receiver(port);
    for (let count = 0; count < 3; count++) {
      const { code, stdout } = await tcp("ping", `127.0.0.1:${port}`);
      assert.equal(code, 0);
      assert.match(stdout, new RegExp(`^Pong from 127\\.0\\.0\\.1:${port} in \\d+(\\.\\d+)? ms\n$`));
    }
    const { ms } = JSON.parse((await tcp("ping", `localhost:${port}`, "--json")).stdout);
    assert.ok(ms > 0 && ms < 10_000);
    await tcp("send", `localhost:${port}`, "done");
    assert.equal((await listening.ended).stdout, "done\n");
  });

  test("T17 a conversation: each sends, and waits where the other one answers", async () => {
    const [a, b] = [await freePort(), await freePort()];
    await using first = await receiver(a, "--timeout", "120");
    const answered = (async () => {
      await first.ended;
      // Nobody listens there yet: it is waited for.
      return tcp("send", `localhost:${b}`, "hello B");
    })();
    assert.equal((await tcp("send", `localhost:${a}`, "hello A")).code, 0);
    await using second = start(["tcp", "receive", String(b)], {});
    assert.equal((await answered).code, 0);
    assert.equal((await first.ended).stdout, "hello A\n");
    assert.equal((await second.ended).stdout, "hello B\n");
  });

  test("T5 a wait that times out fails", async () => {
    const port = await freePort();
    const started = performance.now();
    const { code, stdout, stderr } = await tcp("receive", String(port), "--timeout", "0.3");
    assert.deepEqual([code, stdout, stderr], [1, "", "Error: No message came in that time\n"]);
    assert.ok(performance.now() - started > 300);
  });

  test("a missing receiver is reported, with what to do", async () => {
    const port = await freePort();
    const hint = `Error: Nobody listens at localhost:${port}: start \`el-ipc tcp receive ${port}\` there\n`;
    assert.deepEqual(await tcp("ping", `localhost:${port}`), { code: 1, stdout: "", stderr: hint });
    assert.deepEqual(await tcp("send", `localhost:${port}`, "x", "--timeout", "0.3"), {
      code: 1,
      stdout: "",
      stderr: hint,
    });
    assert.match((await tcp("ping", "no.such.host.invalid:1")).stderr, /^Error: There is no host of that name/);
    assert.match((await tcp("ping", "a b")).stderr, /is no address: give host:port, such as localhost:19900/);
  });

  test("T19 a text has 1 MiB at most, on both sides", async () => {
    const port = await freePort();
    const large = "é".repeat(512 * 1024);
    const tooLarge = await run(["tcp", "send", `localhost:${port}`, "-"], {}, `${large}x`);
    assert.match(tooLarge.stderr, /message must be 1 MiB of UTF-8 at most/);
    await using listening = await receiver(port);
    using raw = await connectLines(port);
    raw.say({ type: "message", text: `${large}x` });
    assert.deepEqual(await raw.next(), { type: "error", error: "the text must be 1 MiB of UTF-8 at most" });
    assert.equal((await run(["tcp", "send", `localhost:${port}`, "-"], {}, large)).code, 0);
    assert.equal((await listening.ended).stdout, `${large}\n`);
  });

  test("anything unexpected ends its connection, not the wait", async () => {
    const port = await freePort();
    await using listening = await receiver(port);
    for (const said of [
      "GET / HTTP/1.1\r\n\r\n",
      "[]\n",
      '{"type":"other"}\n',
      '{"type":"message"}\n',
      '{"type":"message","text":"x"',
    ]) {
      using raw = await connectLines(port);
      raw.socket.end(said);
      assert.equal((await raw.next()).type, "error", said);
      await raw.closed;
    }
    using endless = await connectLines(port);
    const flood = Buffer.alloc(1024 * 1024, "a");
    for (let count = 0; count < 8; count++) endless.socket.write(flood);
    assert.deepEqual(await endless.next(), { type: "error", error: "the line is too long" });
    await tcp("send", `localhost:${port}`, "still there");
    assert.equal((await listening.ended).stdout, "still there\n");
  });

  test("the sender hears whether its text was printed", async () => {
    const port = await freePort();
    const listening = await receiver(port);
    listening.child.stdout.destroy();
    const sent = await tcp("send", `localhost:${port}`, "x".repeat(300_000).slice(0, 200), "--timeout", "5");
    assert.equal((await listening.ended).code, 141);
    assert.equal(sent.stderr, `Error: localhost:${port} did not take it: it could not be taken\n`);
  });

  test("of two senders at once, the second is told that it was too late", async () => {
    const port = await freePort();
    await using listening = await receiver(port);
    using one = await connectLines(port);
    using other = await connectLines(port);
    one.say({ type: "message", text: "first" });
    other.say({ type: "message", text: "second" });
    const answers = await Promise.all([one.next(), other.next()]);
    const { stdout } = await listening.ended;
    const [won, lost] = stdout === "first\n" ? answers : answers.toReversed();
    assert.deepEqual(won, { type: "taken" });
    assert.equal(lost?.type, "error");
  });

  test("T10 T24 a taken port and a foreign address are reported", async () => {
    using taken = await startStandInSocket(() => {});
    assert.match(
      (await tcp("receive", String(taken.port))).stderr,
      /is taken: something listens there already; choose another port/,
    );
    assert.match(
      (await tcp("receive", "--bind", "192.0.2.1")).stderr,
      /192\.0\.2\.1 is not an address of this machine/,
    );
    assert.match(
      (await tcp("ping", `localhost:${taken.port}`, "--timeout", "0.3")).stderr,
      /did not answer in that time/,
    );
  });

  test("T24 only this machine is listened to, unless --bind says otherwise", async () => {
    const port = await freePort();
    await using all = start(["tcp", "receive", String(port), "--bind", "0.0.0.0"], {});
    await waitUntil(() => listens(port), "the receiver");
    assert.equal((await tcp("send", `127.0.0.2:${port}`, "from beyond, nearly")).code, 0);
    assert.equal((await all.ended).stdout, "from beyond, nearly\n");
  });

  test("T20 T22 T23 the help states the defaults and the limits", async () => {
    const help = async (verb: string) => (await run(["tcp", verb, "--help"], {})).stdout;
    assert.match(await help("receive"), /19900/);
    assert.match(await help("receive"), /60; 300 at most/);
    assert.match(await help("receive"), /127\.0\.0\.1/);
    assert.match(await help("send"), /10; 300 at most/);
    assert.match(await help("ping"), /10; 300 at most/);
    assert.match(await help("broker"), /19901/);
  });
});
