import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type TemporaryBus, temporaryBus } from "../support/bus.ts";
import { run, type Server, waitUntil } from "../support/program.ts";
import { letSecondsPass } from "../support/sessions.ts";

/** The output, as a value. */
async function value(bus: TemporaryBus, ...words: string[]) {
  return Object(await bus.answer(...words, "--json"));
}

async function connected(bus: TemporaryBus, role: string, ...words: string[]): Promise<string> {
  return String((await value(bus, "connect", role, ...words)).id);
}

async function sent(bus: TemporaryBus, ...words: string[]): Promise<string> {
  return String((await value(bus, "command", "send", ...words)).command.id);
}

async function refuses(bus: TemporaryBus, words: string[], sentence: RegExp): Promise<void> {
  const { code, stdout, stderr } = await bus.run(...words);
  assert.match(stderr, sentence, words.join(" "));
  assert.deepEqual([code, stdout], [1, ""]);
}

const places: readonly [string, (bus: TemporaryBus) => Promise<{ at: TemporaryBus; server?: Server }>][] = [
  ["on the database", async (at) => ({ at })],
  [
    "against a server",
    async (bus) => {
      const server = await bus.serve();
      return { at: bus.with({ IPC_URL: server.url }), server };
    },
  ],
];

for (const [where, arrive] of places) {
  suite(`sessions on the command line, ${where}`, { concurrency: 4 }, () => {
    const check = (sentence: string, body: (bus: TemporaryBus, near: TemporaryBus) => Promise<void>) =>
      test(sentence, async () => {
        using near = temporaryBus();
        const { at, server } = await arrive(near);
        try {
          await body(at, near);
        } finally {
          await server?.[Symbol.asyncDispose]();
        }
      });

    check("B1 B27 B28 connect, peers, whoami, role, heartbeat and leave", async (bus) => {
      assert.equal((await bus.run("peers")).stdout, "Nobody is connected\n");
      const { code, stdout } = await bus.run("connect", "backend", "--capabilities", "node, docker");
      const [, id = ""] = /^(bac-[0-9a-f]{6}) is connected as backend\n$/.exec(stdout) ?? [];
      assert.deepEqual([code, id === ""], [0, false], stdout);
      assert.equal((await bus.run("peers")).stdout, `${id}  backend  online  can node, docker\n`);
      assert.equal((await bus.run("whoami", id)).stdout, `${id}  backend  online  can node, docker\n`);
      assert.equal((await bus.run("role", id, "tester")).stdout, `${id}  tester  online  can node, docker\n`);
      assert.equal((await bus.run("heartbeat", id)).stdout, `${id}  tester  online  can node, docker\n`);
      assert.equal((await bus.run("leave", id)).stdout, `${id} has left\n`);
      for (const words of [
        ["leave", id],
        ["whoami", id],
        ["heartbeat", id],
        ["role", id, "x"],
        ["command", "wait", id],
      ]) {
        await refuses(bus, words, new RegExp(`^Error: There is no session ${id}: connect first\n$`));
      }
    });

    check("B26 discover says who is there and which roles are free", async (bus) => {
      assert.match((await bus.run("discover")).stdout, /^Free roles, for example: orchestrator, backend, /);
      const id = await connected(bus, "orchestrator");
      const { stdout } = await bus.run("discover");
      assert.match(stdout, new RegExp(`^${id}  orchestrator  online\nFree roles, for example: backend, `));
      await refuses(
        bus,
        ["connect", "orchestrator"],
        /^Error: There is already an orchestrator: orc-[0-9a-f]{6}, seen \d+ s ago\n$/,
      );
    });

    check("a session that wasn't seen lately is shown as gone", async (bus, near) => {
      const id = await connected(bus, "backend");
      await letSecondsPass(near, 95);
      assert.equal((await bus.run("peers")).stdout, `${id}  backend  gone\n`);
      await refuses(bus, ["command", "send", "backend", "x"], new RegExp(`^Error: Every backend is gone: ${id}\n$`));
    });

    check("B2 B29 B31 B32 command send, wait and ack, and the sender waits for the answer", async (bus) => {
      const [boss, worker] = [await connected(bus, "orchestrator"), await connected(bus, "backend")];
      const waiter = bus.start(["command", "wait", worker]);
      const { stdout } = await bus.run("command", "send", "backend", "start_server", '{"port":7400}', "--from", boss);
      const [, id = ""] = /^(cmd-[0-9a-f]{12}) sent to (.*)\n$/.exec(stdout) ?? [];
      const { code, stdout: got, stderr } = await waiter.ended;
      assert.deepEqual([code, stderr], [0, ""]);
      const command = JSON.parse(got);
      assert.deepEqual(
        [command.id, command.action, command.params, command.fromId],
        [id, "start_server", { port: 7400 }, boss],
      );
      assert.equal((await bus.run("command", "ack", id, '{"pid":4711}')).stdout, `${id} is acknowledged\n`);
      assert.equal((await bus.run("command", "ack", id, '{"pid":4711}')).code, 0);
      await refuses(
        bus,
        ["command", "ack", id, '{"pid":1}'],
        /^Error: The command \S+ has already ended differently\n$/,
      );
      const answer = JSON.parse((await bus.run("command", "wait", boss, "--timeout", "10")).stdout);
      assert.deepEqual(
        [answer.kind, answer.params.command_id, answer.params.result],
        ["command_response", id, { pid: 4711 }],
      );
      await refuses(bus, ["command", "wait", boss, "--timeout", "0"], /^Error: No command came in that time\n$/);
      const { command: ended } = await value(bus, "command", "result", id);
      assert.deepEqual([ended.status, ended.result], ["acked", { pid: 4711 }]);
      assert.equal((await bus.run("command", "result", id)).stdout, '{"pid":4711}\n');
    });

    check("--timeout is in seconds, and a timeout is a failure", async (bus) => {
      const id = await connected(bus, "backend");
      const order = await sent(bus, id, "x");
      const signal = ["signal", "wait", "never"];
      for (const words of [["command", "result", order], signal, ["ask", id, "y"]]) {
        const started = performance.now();
        const { code, stdout, stderr } = await bus.run(...words, "--timeout", "1.2");
        const took = performance.now() - started;
        assert.ok(took > 1_200 && took < 9_000, `${words[0]}: ${took} ms`);
        assert.deepEqual([code, stdout], [1, ""]);
        assert.match(
          stderr,
          /^Error: (The time is up, and the command (cmd-\S+) is pending: it stands\. `el-ipc command result \2` waits on|The signal never was not set in that time)\n$/,
        );
      }
    });

    check("ask sends, waits and prints the result; or fails with what became of it", async (bus) => {
      const id = await connected(bus, "backend");
      const asking = bus.start(["ask", "backend", "sum", "[1,2]"]);
      const got = JSON.parse((await bus.run("command", "wait", id, "--timeout", "20")).stdout);
      assert.deepEqual([got.action, got.params], ["sum", [1, 2]]);
      await bus.run("command", "ack", got.id, "3");
      assert.deepEqual(await asking.ended, { code: 0, stdout: "3\n", stderr: "" });
      const failing = bus.start(["ask", id, "divide", '{"by":0}', "--timeout", "30"]);
      const second = JSON.parse((await bus.run("command", "wait", id, "--timeout", "20")).stdout);
      assert.equal((await bus.run("command", "fail", second.id, "by", "zero")).stdout, `${second.id} has failed\n`);
      const error = `Error: The command ${second.id} failed: by zero\n`;
      assert.deepEqual(await failing.ended, { code: 1, stdout: "", stderr: error });
      await refuses(bus, ["ask", "nobody", "x"], /^Error: There is no session and no role nobody\n$/);
    });

    check("asking a role prints how each session ended, and fails if one failed", async (bus) => {
      const ids = [await connected(bus, "tester"), await connected(bus, "tester")];
      const asking = bus.start(["ask", "tester", "run"]);
      const taken = await Promise.all(ids.map((id) => bus.run("command", "wait", id, "--timeout", "20")));
      const [first, second] = taken.map(({ stdout }) => JSON.parse(stdout).id);
      await bus.run("command", "fail", second, "red");
      await bus.run("command", "ack", first, '"green"');
      const error = `Error: The command ${second} failed: red\n`;
      assert.deepEqual(await asking.ended, { code: 1, stdout: '"green"\n', stderr: error });
    });

    check("a wait without --timeout goes on for as long as it takes", async (bus) => {
      const id = await connected(bus, "backend");
      const waiters = [bus.start(["command", "wait", id]), bus.start(["signal", "wait", "go"])];
      await sleep(2_500);
      for (const { child } of waiters) assert.equal(child.exitCode, null);
      await bus.run("command", "send", id, "x");
      await bus.run("signal", "set", "go");
      for (const { ended } of waiters) assert.equal((await ended).code, 0);
    });

    check("B30 command list and pending show commands without taking them", async (bus) => {
      const id = await connected(bus, "backend");
      const orders = [await sent(bus, id, "one"), await sent(bus, id, "two")];
      const line = (n: number, status: string) =>
        `${orders[n]}  ${status}  human -> ${id}  ${n === 0 ? "one" : "two"}\n`;
      for (let round = 0; round < 2; round++) {
        assert.equal((await bus.run("command", "pending", id)).stdout, line(0, "pending") + line(1, "pending"));
      }
      await bus.run("command", "wait", id);
      assert.equal((await bus.run("command", "pending", id)).stdout, line(1, "pending"));
      assert.equal((await bus.run("command", "list")).stdout, line(0, "leased") + line(1, "pending"));
      assert.equal((await bus.run("command", "list", id, "--status", "leased")).stdout, line(0, "leased"));
      assert.equal((await bus.run("command", "list", "--limit", "1")).stdout, line(1, "pending"));
    });

    check(
      "--any, --lease and --expires control how a command is handed out; retry offers it again",
      async (bus, near) => {
        const [one, two] = [await connected(bus, "tester"), await connected(bus, "tester")];
        const any = await sent(bus, "tester", "run", "--any", "--lease", "60");
        const first = JSON.parse((await bus.run("command", "wait", one)).stdout);
        assert.equal(first.id, any);
        await refuses(bus, ["command", "wait", two, "--timeout", "0"], /No command came/);
        await letSecondsPass(near, 61);
        const second = JSON.parse((await bus.run("command", "wait", two)).stdout);
        assert.deepEqual([second.id, second.attempts], [any, 2]);
        const late = await sent(bus, one, "late", "--expires", "1");
        await letSecondsPass(near, 2);
        await refuses(bus, ["command", "result", late], new RegExp(`^Error: The command ${late} is expired\n$`));
        assert.equal((await bus.run("command", "retry", late)).stdout, `${late} is offered again\n`);
        assert.equal(JSON.parse((await bus.run("command", "wait", one)).stdout).id, late);
        await refuses(bus, ["command", "retry", late], /is on its way, or was acknowledged/);
      },
    );

    check("a command that couldn't be printed is offered again at once", async (bus) => {
      const id = await connected(bus, "backend");
      const waiter = bus.start(["command", "wait", id]);
      waiter.child.stdout.destroy();
      const order = await sent(bus, id, "x");
      await waiter.ended;
      const lease = bus.environment.IPC_URL === undefined ? 0 : 1;
      const { commands } = await value(bus, "command", "list");
      // A server has handed it over: there it comes again when its lease ends.
      assert.deepEqual(
        [commands[0].id, commands[0].status, commands[0].attempts],
        [order, lease === 0 ? "pending" : "leased", lease],
      );
    });

    check("B4 B36 B37 B38 signal set, get, wait, list and clear", async (bus) => {
      await refuses(bus, ["signal", "get", "ready"], /^Error: The signal ready is not set\n$/);
      const waiter = bus.start(["signal", "wait", "ready"]);
      assert.equal(
        (await bus.run("signal", "set", "ready", '{"port":7400}', "--from", "ada")).stdout,
        "ready is set\n",
      );
      const waited = JSON.parse((await waiter.ended).stdout);
      assert.deepEqual([waited.name, waited.data, waited.from], ["ready", { port: 7400 }, "ada"]);
      for (const words of [
        ["signal", "get", "ready"],
        ["signal", "wait", "ready"],
        ["signal", "list"],
      ]) {
        assert.deepEqual(JSON.parse((await bus.run(...words)).stdout), waited, words.join(" "));
      }
      assert.equal((await bus.run("signal", "clear", "ready")).stdout, "ready is cleared\n");
      await refuses(bus, ["signal", "clear", "ready"], /is not set/);
      assert.equal((await bus.run("signal", "list")).stdout, "");
      await refuses(bus, ["signal", "set", "ready", "{"], /^Error: data must be JSON\n$/);
    });

    check("B33 B34 B35 channel send and messages", async (bus) => {
      for (const data of ['{"n":1}', '"text"', "[2]", "null"]) {
        assert.match(
          (await bus.run("channel", "send", "builds", data, "--from", "ada")).stdout,
          /^\{"ok":true,"id":\d\}\n$/,
        );
      }
      const lines = async (...words: string[]) =>
        (await bus.run("channel", "messages", "builds", ...words)).stdout
          .split("\n")
          .filter(Boolean)
          .map((line) => JSON.parse(line).data);
      assert.deepEqual(await lines(), [{ n: 1 }, "text", [2], null]);
      assert.deepEqual(await lines("--since", "2"), [[2], null]);
      assert.deepEqual(await lines("--since", "1", "--limit", "1"), ["text"]);
    });

    check("B39 B40 status prints all there is, and reset clears it", async (bus) => {
      const id = await connected(bus, "backend");
      await bus.run("command", "send", id, "x");
      await bus.run("signal", "set", "go");
      const status = Object(await bus.answer("status"));
      assert.deepEqual([status.peers[0].id, status.commands[0].target, status.signals.length], [id, id, 2]);
      assert.match(
        (await bus.run("reset")).stdout,
        /^\{"ok":true,"removed":0,"backup":".*(bus\.db\.backup-|\/backups\/)[^"]+"\}\n$/,
      );
      const after = Object(await bus.answer("status"));
      assert.deepEqual([after.peers, after.commands, after.signals], [[], [], []]);
    });

    check("IPC_AGENT names the sender of a command; without it that is a human", async (bus) => {
      const id = await connected(bus, "backend");
      assert.equal((await value(bus, "command", "send", id, "x")).command.from, "human");
      const me = bus.with({ IPC_AGENT: "ada" });
      assert.equal((await value(me, "command", "send", id, "x")).command.from, "ada");
      assert.equal((await value(me, "signal", "set", "go")).signal.from, "ada");
    });
  });
}

