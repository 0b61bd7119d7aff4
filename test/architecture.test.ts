import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";

import { suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import { operations } from "../src/operations/index.ts";
import { ipcTool } from "../src/operations/ipc.ts";
import type { Operation } from "../src/operations/operation.ts";
import { importsOf } from "./support/imports.ts";
import { run } from "./support/program.ts";

/**
 * The map: the folders of src, what each may import of ours, and which packages and modules of Node. Each may import
 * itself. `lazy`: as types, or once it is needed, but never when the file is loaded, since `send` and `read` would pay
 * for it. The files of src itself put everything together, so they may import everything, and nobody them.
 */
// biome-ignore format: a table
const map: readonly Row[] = [
  row("wire",           [],                             []),
  row("core",           [],                             ["lazy node:crypto", "jose"]),
  row("operations",     ["core"],                       ["lazy node:crypto"]),
  row("server",         ["core", "operations", "wire"], ["lazy node:http", "lazy node:net", "lazy node:stream"]),
  row("client",         ["core", "operations", "wire"], ["mri", "node:fs", "lazy node:crypto"]),
  row("storage/sqlite", ["core"],                       ["lazy better-sqlite3", "lazy node:sqlite", "node:fs", "node:path", "node:timers/promises"]),
  row("storage/nats",   ["core"],                       ["@nats-io/transport-node", "@nats-io/jetstream", "node:fs", "lazy node:crypto", "lazy node:zlib"]),
  row("wakeup",         ["core"],                       ["node:fs", "node:path", "lazy node:crypto", "lazy @nats-io/transport-node"]),
  row("links",          ["core", "wire"],               ["node:net"]),
  row("surfaces/cli",   ["core", "operations", "client", "wire"], ["node:fs", "node:os", "lazy node:crypto", "lazy node:tty"]),
  row("surfaces/dashboard/page", ["wire"],              ["preact", "preact/hooks", "uplot"]),
  row("surfaces/dashboard", [],                         ["node:http", "lazy node:fs/promises", "lazy node:zlib", "lazy node:crypto"]),
  row("surfaces/tcp",   ["core", "operations", "client", "server", "wire"], ["node:net"]),
  row("surfaces/websocket", ["core", "operations", "client", "server", "wire"], ["ws", "node:http", "node:stream"]),
  row("surfaces/agent-msg", ["core", "operations", "client", "wire"], ["node:fs", "node:path", "node:readline"]),
  row("surfaces/http",  ["core", "operations", "client", "server", "wire"], ["prom-client", "node:http", "node:https", "node:net", "node:stream", "node:events", "node:timers/promises", "lazy node:fs/promises"]),
  row("surfaces/mcp",   ["core", "operations", "client", "server", "wire"], ["@modelcontextprotocol/server", "@modelcontextprotocol/server/stdio", "node:http", "node:events", "node:stream"]),
];

/** Alarms, not goals: a file this long probably has a second subject, and one this short belongs to its only user. */
const MAX_LINES = 500;
const MIN_LINES = 25;

interface Row {
  readonly folder: string;
  readonly ours: readonly string[];
  readonly others: readonly string[];
}

function row(folder: string, ours: readonly string[], others: readonly string[]): Row {
  return { folder, ours, others };
}

/** A law of the code: what is wrong with a file of src, each fault a sentence that says what to do. */
type Law = (path: string, source: string) => readonly string[];

const isRoot = (path: string) => !path.includes("/");

const rowOf = (path: string) => map.find(({ folder }) => path.startsWith(`${folder}/`));

const keepTheMap: Law = (path, source) => {
  const faults = importsOf(source).flatMap(({ module, how, line }) => {
    const at = `src/${path}:${line}`;
    if (module === undefined) return [`${at} imports what it doesn't name: write the module's name out`];
    if (isRoot(path)) return [];
    const own = rowOf(path);
    if (own === undefined) return [];
    const what = module.startsWith(".") ? posix.join(posix.dirname(path), module) : module;
    if (what.startsWith(`${own.folder}/`) || own.ours.some((folder) => what.startsWith(`${folder}/`))) return [];
    if (own.others.includes(what) || (how === "lazy" && own.others.includes(`lazy ${what}`))) return [];
    if (own.others.includes(`lazy ${what}`)) {
      return [
        `${at} loads ${what} with itself: import its type, and load it where it is needed (\`await import\`, \`process.getBuiltinModule\`)`,
      ];
    }
    return [
      [
        `${at} imports ${module}, which ${own.folder} may not.`,
        `It may import ${inWords(own.ours)} of ours, and else ${inWords(own.others)}.`,
        `Move what needs it to a folder that may, or let main.ts, open.ts or serve.ts hand it over through a port, as core/store.ts is one.`,
        `If the map itself should change, change its table in test/architecture.test.ts and say why in ARCHITECTURE.md.`,
      ].join(" "),
    ];
  });
  if (isRoot(path) || rowOf(path) !== undefined) return faults;
  return [
    ...faults,
    `src/${path} is in no folder of the map: put it into one, or give its folder a row in the table of test/architecture.test.ts`,
  ];
};

const onlyTheRootKnowsTheProcess: Law = (path, source) => {
  if (
    isRoot(path) ||
    !/\bprocess\s*(\??\.\s*(env|argv)\b|\[)|\{[^}]*\b(env|argv)\b[^}]*\}\s*=\s*process\b/.test(source)
  )
    return [];
  return [`src/${path} looks at the environment or the arguments: let main.ts hand over what it needs to know`];
};

