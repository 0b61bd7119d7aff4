import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, readFileSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { suite, type TestContext, test } from "node:test";
import { type Environment, link, type Outcome, place, run, scratch, script, shells } from "./support.ts";

const tell = `let input = "";
process.stdin.on("data", (text) => (input += text)).on("end", () =>
  console.log(JSON.stringify({ words: process.argv.slice(2), folder: process.cwd(), node: process.execPath, input })));
`;

/** The script beside an ipc-server.js that tells what it got; the system's own folders are looked for under `root`. */
function plugin(folder: string, root = join(folder, "root")): string {
  const text = readFileSync(script, "utf8").replaceAll(/ \/(?=opt\/homebrew|usr\/|home\/linuxbrew)/g, ` ${root}/`);
  place(join(folder, "sources.d", "ipc-server.js"), tell);
  return place(join(folder, "sources.d", "ipc-server.sh"), text, 0o755);
}

/** A program that says it is a Node of this version, and when it runs something says so. */
function fakeNode(file: string, version: string): string {
  const text = `#!/bin/sh
echo "\${1##*/}" >> "$0.asked"
case $1 in --version) echo ${version} ;; *) echo ran by ${version} ;; esac
`;
  return place(file, text, 0o755);
}

function asked(node: string): string[] {
  return existsSync(`${node}.asked`) ? readFileSync(`${node}.asked`, "utf8").trim().split("\n") : [];
}

/** A folder for PATH that has this very Node and nothing else. */
function thisNode(folder: string): string {
  link(process.execPath, join(folder, "bin", "node"));
  return join(folder, "bin");
}

function told(outcome: Outcome): { words: string[]; folder: string; node: string; input: string } {
  assert.equal(outcome.stderr, "");
  assert.equal(outcome.code, 0);
  return JSON.parse(outcome.stdout);
}

function refused(outcome: Outcome, sentence: RegExp): void {
  assert.match(outcome.stderr, sentence);
  assert.equal(outcome.stderr.trimEnd().split("\n").length, 1, "one line");
  assert.equal(outcome.stdout, "");
  assert.equal(outcome.code, 1);
}

