import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmodSync, cpSync, existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import {
  busEnvironment,
  hook,
  jsonOf,
  link,
  type Outcome,
  place,
  repository,
  run,
  scratch,
  shells,
} from "./support.ts";

/** A folder as the plugin cache makes one for each version. */
function installed(folder: string, version = "2.0.0"): { root: string; start: string; source: string } {
  const root = join(folder, "plugins", "cache", "a market", "el-ipc", version);
  const start = place(join(root, "hooks", "session-start.sh"), readFileSync(hook, "utf8"), 0o755);
  const source = place(join(root, "sources.d", "ipc-server.sh"), "#!/bin/sh\necho from an installed version\n", 0o755);
  return { root, start, source };
}

const inHome = (home: string) => join(home, ".config", "claude-event-listeners", "sources.d", "ipc-server.sh");
const nothing: Outcome = { code: 0, stdout: "", stderr: "" };
const path = "/usr/bin:/bin";

for (const shell of shells()) {
  suite(`the SessionStart hook in ${shell.name}`, { concurrency: true }, () => {
    const start = (file: string, env: Record<string, string>, cwd = "/") =>
      run(shell.program, [...shell.words, file], { env: { PATH: path, ...env }, cwd, stdin: '{"source":"startup"}' });

    test("D19 links the event source in the home folder, and says nothing", async (t) => {
      const home = join(scratch(t), "home with spaces");
      const { start: file, source } = installed(home);
      assert.deepEqual(await start(file, { HOME: home }), nothing);
      assert.equal(readlinkSync(inHome(home)), source);
      assert.equal((await run(inHome(home), [], { env: { PATH: path } })).stdout, "from an installed version\n");
    });

    test("links it where CLAUDE_EVENT_LISTENERS_DIR says", async (t) => {
      const folder = scratch(t);
      const { start: file, source } = installed(folder);
      const elsewhere = join(folder, "event listeners");
      assert.deepEqual(await start(file, { HOME: folder, CLAUDE_EVENT_LISTENERS_DIR: elsewhere }), nothing);
      assert.equal(readlinkSync(join(elsewhere, "sources.d", "ipc-server.sh")), source);
      assert.equal(existsSync(inHome(folder)), false);
    });

    test("links it when PATH is empty", async (t) => {
      const home = scratch(t);
      const { start: file, source } = installed(home);
      assert.deepEqual(await start(file, { HOME: home, PATH: "" }), nothing);
      assert.equal(readlinkSync(inHome(home)), source);
    });

    test("leaves a link that is right as it is", async (t) => {
      const home = scratch(t);
      const { start: file } = installed(home);
      await start(file, { HOME: home });
      const before = lstatSync(inHome(home));
      assert.deepEqual(await start(file, { HOME: home }), nothing);
      assert.equal(lstatSync(inHome(home)).ino, before.ino);
    });

    test("points the link to the new version after an update, whether the old one is still there or not", async (t) => {
      const home = scratch(t);
      const old = installed(home, "1.9.0");
      const { start: file, source } = installed(home, "2.0.0");
      const gone = join(home, "gone", "sources.d", "ipc-server.sh");
      for (const target of [old.source, gone, join(home, "dangling")]) {
        const folder = scratch(t);
        link(target, inHome(folder));
        assert.deepEqual(await start(file, { HOME: folder }), nothing);
        assert.equal(readlinkSync(inHome(folder)), source);
        assert.deepEqual(readdirSync(join(inHome(folder), "..")), ["ipc-server.sh"], "nothing is left behind");
      }
    });

    test("leaves nothing behind when the link can't be replaced", async (t) => {
      const home = scratch(t);
      const { start: file } = installed(home);
      link(join(home, "dangling"), inHome(home));
      place(join(home, "bin", "mv"), "#!/bin/sh\nexit 1\n", 0o755);
      assert.deepEqual(await start(file, { HOME: home, PATH: `${home}/bin:${path}` }), nothing);
      assert.equal(readlinkSync(inHome(home)), join(home, "dangling"));
      assert.deepEqual(readdirSync(join(inHome(home), "..")), ["ipc-server.sh"]);
    });

    test("keeps a user's own file, folder and link of that name", async (t) => {
      const folder = scratch(t);
      const { start: file } = installed(folder);
      const own = place(join(folder, "mine.sh"), "#!/bin/sh\necho mine\n", 0o755);
      mkdirSync(join(folder, "mine", "sources.d", "ipc-server.sh"), { recursive: true });

      place(inHome(join(folder, "a")), "my own", 0o755);
      assert.deepEqual(await start(file, { HOME: join(folder, "a") }), nothing);
      assert.equal(readFileSync(inHome(join(folder, "a")), "utf8"), "my own");

      mkdirSync(inHome(join(folder, "b")), { recursive: true });
      assert.deepEqual(await start(file, { HOME: join(folder, "b") }), nothing);
      assert.deepEqual(readdirSync(inHome(join(folder, "b"))), []);

      link(own, inHome(join(folder, "c")));
      assert.deepEqual(await start(file, { HOME: join(folder, "c") }), nothing);
      assert.equal(readlinkSync(inHome(join(folder, "c"))), own);

      const toFolder = join(folder, "mine", "sources.d", "ipc-server.sh");
      link(toFolder, inHome(join(folder, "d")));
      assert.deepEqual(await start(file, { HOME: join(folder, "d") }), nothing);
      assert.equal(readlinkSync(inHome(join(folder, "d"))), toFolder);
      assert.deepEqual(readdirSync(toFolder), []);
    });

    test("does nothing, and says nothing, where it can't write", async (t) => {
      const folder = scratch(t);
      const { start: file } = installed(folder);
      const readOnly = join(folder, "read only");
      mkdirSync(readOnly);
      chmodSync(readOnly, 0o500);
      assert.deepEqual(await start(file, { HOME: readOnly }), nothing);
      if (process.getuid?.() !== 0) assert.deepEqual(readdirSync(readOnly), []);

      assert.deepEqual(await start(file, { HOME: place(join(folder, "a file"), "") }), nothing);
      assert.deepEqual(await start(file, { HOME: "/dev/null" }), nothing);

      place(join(folder, ".config", "claude-event-listeners", "sources.d"), "a file");
      assert.deepEqual(await start(file, { HOME: folder }), nothing);
    });

    test("does nothing, and says nothing, without a home or with a folder that isn't absolute", async (t) => {
      const folder = scratch(t);
      const { start: file } = installed(folder);
      const work = join(folder, "work");
      mkdirSync(work);
      assert.deepEqual(await start(file, {}, work), nothing);
      assert.deepEqual(await start(file, { HOME: "" }, work), nothing);
      assert.deepEqual(await start(file, { HOME: folder, CLAUDE_EVENT_LISTENERS_DIR: "here" }, work), nothing);
      assert.deepEqual(await start(file, { PATH: "" }, work), nothing);
      assert.deepEqual(readdirSync(work), []);
    });

    test("does nothing, and says nothing, when the event source is missing", async (t) => {
      const home = scratch(t);
      const alone = place(join(home, "alone", "hooks", "session-start.sh"), readFileSync(hook, "utf8"), 0o755);
      assert.deepEqual(await start(alone, { HOME: home }), nothing);
      assert.equal(existsSync(join(home, ".config")), false);
    });

    test("makes one good link when ten sessions start at once", async (t) => {
      const home = scratch(t);
      const { start: file, source } = installed(home);
      link(join(home, "old", "sources.d", "ipc-server.sh"), inHome(home));
      const outcomes = await Promise.all(Array.from({ length: 10 }, () => start(file, { HOME: home })));
      assert.deepEqual(new Set(outcomes.map((outcome) => JSON.stringify(outcome))), new Set([JSON.stringify(nothing)]));
      assert.equal(readlinkSync(inHome(home)), source);
      assert.deepEqual(readdirSync(join(inHome(home), "..")), ["ipc-server.sh"]);
    });
  });
}

