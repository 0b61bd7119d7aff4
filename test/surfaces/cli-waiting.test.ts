import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from "node:fs";
import { suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { aboutTheFile, contentsOf, temporaryBus, untilOneWaits } from "../support/bus.ts";
import { original } from "../support/original.ts";
import { entry, environmentOf, run, waitUntil } from "../support/program.ts";

suite("a waiter", { concurrency: 6 }, () => {
  test("E9 E55 read --wait blocks, prints the message and nothing else at all, and ends with 0", async () => {
    using bus = temporaryBus();
    const waiter = bus.start(["read", "c", "me", "--wait"], { input: "" });
    await untilOneWaits(bus);
    assert.equal(waiter.child.exitCode, null);
    await bus.run("send", "c", "you", "wake up");
    const { code, stdout, stderr } = await waiter.ended;
    assert.deepEqual([code, stderr], [0, ""]);
    assert.deepEqual(contentsOf(JSON.parse(stdout)), ["wake up"]);
    assert.deepEqual(await bus.answer("read", "c", "me"), []);
  });

  test("prints at once what is already there", async () => {
    using bus = temporaryBus();
    await bus.run("send", "c", "you", "1");
    await bus.run("send", "c", "you", "2");
    assert.deepEqual(contentsOf(await bus.answer("read", "c", "me", "--wait")), ["1", "2"]);
  });

  test("--timeout bounds it: [] and 0", async () => {
    using bus = temporaryBus();
    const started = performance.now();
    const { code, stdout, stderr } = await bus.run("read", "c", "me", "--wait", "--timeout", "0.3");
    assert.deepEqual([code, stdout, stderr], [0, "[]\n", ""]);
    assert.ok(performance.now() - started >= 300);
    assert.equal((await bus.run("read", "c", "me", "--wait", "--timeout", "0")).stdout, "[]\n");
  });

  test("is not woken by another channel, nor with --others by its own message", async () => {
    using bus = temporaryBus();
    await using waiter = bus.start(["read", "c", "me", "--wait", "--others"]);
    await untilOneWaits(bus);
    await bus.run("send", "d", "you", "elsewhere");
    await bus.run("send", "c", "me", "mine");
    await sleep(600);
    assert.equal(waiter.child.exitCode, null);
    await bus.run("send", "c", "you", "yours");
    assert.deepEqual(contentsOf(JSON.parse((await waiter.ended).stdout)), ["yours"]);
  });

  test("hears a message that the original wrote, which rings no bell", aboutTheFile, async () => {
    using bus = temporaryBus();
    const waiter = bus.start(["read", "c", "me", "--wait"]);
    await untilOneWaits(bus);
    await using python = original(bus.file("bus.db"));
    await python.send("c", "python", "no bell", Date.now() / 1_000);
    assert.deepEqual(contentsOf(JSON.parse((await waiter.ended).stdout)), ["no bell"]);
  });

  test("a database reached by a link has the same bells as by its own name", aboutTheFile, async () => {
    using bus = temporaryBus();
    await bus.run("channels");
    mkdirSync(bus.file("elsewhere"));
    symlinkSync(bus.file("bus.db"), bus.file("elsewhere/link.db"));
    const waiter = bus.start(["read", "c", "me", "--wait"]);
    await untilOneWaits(bus);
    const linked = { IPC_DB_PATH: bus.file("elsewhere/link.db") };
    await run(["send", "c", "you", "by a link"], linked);
    assert.deepEqual(contentsOf(JSON.parse((await waiter.ended).stdout)), ["by a link"]);
    assert.ok(!existsSync(bus.file("elsewhere/link.db-bells")));
    const other = run(["read", "d", "me", "--wait"], linked);
    await waitUntil(() => readdirSync(bus.file("bus.db-bells")).length === 2, "a bell beside the file");
    await bus.run("send", "d", "you", "x");
    assert.equal((await other).code, 0);
  });

  test("many wait at once, in many channels, and each gets its message once", async () => {
    using bus = temporaryBus();
    const agents = ["a", "b", "c", "d"];
    const waiters = agents.flatMap((agent) =>
      ["x", "y"].map((channel) => ({ channel, program: bus.start(["read", channel, agent, "--wait"]) })),
    );
    await untilOneWaits(bus);
    await Promise.all(["x", "y"].map((channel) => bus.run("send", channel, "sender", `for ${channel}`)));
    for (const { channel, program } of waiters) {
      const { code, stdout } = await program.ended;
      assert.equal(code, 0);
      assert.deepEqual(contentsOf(JSON.parse(stdout)), [`for ${channel}`]);
    }
  });

  const signals = [
    { signal: "SIGINT", code: 130 },
    { signal: "SIGTERM", code: 143 },
    { signal: "SIGHUP", code: 129 },
  ] as const;
  for (const { signal, code } of signals) {
    for (const words of [
      ["read", "c", "me", "--wait"],
      ["follow", "c", "me"],
    ]) {
      test(`${signal} ends ${words[0]} with ${code} and nothing printed`, async () => {
        using bus = temporaryBus();
        const waiter = bus.start(words, { input: null });
        await untilOneWaits(bus);
        waiter.child.kill(signal);
        assert.deepEqual(await waiter.ended, { code, stdout: "", stderr: "" });
      });
    }
  }

  test("never reads standard input: empty, closed, full or open, it waits all the same", async () => {
    using bus = temporaryBus();
    const inputs = ["", "a line that nobody reads\n", "x".repeat(200_000), null];
    const waiters = inputs.map((input) => bus.start(["read", "c", "me", "--wait", "--peek"], { input }));
    const closed = spawn("sh", ["-c", 'exec "$@" read c me --wait --peek <&-', "sh", process.execPath, entry], {
      env: environmentOf(bus.environment),
      stdio: ["ignore", "pipe", "pipe"],
    });
    await untilOneWaits(bus);
    await sleep(300);
    assert.deepEqual([...waiters.map(({ child }) => child.exitCode), closed.exitCode], [null, null, null, null, null]);
    const ended = once(closed, "exit");
    await bus.run("send", "c", "you", "hello");
    for (const waiter of waiters) {
      const { code, stdout } = await waiter.ended;
      assert.deepEqual([code, contentsOf(JSON.parse(stdout))], [0, ["hello"]]);
    }
    assert.deepEqual(await ended, [0, null]);
  });

  test("an input that stays open doesn't keep it alive once it has its message", async () => {
    using bus = temporaryBus();
    const waiter = bus.start(["read", "c", "me", "--wait"], { input: null });
    await untilOneWaits(bus);
    await bus.run("send", "c", "you", "hello");
    assert.equal((await waiter.ended).code, 0);
  });

  for (const words of ["read c me --wait", "follow c me"]) {
    test(`${words} ends soon after the process that started it`, async () => {
      using bus = temporaryBus();
      const line = `"$@" ${words} & echo $! ; wait`;
      const parent = spawn("sh", ["-c", line, "sh", process.execPath, entry], { env: environmentOf(bus.environment) });
      const [said] = await once(parent.stdout, "data");
      const orphan = Number(String(said));
      try {
        await untilOneWaits(bus);
        assert.ok(isAlive(orphan));
        parent.kill("SIGKILL");
        await waitUntil(() => !isAlive(orphan), "the end of the orphan", 5_000);
      } finally {
        if (isAlive(orphan)) process.kill(orphan, "SIGKILL");
      }
    });
  }
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  // Ended, but not fetched yet by whoever adopts orphans here.
  const status = `/proc/${pid}/stat`;
  return !(existsSync(status) && /\) Z /.test(readFileSync(status, "utf8")));
}
