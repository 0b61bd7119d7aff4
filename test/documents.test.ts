import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { globSync, readdirSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { suite, test } from "node:test";
import { readPrivateKey } from "../src/core/keys.ts";
import { messageBytes, sign } from "../src/core/signature.ts";
import { DEFAULT_PORT, readEnvironment } from "../src/environment.ts";
import { listToolOperations, operations } from "../src/operations/index.ts";
import { createProgramCommands } from "../src/programs.ts";
import { optionsOf } from "../src/surfaces/cli/arguments.ts";
import { argumentsOf, isTool } from "../src/surfaces/mcp/tools.ts";
import { isThere, jsonOf, repository } from "./plugin/support.ts";
import { manual } from "./support/manual.ts";
import { anchorsOf, blocksOf, codeIn, rowsOf, section, withoutBlocks } from "./support/markdown.ts";
import { run, temporaryFolder } from "./support/program.ts";

const documents = [
  ...["README.md", "SECURITY.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"],
  ...globSync("docs/**/*.md", { cwd: repository }),
];

const readme = textOf("README.md");
const commands = manual.textOf("docs/commands.md");
const http = manual.textOf("docs/http.md");
const contributing = textOf("CONTRIBUTING.md");

function textOf(...path: string[]): string {
  return readFileSync(join(repository, ...path), "utf8");
}

const starters = createProgramCommands(readEnvironment({})).map(({ name }) => name);

const verbs = [...starters, ...operations.map(({ name }) => name)];

async function optionsByVerb(): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  using folder = temporaryFolder();
  const ofStarters = await Promise.all(
    starters.map(async (name) => {
      const { stdout } = await run([...name.split(" "), "--help"], { IPC_DB_PATH: folder.file("bus.db") });
      return [name, new Set(stdout.match(/--[a-z][a-z-]*/g))] as const;
    }),
  );
  const ofOperations = operations.map(
    (operation) => [operation.name, new Set(optionsOf(operation).map(({ flag }) => `--${flag}`))] as const,
  );
  return new Map([...ofStarters, ...ofOperations]);
}

interface Shown {
  readonly verb: string;
  readonly options: readonly string[];
}

/** The commands of ours in a shell text, whatever they are started by. */
function commandsIn(text: string): Shown[] {
  const plain = text.replace(/\\\n/g, " ").replace(/"[^"\n]*"|'[^'\n]*'/g, '""');
  const found = plain.matchAll(/(?:^|[\s/(])(?:el-ipc|ipc-server(?:\.sh|\.js)?) +([a-z][a-z-]*)((?: +[^\s;|&)]+)*)/gm);
  return [...found].map(([, first = "", rest = ""]) => ({
    verb: verbs.find((verb) => verb === `${first} ${/^ +([a-z-]+)/.exec(rest)?.[1]}`) ?? first,
    options: rest.match(/(?<= )--[a-z][a-z0-9-]*/g) ?? [],
  }));
}

suite("every command in the documents", () => {
  for (const document of documents) {
    test(`${document} shows commands that exist, with options that they have`, async () => {
      const options = await optionsByVerb();
      const { cardName } = readEnvironment({});
      const text = textOf(document);
      const shells = blocksOf(text).filter(({ language }) => ["sh", "console"].includes(language));
      // A span with an ellipsis is what the program says.
      const spans = codeIn(withoutBlocks(text)).filter((code) => code !== cardName && !code.includes("…"));
      const shown = [...shells.map((block) => block.text), ...spans].flatMap(commandsIn);
      for (const { verb, options: given } of shown) {
        if (verb === "help") continue;
        const known = options.get(verb);
        assert.ok(known !== undefined, `${verb} is a command`);
        for (const option of given) assert.ok(known.has(option), `${verb} has ${option}`);
      }
      if (document === "docs/commands.md") assert.ok(shown.length > 10);
    });
  }

  test("the manual's tables of commands have every command and no other", () => {
    const rows = rowsOf(commands).filter(([first = ""]) => /^`[a-z]/.test(first));
    const listed = rows.map(([first = ""]) => /^`([a-z-]+(?: [a-z-]+)?)/.exec(first)?.[1]);
    assert.deepEqual(listed.toSorted(), [...verbs, "help"].toSorted());
  });

  test("the manual's tables have every option, of the commands that it belongs to", async () => {
    const options = await optionsByVerb();
    for (const [verb, known] of options) {
      for (const option of known) {
        if (["--help", ...wordsOf(verb)].includes(option)) continue;
        assert.match(commands, new RegExp(`${option}\\b(?!-)`), `${option} of ${verb}`);
      }
    }
    for (const [first = "", of = ""] of rowsOf(commands)) {
      if (!first.startsWith("`--")) continue;
      const but = of.includes("all but");
      const named = codeIn(of);
      for (const option of codeIn(first).map((code) => code.split(" ")[0] ?? "")) {
        for (const verb of named) assert.equal(options.get(verb)?.has(option), !but, `${verb} and ${option}`);
      }
    }
  });
});

