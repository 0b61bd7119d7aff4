import assert from "node:assert/strict";
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { jsonOf, repository, run, until } from "./plugin/support.ts";
import { manual } from "./support/manual.ts";
import { blocksOf, section } from "./support/markdown.ts";
import { startServer, temporaryFolder } from "./support/program.ts";

const readme = manual.textOf("README.md");

/** How README gives the program its name. */
const [named] = blocksOf(section(readme, "Install")).filter(({ language }) => language === "sh");

/** A shell in a folder that looks like a clone, with a home of its own, and the name `el-ipc` once a document makes it. */
function shellIn(folder: string) {
  const home = join(folder, "home");
  mkdirSync(home);
  symlinkSync(join(repository, "sources.d"), join(folder, "sources.d"));
  const env = {
    PATH: `${home}/.local/bin:${process.env.PATH ?? ""}`,
    HOME: home,
    IPC_DB_PATH: join(folder, "bus.db"),
    EL_IPC_NODE: process.execPath,
  };
  return { env, sh: (text: string) => run("/bin/sh", ["-euc", text], { env, cwd: folder }) };
}

/** The last value that a program printed as JSON. */
function lastJson(output: string): unknown {
  const lines = output.trim().split("\n");
  for (const index of lines.keys()) {
    try {
      return JSON.parse(lines.slice(index).join("\n"));
    } catch {
      // It begins further down.
    }
  }
  return assert.fail(`no JSON in ${output}`);
}

/** The kind of a value, down to the names and types of everything in it. */
function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.slice(0, 1).map(shapeOf);
  if (typeof value !== "object" || value === null) return typeof value;
  return Object.fromEntries(Object.entries(value).map(([name, inside]) => [name, shapeOf(inside)]));
}

suite("what the manual shows in its sh blocks runs as it stands, from top to bottom, and answers as shown", () => {
  for (const page of manual.pages) {
    const all = blocksOf(manual.textOf(page));
    const commands = all.flatMap(({ language, text }, index) =>
      language === "sh" ? [{ text, answer: all[index + 1] }] : [],
    );
    if (commands.length === 0) continue;
    test(page, async () => {
      using folder = temporaryFolder();
      const { env, sh } = shellIn(folder.path);
      await using server = await startServer({ IPC_DB_PATH: env.IPC_DB_PATH, HOME: env.HOME });
      if (page !== "README.md") assert.equal((await sh(named?.text ?? "")).code, 0);
      for (const { text, answer } of commands) {
        const { code, stdout, stderr } = await sh(text.replaceAll("localhost:9876", new URL(server.url).host));
        assert.equal(code, 0, `${text}\n${stdout}${stderr}`);
        assert.doesNotMatch(stdout, /"ok":false/, text);
        if (answer?.language === "json" && answer.follows)
          assert.deepEqual(shapeOf(lastJson(stdout)), shapeOf(JSON.parse(answer.text)));
        if (answer?.language === "text" && answer.follows) assert.equal(stdout.trimEnd(), answer.text);
      }
    });
  }
});

test("README is short enough to read at once, and says how to start and how to test a clone", () => {
  assert.ok(readme.split("\n").length <= 220);
  for (const command of ["npm ci && npm start", "npm ci && npm test"]) assert.ok(readme.includes(command), command);
});

test("README's first screen: one agent waits, another sends, the first wakes up", async () => {
  using folder = temporaryFolder();
  const { env, sh } = shellIn(folder.path);
  const [waits, sends] = blocksOf(section(readme, "Three commands"));
  assert.equal((await sh(named?.text ?? "")).code, 0);
  let ended = false;
  const waiter = sh((waits?.text ?? "").replace(/^\$ /, "exec ")).finally(() => {
    ended = true;
  });
  await until(() => existsSync(`${env.IPC_DB_PATH}-bells`), "the waiter waits");
  assert.equal(ended, false);
  const [send = ""] = (sends?.text ?? "").split("\n");
  assert.equal((await sh(send)).code, 0);
  const { code, stdout, stderr } = await waiter;
  assert.deepEqual([code, stderr], [0, ""]);
  assert.match(stdout, /"Hello from Agent A"/);
});