const timeIsPassedIn: Law = (path, source) => {
  if (!path.startsWith("core/") || !/\bDate\s*\.\s*now\b|\bnew Date\s*\(\s*\)|\bDate\s*\(\s*\)/.test(source)) return [];
  return [`src/${path} looks at the clock: take the time from \`bus.now()\``];
};

const operationsAskTheCore: Law = (path, source) => {
  if (!path.startsWith("operations/") || !/\.\s*store\b|\{[^}]*\bstore\b[^}]*\}\s*=[^>]/.test(source)) return [];
  return [
    `src/${path} reads the store itself, past the rules about who may see what: call a function of core that takes the caller`,
  ];
};

const filesHaveASubject: Law = (path, source) => {
  const lines = source.trimEnd().split("\n").length;
  return lines <= MAX_LINES
    ? []
    : [`src/${path} has ${lines} lines: look for its second subject and give that a file of its own`];
};

/** The package's entry point. */
const LIBRARY = "library.ts";

const thereIsOneBarrel: Law = (path, source) => {
  if (path === "operations/index.ts" || path === LIBRARY) return [];
  const passesOn = /^\s*export\s+(type\s+)?(\*|\{[^}]*\})[^;"'\n]*\bfrom\b/m.test(source);
  if (!passesOn && posix.basename(path) !== "index.ts") return [];
  return [`src/${path} passes on what others define: let who needs it import it from there`];
};

const pathsAreInTheTable: Law = (path, source) => {
  if (path.startsWith("operations/")) return [];
  return pathsOf(operations)
    .filter((route) => new RegExp(`["'\`](?:[A-Z]+ )?${route.replaceAll(".", "\\.")}(?![\\w-])`).test(source))
    .map(
      (route) =>
        `src/${path} writes ${route} out: take it from the operation's \`http\`, the only place where it is said`,
    );
};

const laws = {
  keepTheMap,
  onlyTheRootKnowsTheProcess,
  timeIsPassedIn,
  operationsAskTheCore,
  filesHaveASubject,
  thereIsOneBarrel,
  pathsAreInTheTable,
};

const root = fileURLToPath(new URL("../src", import.meta.url));
const sources = globSync("**/*.{ts,tsx,sql}", { cwd: root }).map((path) => path.replaceAll("\\", "/"));

const sentences: Readonly<Record<keyof typeof laws, string>> = {
  keepTheMap: "every import keeps the map",
  onlyTheRootKnowsTheProcess: "only the files of src itself look at the environment and the arguments",
  timeIsPassedIn: "the core takes the time from the bus",
  operationsAskTheCore: "operations reach the store only through the core",
  filesHaveASubject: `no file is longer than ${MAX_LINES} lines`,
  thereIsOneBarrel: "nothing passes on what others define, but for the table",
  pathsAreInTheTable: "paths are written in operations and nowhere else",
};