test("the page about HTTP names the commands that can't ask a server with --url", async () => {
  const options = await optionsByVerb();
  const without = [...options].filter(([, known]) => !known.has("--url")).map(([verb]) => verb);
  const sentence = /Only ([^.]*) can't:/.exec(http)?.[1] ?? assert.fail("there is such a sentence");
  const named = codeIn(sentence).flatMap((name) =>
    name === "tcp" ? verbs.filter((verb) => /^tcp /.test(verb)) : [name],
  );
  assert.deepEqual(named.toSorted(), without.toSorted());
});

/** The options that are also words, so that nobody types them. */
function wordsOf(verb: string): string[] {
  if (starters.includes(verb)) return ["--port"];
  return operations.find(({ name }) => name === verb)?.input.positionals?.map((word) => `--${word}`) ?? [];
}

suite("the manual's endpoints", () => {
  const rows = rowsOf(http).filter(([first = ""]) => /^`(GET|POST|DELETE) /.test(first));

  test("are those of the table", () => {
    const shown = new Set([...http.matchAll(/\b(?:GET|POST|DELETE) \/[\w./:-]*/g)].map(([path]) => path));
    const own = ["GET /", "GET /metrics", "GET /openapi.json"];
    const known = new Set([...operations.flatMap(({ http }) => http ?? []), ...own]);
    assert.deepEqual(shown, known);
    assert.deepEqual(new Set(rows.map(([first = ""]) => first.replaceAll("`", ""))), known);
  });

  test("take what the table says", () => {
    for (const [first = "", takes = ""] of rows) {
      const operation = operations.find(({ http }) => first === `\`${http}\``);
      const fields: readonly string[] = codeIn(takes).join(" ").match(/\w+/g) ?? [];
      for (const field of fields) assert.ok(operation?.input.fields[field] !== undefined, `${first} takes ${field}`);
      const required = Object.entries(operation?.input.fields ?? {}).filter(([, { optional }]) => !optional);
      const inPath = [...first.matchAll(/:(\w+)/g)].map(([, field = ""]) => field);
      for (const [field] of required) assert.ok([...fields, ...inPath].includes(field), `${first} needs ${field}`);
    }
  });
});

test("the manual's tools are those of the table, with their arguments", () => {
  const rows = rowsOf(manual.textOf("docs/mcp.md")).map(([tool = "", takes = ""]) => [codeIn(tool)[0], codeIn(takes)]);
  const tools = listToolOperations()
    .filter(isTool)
    .map((operation) => [operation.tool.name, argumentsOf(operation).map(({ name }) => name)]);
  assert.deepEqual(rows.toSorted(), tools.toSorted());
});

suite("the manual's environment", () => {
  const rows = rowsOf(manual.textOf("docs/environment.md"));
  const NAMES = /\b(?:EL_)?IPC_[A-Z_]+\b/g;
  const known = new Set(
    [...textOf("src/environment.ts").matchAll(NAMES), ...textOf("sources.d/ipc-server.sh").matchAll(NAMES)].flat(),
  );

  test("is what the code reads, and nothing else", () => {
    const listed = rows.map(([first = ""]) => first.replaceAll("`", ""));
    assert.deepEqual(listed.toSorted(), [...known].toSorted());
    for (const document of documents) {
      for (const [name] of textOf(document).matchAll(NAMES)) assert.ok(known.has(name), `${document}: ${name}`);
    }
  });

  test("has the defaults that the code has", () => {
    const defaults = new Map(rows.map(([name = "", value = ""]) => [codeIn(name)[0], codeIn(value)[0]]));
    const environment = readEnvironment({ HOME: "/home/me" });
    assert.equal(defaults.get("IPC_DB_PATH"), environment.databasePath);
    assert.equal(defaults.get("IPC_PORT"), String(environment.port));
    assert.equal(environment.port, DEFAULT_PORT);
    assert.equal(defaults.get("IPC_DURABILITY"), environment.durability);
    assert.equal(defaults.get("IPC_SIG_POLICY"), environment.signatures);
    assert.equal(defaults.get("IPC_AGENT_NAME"), environment.cardName);
    assert.equal(environment.configFolder, "/home/me/.config/el-ipc");
    assert.equal(readEnvironment({ HOME: "/home/me", XDG_CONFIG_HOME: "/x" }).configFolder, "/x/el-ipc");
  });
});

