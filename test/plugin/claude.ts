/**
 * `npm run test:claude`: the plugin in a real Claude Code, for whoever has one. It isn't part of `npm test`.
 *
 *   CLAUDE_BIN  the claude to use; without it, the one on PATH
 *   EL_DIR      a checkout of the event-listeners framework, to try the event source under it as well
 *
 * Nothing of the user's is read or written: claude gets an empty environment with a home and a configuration folder of
 * its own. There git takes a clone of this work tree, uncommitted files included, for github.com, so that the commands are
 * the ones that a user types. It needs neither a login nor a network; npm's packages are installed if there is one.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { jsonOf, place, repository, run, whereIs } from "./support.ts";

const claude = process.env.CLAUDE_BIN ?? whereIs("claude");
const framework = process.env.EL_DIR;
const noClaude = claude === undefined ? "no claude on PATH; CLAUDE_BIN can name one" : false;
const noFramework = noClaude || (framework === undefined ? "EL_DIR doesn't name a checkout of event-listeners" : false);

const scratch = realpathSync(mkdtempSync(join(tmpdir(), "el-ipc-claude-")));
const github = join(scratch, "github.com");
const clone = join(github, "mividtim", "claude-code-el-ipc.git");
const home = join(scratch, "home");
const configuration = join(scratch, "configuration");
const link = join(home, ".config", "claude-event-listeners", "sources.d", "ipc-server.sh");
const installed = join(configuration, "plugins", "cache", "claude-code-el-ipc", "el-ipc", versionOfPlugin());
const env = {
  HOME: home,
  CLAUDE_CONFIG_DIR: configuration,
  PATH: "/usr/local/bin:/usr/bin:/bin",
  EL_IPC_NODE: process.execPath,
  IPC_DB_PATH: join(scratch, "bus.db"),
  GIT_CONFIG_NOSYSTEM: "1",
};

function versionOfPlugin(): string {
  const value = jsonOf(".claude-plugin", "plugin.json");
  assert.ok(typeof value === "object" && value !== null && "version" in value && typeof value.version === "string");
  return value.version;
}

async function good(program: string, words: readonly string[], cwd = scratch): Promise<string> {
  const { code, stdout, stderr } = await run(program, words, { env, cwd });
  assert.equal(code, 0, `${program} ${words.join(" ")}\n${stdout}${stderr}`);
  return stdout + stderr;
}

/** A git repository with what a commit of the work tree would hold. */
async function cloneWorkTree(): Promise<void> {
  mkdirSync(clone, { recursive: true });
  const files = await good("git", ["-C", repository, "ls-files", "-coz", "--exclude-standard"]);
  for (const file of files.split("\0").filter((file) => file !== "" && existsSync(join(repository, file)))) {
    cpSync(join(repository, file), join(clone, file));
  }
  await good("git", ["init", "--quiet"], clone);
  await commit();
}

async function commit(): Promise<void> {
  await good("git", ["add", "--all"], clone);
  const author = ["-c", "user.name=test", "-c", "user.email=test@localhost"];
  await good("git", [...author, "commit", "--quiet", "--message=work tree"], clone);
}

before(async () => {
  if (noClaude) return;
  const forms = ["https://github.com/", "git@github.com:", "ssh://git@github.com/"];
  const lines = forms.map((form) => `  insteadOf = ${form}\n`).join("");
  place(join(home, ".gitconfig"), `[url "${pathToFileURL(github).href}/"]\n${lines}`);
  await cloneWorkTree();
});

after(() => rmSync(scratch, { recursive: true, force: true }));

const program = claude ?? "claude";

test("E1 claude plugin validate --strict accepts the repository", { skip: noClaude }, async () => {
  assert.match(await good(program, ["plugin", "validate", ".", "--strict"], clone), /Validation passed/);
});

test("E1 claude plugin marketplace add and claude plugin install el-ipc work on a git clone", {
  skip: noClaude,
}, async () => {
  await good(program, ["plugin", "marketplace", "add", "mividtim/claude-code-el-ipc"]);
  await good(program, ["plugin", "install", "el-ipc"]);
  const list = await good(program, ["plugin", "list"]);
  assert.match(list, /el-ipc@claude-code-el-ipc/);
  assert.ok(list.includes(versionOfPlugin()), list);
  assert.match(list, /enabled/);
});

test("what was installed runs as it is", { skip: noClaude }, async () => {
  const script = join(installed, "sources.d", "ipc-server.sh");
  assert.match(await good(script, ["--version"]), new RegExp(versionOfPlugin().replaceAll(".", "\\.")));
  await good(script, ["send", "installed", "me", "hello"]);
  assert.match(await good(script, ["read", "installed", "you"]), /"content": "hello"/);
});

test("B11 the MCP server that comes with the plugin answers", { skip: noClaude }, async () => {
  assert.match(await good(program, ["mcp", "list"]), /plugin:el-ipc:ipc-broker: .*ipc-server\.sh mcp .*Connected/);
});

test("the hook of a starting session links the event source", { skip: noClaude }, async () => {
  await good(program, ["--init-only"]);
  assert.ok(lstatSync(link).isSymbolicLink());
  assert.equal(realpathSync(link), join(installed, "sources.d", "ipc-server.sh"));
  assert.deepEqual(readdirSync(dirname(link)), ["ipc-server.sh"]);
});

test("after an update the next session points the link to the new version", { skip: noClaude }, async () => {
  const manifest = join(clone, ".claude-plugin", "plugin.json");
  writeFileSync(manifest, readFileSync(manifest, "utf8").replace(`"${versionOfPlugin()}"`, '"99.0.0"'));
  await commit();
  await good(program, ["plugin", "marketplace", "update", "claude-code-el-ipc"]);
  await good(program, ["plugin", "update", "el-ipc@claude-code-el-ipc"]);
  await good(program, ["--init-only"]);
  assert.equal(realpathSync(link), join(installed, "..", "99.0.0", "sources.d", "ipc-server.sh"));
});

for (const [name, first] of [
  ["by the link", ["ipc-server"]],
  ["as a command", ["command", link]],
] as const) {
  test(`E55 event-listen.sh runs it as an event source, ${name}`, { skip: noFramework }, async () => {
    const listen = join(framework ?? "", "scripts", "event-listen.sh");
    const channel = `listened ${first[0]}`;
    const waiter = spawn(listen, [...first, "read", channel, "me", "--wait"], {
      env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    for (const stream of [waiter.stdout, waiter.stderr]) {
      stream.on("data", (bytes) => {
        output += bytes;
      });
    }
    const ended = new Promise((resolve) => waiter.on("close", resolve));
    await new Promise((resolve) => setTimeout(resolve, 1000));
    assert.equal(waiter.exitCode, null, `it ended: ${output}`);
    assert.equal(output, "");
    await good(link, ["send", channel, "you", "an event"]);
    assert.equal(await ended, 0);
    const messages: unknown = JSON.parse(output);
    assert.ok(Array.isArray(messages) && messages.length === 1);
    assert.equal(messages[0].content, "an event");
  });
}