for (const law of Object.keys(laws) as (keyof typeof laws)[]) {
  test(sentences[law], () => {
    assert.ok(sources.length > 40, "the sources are found");
    const faults = sources.flatMap((path) => laws[law](path, readFileSync(join(root, path), "utf8")));
    assert.equal(faults.join("\n\n"), "");
  });
}

/** The imports between the files of src, types included: each file with those of ours that it names. */
function importGraph(files: ReadonlyMap<string, string>): ReadonlyMap<string, ReadonlySet<string>> {
  const named = (path: string, source: string) =>
    importsOf(source)
      .flatMap(({ module }) => (module?.startsWith(".") ? posix.join(posix.dirname(path), module) : []))
      .filter((other) => files.has(other));
  return new Map([...files].map(([path, source]) => [path, new Set(named(path, source))]));
}

/** Files that a reader can only understand together, as they import each other. */
function importCircles(files: ReadonlyMap<string, string>): string[] {
  const graph = importGraph(files);
  const reachable = (from: string): ReadonlySet<string> => {
    const seen = new Set<string>();
    const next = [...(graph.get(from) ?? [])];
    for (let path = next.pop(); path !== undefined; path = next.pop()) {
      if (seen.has(path)) continue;
      seen.add(path);
      next.push(...(graph.get(path) ?? []));
    }
    return seen;
  };
  const reach = new Map([...files.keys()].map((path) => [path, reachable(path)]));
  return [...files.keys()]
    .filter((path) => reach.get(path)?.has(path))
    .map((path) => {
      const others = [...(reach.get(path) ?? [])].filter((other) => other !== path && reach.get(other)?.has(path));
      return `src/${path} imports itself by way of ${others.join(", ")}: move what they share below both`;
    });
}

/** Small files that only one other needs. What is loaded on demand, or for the browser or the compiler alone, is left out. */
function crumbs(files: ReadonlyMap<string, string>): string[] {
  const importers = new Map<string, number>();
  for (const others of importGraph(files).values()) {
    for (const other of others) importers.set(other, (importers.get(other) ?? 0) + 1);
  }
  return [...files]
    .filter(
      ([path, source]) =>
        !path.endsWith(".sql") && source.trimEnd().split("\n").length < MIN_LINES && importers.get(path) === 1,
    )
    .map(([path]) => `src/${path} is shorter than ${MIN_LINES} lines and has one importer: put it there`);
}

test("no files import each other in a circle", () => {
  assert.equal(importCircles(readSources()).join("\n"), "");
  const planted = [
    ["core/a.ts", 'import type { B } from "./b.ts";'],
    ["core/b.ts", 'import { c } from "./c.ts";'],
    ["core/c.ts", 'await import("./a.ts");'],
    ["core/d.ts", 'import "./a.ts";'],
  ] as const;
  assert.equal(importCircles(new Map(planted)).length, 3);
});

test(`no file is shorter than ${MIN_LINES} lines with a single importer`, () => {
  assert.equal(crumbs(readSources()).join("\n"), "");
  const planted = [
    ["core/small.ts", "x;\n".repeat(MIN_LINES - 1)],
    ["core/shared.ts", "x;"],
    ["core/large.ts", "x;\n".repeat(MIN_LINES)],
    ["core/a.ts", 'import "./small.ts"; import "./shared.ts"; import "./large.ts";'],
    ["core/b.ts", 'import "./shared.ts";'],
  ] as const;
  assert.deepEqual(crumbs(new Map(planted)), [
    "src/core/small.ts is shorter than 25 lines and has one importer: put it there",
  ]);
});