test("the sessions page: one session takes a command, one gives it, one waits for its signal", async () => {
  using folder = temporaryFolder();
  const { sh } = shellIn(folder.path);
  assert.equal((await sh(named?.text ?? "")).code, 0);
  const shown = blocksOf(section(manual.textOf("docs/sessions.md"), "An example")).filter(
    ({ language }) => language === "console",
  );
  const commands = shown.flatMap(({ text }) => [...text.matchAll(/^\$ (.*)$/gm)].map(([, command = ""]) => command));
  const ids = new Map<string, string>();
  const start = (words: string) => {
    const command = commands.find((known) => known.includes(words)) ?? assert.fail(`docs/sessions.md shows ${words}`);
    return sh(command.replace(/\b(?:bac|orc|cmd)-[0-9a-f]+\b/g, (id) => ids.get(id) ?? assert.fail(id)));
  };
  const idIn = (text: string) => /\b(?:bac|orc|cmd)-[0-9a-f]+\b/.exec(text)?.[0] ?? assert.fail(text);

  ids.set("bac-1a2b3c", idIn((await start("connect backend")).stdout));
  ids.set("orc-9f8e7d", idIn((await start("connect orchestrator")).stdout));
  const [takes, waits, asks] = [start("command wait"), start("signal wait"), start("ask backend")];
  ids.set("cmd-1a2b3c4d5e6f", idIn((await takes).stdout));
  assert.match((await start("command ack")).stdout, /^cmd-\w+ is acknowledged$/m);
  assert.deepEqual([(await asks).stdout.trim(), (await asks).stderr], ['{"pid":4711}', ""]);
  assert.match((await waits).stdout, /^\{"name":"start_server_done",.*"result":\{"pid":4711\}/);
});

test("E3 README states the runtime, which is all that identity features need", async () => {
  assert.match(section(readme, "Install"), /Node\.js 22\.14 or newer.*No package/s);
  const manifest = jsonOf("package.json");
  assert.ok(typeof manifest === "object" && manifest !== null);
  assert.ok("engines" in manifest && !("dependencies" in manifest));
  assert.deepEqual(manifest.engines, { node: ">=22.14" });

  // Nothing but what is committed under sources.d, and Node.
  using folder = temporaryFolder();
  cpSync(join(repository, "sources.d"), folder.file("sources.d"), { recursive: true });
  const env = { HOME: folder.path, IPC_DB_PATH: folder.file("bus.db") };
  const alone = async (...words: string[]) => {
    const outcome = await run(process.execPath, [folder.file("sources.d/ipc-server.js"), ...words], {
      env,
      cwd: folder.path,
    });
    assert.deepEqual([outcome.code, outcome.stderr.match(/^Error.*/m)], [0, null]);
    return outcome.stdout;
  };
  const key = await alone("seed", "ops");
  assert.match(key, /^-----BEGIN PRIVATE KEY-----/);
  await run("/bin/sh", ["-c", "umask 077; cat > ops.key"], { cwd: folder.path, stdin: key });
  await alone("keygen", "--out", "herald");
  await alone("register", "herald", "--pubkey", "herald.pub", "--as", "ops", "--key", "ops.key");
  assert.match(await alone("send", "c", "herald", "hi", "--key", "herald.key"), /"signed":true/);
  assert.match(await alone("token", "herald", "--key", "herald.key"), /^[\w-]+\.[\w-]+\.[\w-]+$/m);
});

test("E56 a tunnel is documented, and a signed POST that comes through one is taken", async () => {
  const text = manual.textOf("docs/other-machines.md");
  for (const command of [
    "ngrok http 9876 --subdomain my-ipc-server",
    "ngrok http 9876 --url https://",
    "cloudflared tunnel --url http://localhost:9876",
    "ssh -N -L 9876:127.0.0.1:9876",
  ]) {
    assert.ok(text.includes(command), command);
  }
  assert.match(text, /POST https:\/\/my-ipc-server\.[\w.]+\/send/);

  using folder = temporaryFolder();
  const { env, sh } = shellIn(folder.path);
  const el = join(repository, "sources.d/ipc-server.sh");
  const made = await sh(
    `umask 077; '${el}' seed ops > ops.key; '${el}' keygen --out herald
     '${el}' register herald --pubkey herald.pub --as ops --key ops.key
     printf 'c\\nherald\\nthrough a tunnel' > signed; openssl pkeyutl -sign -rawin -inkey herald.key -in signed | openssl base64 -A > signature`,
  );
  assert.equal(made.code, 0, made.stderr);
  const signature = readFileSync(folder.file("signature"), "utf8");
  await using server = await startServer({ IPC_DB_PATH: env.IPC_DB_PATH, HOME: env.HOME });
  /** As ngrok hands a request on: to 127.0.0.1, under the name it was made to. */
  const throughTunnel = async (path: string, body?: object) => {
    const headers = ["Host: my-ipc-server.ngrok.app", "X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: https"];
    const sent = body === undefined ? [] : ["-d", JSON.stringify(body)];
    const words = ["-s", "-o", "-", "-w", "\n%{http_code}", ...headers.flatMap((header) => ["-H", header]), ...sent];
    const { stdout } = await run("curl", [...words, server.url + path], { env });
    const [answer = "", status = ""] = stdout.split(/\n(?=\d+$)/);
    return { status: Number(status), answer };
  };
  const message = { channel: "c", sender: "herald", content: "through a tunnel" };
  assert.equal((await throughTunnel("/send", { ...message, signature })).status, 200);
  assert.equal((await throughTunnel("/send", message)).status, 403);
  assert.equal((await throughTunnel("/send", { ...message, content: "changed", signature })).status, 403);
  assert.equal((await throughTunnel("/messages?channel=c&agent=herald")).status, 401);
  const { stdout } = await sh(`'${el}' read c reader`);
  assert.match(stdout, /"through a tunnel"/);
  assert.match(stdout, /"signed": true/);
});