suite("waiters on the command line", { concurrency: 3 }, () => {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGKILL"] as const) {
    test(`one that ${signal} ends takes no command with it`, async () => {
      using bus = temporaryBus();
      const id = await connected(bus, "backend");
      await using waiter = bus.start(["command", "wait", id]);
      await waitUntil(async () => (await value(bus, "whoami", id)).peer.waiting_for === "commands", "it waits");
      waiter.child.kill(signal);
      const { stdout, stderr } = await waiter.ended;
      assert.deepEqual([stdout, stderr], ["", ""]);
      if (signal !== "SIGKILL") assert.equal((await value(bus, "whoami", id)).peer.waiting_for, null);
      const order = await sent(bus, id, "x");
      const next = JSON.parse((await bus.run("command", "wait", id)).stdout);
      assert.deepEqual([next.id, next.attempts], [order, 1]);
    });
  }

  test("verbs are listed by family, and an unknown one is refused with the list", async () => {
    using bus = temporaryBus();
    for (const family of ["command", "signal", "channel"]) {
      const { code, stdout } = await bus.run("help", family);
      assert.equal(code, 0);
      assert.match(stdout, new RegExp(`^Usage: el-ipc ${family} <command>`));
      assert.equal((await bus.run(family, "--help")).stdout, stdout);
      await refuses(bus, [family], new RegExp(`^Error: ${family} what\\? The commands are ${family} `));
      const { code: failed, stderr } = await bus.run(family, "nonsense");
      assert.equal(failed, 1);
      assert.match(stderr, new RegExp(`^Error: unknown command "${family} nonsense"; the commands are ${family} `));
    }
    for (const words of [
      ["command", "send", "--help"],
      ["help", "command", "wait"],
      ["signal", "wait", "--help"],
    ]) {
      const { stdout, code } = await run(words, bus.environment);
      assert.equal(code, 0);
      assert.match(stdout, /Usage: el-ipc (command|signal) /);
      if (words.includes("wait"))
        assert.match(stdout, /--timeout N +Wait at most this many seconds \(over HTTP: milliseconds\)/);
    }
  });
});