function commandOfHook(): string {
  const value = jsonOf("hooks", "hooks.json");
  const commands = JSON.stringify(value).match(/"command":"(?:[^"\\]|\\.)*"/g) ?? [];
  const [command, ...more] = commands.map((text): unknown => JSON.parse(text.slice('"command":'.length)));
  assert.deepEqual(more, []);
  assert.ok(typeof command === "string");
  return command;
}

test("the command in hooks.json works from a folder with spaces, and when the script lost its executable bit", async (t) => {
  const home = scratch(t);
  const { root, source, start } = installed(home);
  chmodSync(start, 0o644);
  const env = { PATH: path, HOME: home, CLAUDE_PLUGIN_ROOT: root };
  assert.deepEqual(await run("/bin/sh", ["-c", commandOfHook()], { env, cwd: "/" }), nothing);
  assert.equal(readlinkSync(inHome(home)), source);
});

test("E55 the link is an event source: it blocks, prints what came, and ends", async (t) => {
  const folder = scratch(t);
  const env = busEnvironment(folder);
  assert.deepEqual(await run(hook, [], { env }), nothing);
  const source = inHome(env.HOME ?? "");

  const waiter = spawn(source, ["read", "c", "me", "--wait"], { env, stdio: ["ignore", "pipe", "pipe"] });
  t.after(() => waiter.kill());
  let stdout = "";
  let stderr = "";
  waiter.stdout.on("data", (bytes) => {
    stdout += bytes;
  });
  waiter.stderr.on("data", (bytes) => {
    stderr += bytes;
  });
  const ended = new Promise<number | null>((resolve) => waiter.on("close", resolve));
  await new Promise((resolve) => setTimeout(resolve, 700));
  assert.equal(waiter.exitCode, null, "it still waits");
  assert.equal(stdout, "");

  assert.equal((await run(source, ["send", "c", "you", "an event"], { env })).code, 0);
  assert.equal(await ended, 0);
  const messages: unknown = JSON.parse(stdout);
  assert.ok(Array.isArray(messages) && messages.length === 1);
  assert.equal(messages[0].content, "an event");
  assert.equal(messages[0].sender, "you");
  assert.equal(stderr, "", "event-listeners merges the two into the event");
});

test("E2 the committed files work as they lie, where nobody ran npm", async (t) => {
  const folder = scratch(t);
  const clone = join(folder, "a clone");
  cpSync(join(repository, "sources.d"), join(clone, "sources.d"), { recursive: true });
  cpSync(join(repository, "package.json"), join(clone, "package.json"));
  const env = busEnvironment(folder);
  const start = (...words: string[]) => run(join(clone, "sources.d", "ipc-server.sh"), words, { env, cwd: folder });
  assert.deepEqual((await start("send", "a", "b", "hi")).stderr, "");
  const read = await start("read", "a", "c");
  assert.equal(read.stderr, "");
  assert.match(read.stdout, /"content": "hi"/);
});