test("each sentence in the manual's troubleshooting is one that the program says", () => {
  const sources = readdirSync(join(repository, "src"), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .map((file) => textOf("src", file));
  const said = [...sources, textOf("sources.d/ipc-server.sh")].join("\n");
  const rows = rowsOf(manual.textOf("docs/troubleshooting.md"));
  assert.ok(rows.length > 30);
  for (const [first = ""] of rows) {
    for (const part of first.replaceAll("`", "").split("…")) assert.ok(said.includes(part.trim()), part);
  }
});

test("the manual's known answer is what this program signs", () => {
  const version2 = section(manual.textOf("docs/secure-mode.md"), "Version 2");
  const rows = new Map(rowsOf(version2).map(([name = "", value = ""]) => [name, codeIn(value)]));
  const value = (name: string) => rows.get(name)?.[0] ?? assert.fail(name);
  const [channel = "", sender = ""] = rows.get("channel, sender") ?? [];
  const stamp = { aud: value("aud"), nonce: value("nonce"), ts: Number(value("ts")) };
  const bytes = messageBytes({ channel, sender, content: (rows.get("content") ?? []).join("\n") }, stamp);
  assert.match(version2, new RegExp(`\\| signed bytes \\| ${bytes.length}, `));
  assert.equal(createHash("sha256").update(bytes).digest("hex"), value("signed bytes"));
  assert.equal(sign(bytes, readPrivateKey(Buffer.from(value("secret seed"), "hex"))), value("signature"));
});

test("E57 B50 the licence is MIT, in the file, in the manifests and in README", () => {
  assert.match(textOf("LICENSE"), /^MIT License\n.*Permission is hereby granted, free of charge/s);
  for (const file of ["package.json", ".claude-plugin/plugin.json"]) {
    const manifest = jsonOf(file);
    assert.ok(typeof manifest === "object" && manifest !== null && "license" in manifest, file);
    assert.equal(manifest.license, "MIT");
  }
  assert.match(section(readme, "Licence"), /MIT/);
});

suite("the documents hold together", () => {
  for (const document of documents) {
    test(`each link in ${document} leads somewhere`, () => {
      const text = withoutBlocks(textOf(document));
      for (const [, target = ""] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^https:\/\//.test(target)) continue;
        const [file = "", anchor] = target.split("#");
        const linked = file === "" ? document : posix.join(posix.dirname(document), file);
        assert.ok(isThere(linked), `${linked} is there`);
        if (anchor !== undefined) assert.ok(anchorsOf(textOf(linked)).includes(anchor), `${linked} has #${anchor}`);
      }
    });
  }

  test("ARCHITECTURE's map names every folder of src, and only such as there are", () => {
    const folders = readdirSync(join(repository, "src"), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name);
    const [map] = blocksOf(section(textOf("ARCHITECTURE.md"), "The map"));
    const named = [...(map?.text ?? "").matchAll(/^( *)([\w.-]+)\/(?: |$)/gm)];
    const below = named.flatMap(([, indent = "", name = ""]) => (indent === "" ? [] : [name]));
    for (const [, indent, name = ""] of named) if (indent === "") assert.ok(isThere(name), name);
    assert.deepEqual(below.toSorted(), folders.toSorted());
  });

  test("CONTRIBUTING names every npm script, and only such as there are", () => {
    const manifest = jsonOf("package.json");
    assert.ok(typeof manifest === "object" && manifest !== null && "scripts" in manifest);
    const scripts = Object.keys(Object(manifest.scripts));
    const code = [...codeIn(withoutBlocks(contributing)), ...blocksOf(contributing).map(({ text }) => text)].join("\n");
    const named = [...code.matchAll(/\bnpm (?:run )?([a-z:]+)/g)].map(([, name = ""]) => name);
    const ours = new Set(named.filter((name) => name !== "ci"));
    assert.deepEqual([...ours].toSorted(), scripts.toSorted());
  });
});