suite("a broken law is reported, with what to do about it", () => {
  // biome-ignore format: a table
  const planted: readonly [keyof typeof laws, string, string, RegExp][] = [
    ["keepTheMap", "core/messages.ts", 'import { readFileSync } from "node:fs";', /^src\/core\/messages\.ts:1 imports node:fs, which core may not\. It may import nothing of ours, and else node:crypto \(lazily\) and jose\. Move what needs it to a folder that may, or let main\.ts/],
    ["keepTheMap", "core/messages.ts", 'import type { Store } from "../storage/sqlite/open.ts";', /imports \.\.\/storage\/sqlite\/open\.ts, which core may not/],
    ["keepTheMap", "core/keys.ts", '\nimport { sign } from "node:crypto";', /^src\/core\/keys\.ts:2 loads node:crypto with itself: import its type, and load it where it is needed/],
    ["keepTheMap", "core/keys.ts", 'import { type KeyObject } from "node:crypto";', /loads node:crypto with itself/],
    ["keepTheMap", "core/did.ts", 'const os = process.getBuiltinModule("node:os");', /imports node:os, which core may not/],
    ["keepTheMap", "core/did.ts", 'const name = "node:os"; await import(name);', /:1 imports what it doesn't name: write the module's name out/],
    ["keepTheMap", "core/did.ts", "await import(`node:os`+name);", /imports what it doesn't name/],
    ["keepTheMap", "main.ts", "await import(engine);", /imports what it doesn't name/],
    ["keepTheMap", "operations/messages.ts", 'const x = await import("../surfaces/cli/run.ts");', /imports \.\.\/surfaces\/cli\/run\.ts, which operations may not/],
    ["keepTheMap", "operations/messages.ts", 'import { z } from "zod";', /imports zod, which operations may not/],
    ["keepTheMap", "operations/index.ts", 'export { openBus } from "../open.ts";', /imports \.\.\/open\.ts, which operations may not/],
    ["keepTheMap", "surfaces/http/server.ts", 'import { print } from "../cli/terminal.ts";', /surfaces\/http may not.*core, operations, client, server and wire of ours/],
    ["keepTheMap", "surfaces/cli/run.ts", 'import { openSqlite }\n  from "../../storage/sqlite/open.ts";', /surfaces\/cli may not/],
    ["keepTheMap", "surfaces/cli/run.ts", 'import "prom-client";', /imports prom-client, which surfaces\/cli may not/],
    ["keepTheMap", "wire/sse.ts", 'let x: import("../core/store.ts").Store;', /wire may not\. It may import nothing of ours, and else nothing/],
    ["keepTheMap", "wire/sse.ts", 'const { x } = require("node:stream");', /imports node:stream, which wire may not/],
    ["keepTheMap", "storage/sqlite/open.ts", 'import Database from "better-sqlite3";', /loads better-sqlite3 with itself/],
    ["keepTheMap", "storage/sqlite/open.ts", 'import { createFileBells } from "../../wakeup/files.ts";', /storage\/sqlite may not/],
    ["keepTheMap", "storage/sqlite/open.ts", 'import x from "../nats/open.ts";', /storage\/sqlite may not/],
    ["keepTheMap", "core/bus.ts", 'import manifest from "../../package.json" with { type: "json" };', /core may not/],
    ["keepTheMap", "queues/tcp.ts", 'import net from "node:net";', /^src\/queues\/tcp\.ts is in no folder of the map: put it into one, or give its folder a row/],
    ["keepTheMap", "surfaces/shared.ts", "", /is in no folder of the map/],
    ["onlyTheRootKnowsTheProcess", "surfaces/cli/run.ts", "const debug = process.env.IPC_DEBUG;", /let main\.ts hand over/],
    ["onlyTheRootKnowsTheProcess", "core/bus.ts", "const { pid, argv } = process;", /let main\.ts hand over/],
    ["onlyTheRootKnowsTheProcess", "core/bus.ts", 'process["env"]', /let main\.ts hand over/],
    ["timeIsPassedIn", "core/messages.ts", "const now = Date.now() / 1_000;", /take the time from `bus\.now\(\)`/],
    ["timeIsPassedIn", "core/messages.ts", "new Date().toISOString()", /take the time from `bus\.now\(\)`/],
    ["timeIsPassedIn", "core/bus.ts", "now: () => Date.now() / 1_000", /take the time from `bus\.now\(\)`/],
    ["operationsAskTheCore", "operations/channels.ts", "await bus.store.messages.channels()", /^src\/operations\/channels\.ts reads the store itself/],
    ["operationsAskTheCore", "operations/channels.ts", "const { store } = bus;", /call a function of core that takes the caller/],
    ["filesHaveASubject", "core/messages.ts", "x;\n".repeat(501), /has 501 lines: look for its second subject/],
    ["thereIsOneBarrel", "core/all.ts", 'export * from "./bus.ts";', /passes on what others define/],
    ["thereIsOneBarrel", "core/all.ts", 'export type { Bus } from "./bus.ts";', /passes on what others define/],
    ["thereIsOneBarrel", "core/index.ts", "", /passes on what others define/],
    ["pathsAreInTheTable", "surfaces/http/client.ts", 'post("/send")', /writes \/send out: take it from the operation's `http`/],
    ["pathsAreInTheTable", "main.ts", 'route("GET /messages?wait=true")', /writes \/messages out/],
  ];
  for (const [law, path, source, text] of planted) {
    test(`${path}: ${source.slice(0, 70).replaceAll("\n", " ")}`, () => {
      const faults = laws[law](path, source);
      assert.equal(faults.length, 1, faults.join("\n"));
      assert.match(faults.join(), text);
    });
  }

  test("code that keeps the laws is not reported", () => {
    const good: readonly [string, string][] = [
      [
        "main.ts",
        'import { serve } from "./serve.ts";\nconst x = process.env;\nawait import("./surfaces/http/server.ts");',
      ],
      [
        "core/keys.ts",
        'import type { KeyObject } from "node:crypto";\nlet c: typeof import("node:crypto");\nprocess.getBuiltinModule("node:crypto");',
      ],
      ["core/messages.ts", 'import { waitFor } from "./waiting.ts";\nperformance.now();\nnew Date(bus.now());'],
      [
        "surfaces/http/server.ts",
        'import { type Route, createRoutes } from "./routes.ts";\nimport { invalid } from "../../core/errors.ts";\n"/metrics"; "/sender"; "x/send";',
      ],
    ];
    for (const [path, source] of good) {
      assert.deepEqual(
        Object.values(laws).flatMap((law) => law(path, source)),
        [],
      );
    }
  });
});

test("every operation that is defined is in the table, once", async () => {
  const defined = new Set<unknown>();
  for (const path of sources.filter((path) => path.startsWith("operations/"))) {
    const module: object = await import(new URL(`../src/${path}`, import.meta.url).href);
    for (const value of Object.values(module)) if (isOperation(value)) defined.add(value);
  }
  assert.deepEqual([...defined].map(nameOf).toSorted(), [...operations, ipcTool].map(nameOf).toSorted());
  for (const key of ["name", "http"] as const) {
    const said = operations.flatMap((operation) => operation[key] ?? []);
    assert.equal(new Set(said).size, said.length, `two operations have one ${key}`);
  }
});

test("every HTTP operation has a verb on the command line", async () => {
  const asked = operations.filter(({ http }) => http !== undefined);
  assert.ok(asked.length >= 8);
  for (const { code, stdout, name } of await Promise.all(
    asked.map(async ({ name }) => ({ name, ...(await run(["help", name], {})) })),
  )) {
    assert.equal(code, 0, name);
    assert.match(stdout, new RegExp(`^Usage: el-ipc ${name} `, "m"));
    assert.match(stdout, /^ {2}--url URL/m);
  }
});

function readSources(): ReadonlyMap<string, string> {
  return new Map(sources.map((path) => [path, readFileSync(join(root, path), "utf8")]));
}

function pathsOf(table: readonly Operation[]): string[] {
  return table.flatMap(({ http }) => http?.replace(/^[A-Z]+ /, "").replace(/\/?:.*/, "") ?? []);
}

function isOperation(value: unknown): value is Operation {
  return typeof value === "object" && value !== null && "access" in value && "run" in value && "input" in value;
}

function nameOf(value: unknown): string {
  return isOperation(value) ? value.name : "";
}

function inWords(names: readonly string[]): string {
  const said = names.map((name) => name.replace(/^lazy (.*)/, "$1 (lazily)"));
  if (said.length === 0) return "nothing";
  return said.length === 1 ? said.join() : `${said.slice(0, -1).join(", ")} and ${said.at(-1)}`;
}