for (const shell of shells()) {
  const start = (file: string, words: string[], options?: Parameters<typeof run>[2]) =>
    run(shell.program, [...shell.words, file, ...words], options);
  const version = async (t: TestContext, prepare: (folder: string) => Environment): Promise<string> => {
    const folder = scratch(t);
    const outcome = await start(plugin(folder), [], { env: prepare(folder) });
    assert.equal(outcome.stderr, "");
    return outcome.stdout.trim();
  };

  suite(`ipc-server.sh in ${shell.name}`, { concurrency: true }, () => {
    test("hands its arguments, its input and its folder to ipc-server.js, and prints nothing itself", async (t) => {
      const folder = scratch(t);
      const words = ["send", "a channel", "", 'it\'s "so" $HOME `id` \\ *', "two\nlines", "--key", "-"];
      const env = { PATH: thisNode(folder) };
      const outcome = await start(plugin(folder), words, { env, cwd: folder, stdin: "from standard input" });
      assert.deepEqual(told(outcome), {
        words,
        folder,
        node: realpathSync(process.execPath),
        input: "from standard input",
      });
    });

    test("leaves the input to ipc-server.js when a shim that it asks reads its own", async (t) => {
      const folder = scratch(t);
      place(join(folder, "shim", "node"), "#!/bin/sh\nread -r line\nexit 1\n", 0o755);
      const env = { PATH: `${folder}/shim:${thisNode(folder)}` };
      assert.equal(told(await start(plugin(folder), [], { env, stdin: "one\ntwo\n" })).input, "one\ntwo\n");
    });

    test("becomes what it runs: exit codes are its own", async (t) => {
      const folder = scratch(t);
      const file = plugin(folder);
      place(join(folder, "sources.d", "ipc-server.js"), "process.exit(7)");
      assert.equal((await start(file, [], { env: { PATH: thisNode(folder) } })).code, 7);
    });

    test("asks a good node on PATH for its version once, and no other", async (t) => {
      const folder = scratch(t);
      const file = plugin(folder);
      const first = fakeNode(join(folder, "a", "node"), "v24.1.0");
      const second = fakeNode(join(folder, "b", "node"), "v24.2.0");
      const outcome = await start(file, [], { env: { PATH: `${folder}/a:${folder}/b` } });
      assert.equal(outcome.stdout, "ran by v24.1.0\n");
      assert.deepEqual([asked(first), asked(second)], [["--version", "ipc-server.js"], []]);
    });

    test("works through a link, a relative link to a link, and a linked folder", async (t) => {
      const folder = scratch(t);
      const file = plugin(join(folder, "plugin"));
      const env = { PATH: thisNode(folder) };
      link(file, join(folder, "config", "sources.d", "ipc-server.sh"));
      link("../config/sources.d/ipc-server.sh", join(folder, "elsewhere", "again.sh"));
      link("../plugin/sources.d", join(folder, "elsewhere", "folder"));
      for (const path of ["config/sources.d/ipc-server.sh", "elsewhere/again.sh", "elsewhere/folder/ipc-server.sh"]) {
        assert.deepEqual(told(await start(join(folder, path), [path], { env })).words, [path]);
        assert.deepEqual(told(await start(path, [path], { env, cwd: folder })).words, [path]);
      }
    });

    test("works through a link when PATH is empty or unset", async (t) => {
      const folder = scratch(t);
      const path = link(plugin(join(folder, "plugin")), join(folder, "linked.sh"));
      const env = { EL_IPC_NODE: process.execPath };
      assert.deepEqual(told(await start(path, ["x"], { env })).words, ["x"]);
      assert.deepEqual(told(await start(path, ["x"], { env: { ...env, PATH: "" } })).words, ["x"]);
    });

    test("works from any folder, with spaces and odd signs in its path", async (t) => {
      const folder = scratch(t);
      const odd = join(folder, "a 'quoted' $HOME * & café");
      const file = plugin(odd, join(folder, "root"));
      const env = { PATH: thisNode(odd) };
      assert.deepEqual(told(await start(file, ["x"], { env, cwd: "/" })).folder, "/");
      assert.deepEqual(told(await start("../sources.d/ipc-server.sh", ["x"], { env, cwd: env.PATH })).words, ["x"]);
      assert.deepEqual(told(await start("ipc-server.sh", ["x"], { env, cwd: join(odd, "sources.d") })).words, ["x"]);
    });

    test("says in one line that there is no Node at all", async (t) => {
      const folder = scratch(t);
      mkdirSync(join(folder, "bin"));
      const env = { PATH: join(folder, "bin"), HOME: join(folder, "home") };
      const sentence = /^Error: el-ipc needs Node\.js 22\.14 or newer; found none\. Install one, or set EL_IPC_NODE /;
      refused(await start(plugin(folder), ["read", "a", "b"], { env }), sentence);
      refused(await start(plugin(folder), [], { env: { PATH: "" } }), sentence);
    });

    test("says which Node it found when all are too old, and asks each once", async (t) => {
      const folder = scratch(t);
      const old = fakeNode(join(folder, "bin", "node"), "v20.20.2");
      link(join(folder, "bin"), join(folder, "same"));
      const env = { PATH: `${folder}/bin:${folder}/same:${folder}/none`, HOME: folder };
      refused(await start(plugin(folder), [], { env }), / found v20\.20\.2 at .*\/bin\/node\. /);
      assert.deepEqual(asked(old), ["--version"]);
    });

    test("takes 22.14 and whatever is newer, and nothing older", async (t) => {
      for (const good of ["v22.14.0", "v22.100.1", "v23.0.0-nightly2026", "v24.0.0", "v100.0.0"]) {
        const line = await version(t, (folder) => {
          fakeNode(join(folder, "bin", "node"), good);
          return { PATH: join(folder, "bin") };
        });
        assert.equal(line, `ran by ${good}`);
      }
      for (const bad of ["v22.13.1", "v22.9.0", "v21.99.0", "v9.30.0", "v0.12.0"]) {
        const folder = scratch(t);
        fakeNode(join(folder, "bin", "node"), bad);
        const outcome = await start(plugin(folder), [], { env: { PATH: join(folder, "bin") } });
        refused(outcome, new RegExp(`found ${bad} at`));
      }
    });

    test("passes over an old node, a broken shim and one that prints something else, all along PATH", async (t) => {
      const line = await version(t, (folder) => {
        fakeNode(join(folder, "old", "node"), "v18.20.0");
        place(join(folder, "broken", "node"), "#!/bin/sh\necho 'No version is set for node' >&2\nexit 126\n", 0o755);
        place(join(folder, "chatty", "node"), "#!/bin/sh\necho 'v99.0.0 is not installed yet'\n", 0o755);
        place(join(folder, "lines", "node"), "#!/bin/sh\nprintf 'v99.0.0\\nwelcome\\n'\n", 0o755);
        place(join(folder, "silent", "node"), "#!/bin/sh\n", 0o755);
        place(join(folder, "dead", "node"), "#!/nowhere/sh\n", 0o755);
        place(join(folder, "plain", "node"), "not a program");
        mkdirSync(join(folder, "folder", "node"), { recursive: true });
        fakeNode(join(folder, "star", "node"), "v99.0.0");
        fakeNode(join(folder, "good one", "node"), "v22.20.0");
        const entries = [
          "old",
          "broken",
          "chatty",
          "lines",
          "silent",
          "dead",
          "plain",
          "folder",
          "missing",
          "st*r",
          "good one",
        ];
        return { PATH: entries.map((entry) => join(folder, entry)).join(":") };
      });
      assert.equal(line, "ran by v22.20.0");
    });

    test("finds the development dependency of a checkout", async (t) => {
      const line = await version(t, (folder) => {
        fakeNode(join(folder, "node_modules", "node", "bin", "node"), "v24.21.0");
        fakeNode(join(folder, "bin", "node"), "v20.0.0");
        fakeNode(join(folder, ".nvm", "versions", "node", "v26.0.0", "bin", "node"), "v26.0.0");
        return { PATH: join(folder, "bin"), HOME: folder };
      });
      assert.equal(line, "ran by v24.21.0");
    });

    test("takes the newest that works of nvm's when PATH has an old one first", async (t) => {
      const line = await version(t, (folder) => {
        fakeNode(join(folder, "bin", "node"), "v20.20.2");
        const versions = join(folder, ".nvm", "versions", "node");
        for (const name of ["v9.11.2", "v22.15.0", "v24.9.0", "v24.10.1", "v18.0.0", "v24.08.0"]) {
          fakeNode(join(versions, name, "bin", "node"), name);
        }
        place(join(versions, "v25.0.0", "bin", "node"), "#!/bin/sh\nexit 1\n", 0o755);
        fakeNode(join(versions, "latest", "bin", "node"), "v99.0.0");
        return { PATH: join(folder, "bin"), HOME: folder };
      });
      assert.equal(line, "ran by v24.10.1");
    });

    test("asks of nvm's only the one that it takes", async (t) => {
      const folder = scratch(t);
      const versions = join(folder, ".nvm", "versions", "node");
      const nodes = ["v20.1.0", "v22.15.0", "v24.10.1"].map((name) =>
        fakeNode(join(versions, name, "bin", "node"), name),
      );
      await start(plugin(folder), [], { env: { PATH: "", HOME: folder } });
      assert.deepEqual(nodes.map(asked), [[], [], ["--version", "ipc-server.js"]]);
    });

    const places: { who: string; at: string; variables?: (folder: string) => Environment }[] = [
      { who: "nvm, NVM_DIR", at: "n v m/versions/node/v22.14.0/bin", variables: (f) => ({ NVM_DIR: `${f}/n v m` }) },
      { who: "fnm", at: "home/.local/share/fnm/node-versions/v22.14.0/installation/bin" },
      { who: "fnm, older", at: "home/.fnm/node-versions/v22.14.0/installation/bin" },
      { who: "fnm on macOS", at: "home/Library/Application Support/fnm/node-versions/v22.14.0/installation/bin" },
      {
        who: "fnm, FNM_DIR",
        at: "f n m/node-versions/v22.14.0/installation/bin",
        variables: (f) => ({ FNM_DIR: `${f}/f n m` }),
      },
      { who: "volta", at: "home/.volta/tools/image/node/22.14.0/bin" },
      { who: "volta, VOLTA_HOME", at: "v/tools/image/node/22.14.0/bin", variables: (f) => ({ VOLTA_HOME: `${f}/v` }) },
      { who: "asdf", at: "home/.asdf/installs/nodejs/22.14.0/bin" },
      {
        who: "asdf, ASDF_DATA_DIR",
        at: "a/installs/nodejs/22.14.0/bin",
        variables: (f) => ({ ASDF_DATA_DIR: `${f}/a` }),
      },
      { who: "mise", at: "home/.local/share/mise/installs/node/22.14.0/bin" },
      {
        who: "mise, XDG_DATA_HOME",
        at: "x/mise/installs/node/22.14.0/bin",
        variables: (f) => ({ XDG_DATA_HOME: `${f}/x` }),
      },
      { who: "Homebrew", at: "root/opt/homebrew/bin" },
      { who: "Homebrew, a version of its own", at: "root/opt/homebrew/opt/node@22/bin" },
      { who: "Homebrew on Linux", at: "root/home/linuxbrew/.linuxbrew/bin" },
      { who: "/usr/local/bin", at: "root/usr/local/bin" },
      { who: "/usr/bin", at: "root/usr/bin" },
    ];
    for (const { who, at, variables } of places) {
      test(`finds a Node of ${who}`, async (t) => {
        const line = await version(t, (folder) => {
          fakeNode(join(folder, at, "node"), "v22.14.0");
          return { PATH: "", HOME: join(folder, "home"), ...variables?.(folder) };
        });
        assert.equal(line, "ran by v22.14.0");
      });
    }

    test("runs the Node that EL_IPC_NODE names before all others", async (t) => {
      const line = await version(t, (folder) => {
        fakeNode(join(folder, "bin", "node"), "v26.0.0");
        return { PATH: join(folder, "bin"), EL_IPC_NODE: fakeNode(join(folder, "my own", "node24"), "v24.0.0") };
      });
      assert.equal(line, "ran by v24.0.0");
    });

    test("says in one line that EL_IPC_NODE can't be used, and looks no further", async (t) => {
      const folder = scratch(t);
      const good = fakeNode(join(folder, "bin", "node"), "v26.0.0");
      const notExecutable = fakeNode(join(folder, "plain"), "v26.0.0");
      chmodSync(notExecutable, 0o644);
      const wrong = [join(folder, "missing"), folder, notExecutable, place(join(folder, "sh"), "#!/bin/sh\n", 0o755)];
      for (const node of wrong) {
        const env = { PATH: join(folder, "bin"), EL_IPC_NODE: node };
        const outcome = await start(plugin(folder), [], { env });
        refused(outcome, /^Error: EL_IPC_NODE is .*, which isn't a Node\.js 22\.14 or newer\.$/m);
      }
      const env = { PATH: join(folder, "bin"), EL_IPC_NODE: fakeNode(join(folder, "old"), "v20.20.2") };
      refused(await start(plugin(folder), [], { env }), /^Error: EL_IPC_NODE is .*\(it is v20\.20\.2\)\.$/m);
      assert.deepEqual(asked(good), []);
    });

    test("says in one line that ipc-server.js isn't beside it", async (t) => {
      const folder = scratch(t);
      const file = place(join(folder, "copied.sh"), readFileSync(script, "utf8"), 0o755);
      const env = { PATH: thisNode(folder) };
      refused(await start(file, [], { env }), /^Error: el-ipc is incomplete: there is no ipc-server\.js beside /);
    });
  });
}

test("ipc-server.sh can be run as it is, by its own first line", async (t) => {
  const folder = scratch(t);
  assert.deepEqual(told(await run(plugin(folder), ["x"], { env: { PATH: thisNode(folder) } })).words, ["x"]);
});
