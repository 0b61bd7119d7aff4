// Builds from src what is in sources.d, the library's types and the description of the HTTP API among it. With --check it builds nothing and fails where
// what is committed differs.
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build, type Plugin, transform } from "esbuild";
import { operations } from "../src/operations/index.ts";
import { routesIn } from "../src/surfaces/http/routes.ts";
import { buildDashboard } from "./build-dashboard.ts";
import { declarationsOf } from "./declarations.ts";
import { openApiOf } from "./openapi.ts";
import { answerSchemas } from "./schemas.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

/**
 * What `send` and `read` load is one file. The rest is loaded on demand, in three more: each has one copy of the core, and
 * runs a module of its list when that is first asked for.
 */
const bundles: readonly Bundle[] = [
  { to: "ipc-cli.js", from: "src/main.ts", program: "ipc-server.js", modules: [] },
  {
    to: "ipc-servers.js",
    modules: [
      "src/serve.ts",
      "src/brokers.ts",
      "src/mcp.ts",
      "src/surfaces/websocket/server.ts",
      "src/surfaces/mcp/http.ts",
    ],
  },
  {
    to: "ipc-library.js",
    from: "src/library.ts",
    program: "agent-msg.js",
    runs: "src/agent-msg.ts",
    modules: [
      "src/agent-msg.ts",
      "src/messenger-worker.ts",
      "src/moving.ts",
      "src/core/token.ts",
      "src/links/tcp.ts",
      "src/storage/sqlite/archive.ts",
      "src/surfaces/tcp/client.ts",
      "src/surfaces/websocket/client.ts",
    ],
  },
  { to: "ipc-nats.js", modules: ["src/nats.ts"] },
];

interface Bundle {
  readonly to: string;
  /** The module whose exports the file has. */
  readonly from?: string;
  /** The program that loads the file, and the module that the program runs, where that isn't `from`. */
  readonly program?: string;
  readonly runs?: string;
  /** The modules that other files load from here. */
  readonly modules: readonly string[];
}

/** Makes an import() of a module in another bundle load that bundle, and run the module in it. */
function loadOnDemand(own: Bundle): Plugin {
  return {
    name: "load-on-demand",
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /^\.\.?\/.*\.ts$/ }, ({ kind, path, resolveDir }) => {
        const module = relative(root, join(resolveDir, path));
        const bundle = bundles.find(({ modules }) => modules.includes(module));
        if (kind !== "dynamic-import" || bundle === undefined || bundle === own) return undefined;
        return { path: module, namespace: "other-bundle", pluginData: bundle.to };
      });
      onLoad({ filter: /./, namespace: "other-bundle" }, ({ path, pluginData }) => ({
        contents: `module.exports = require("./${pluginData}").modules[${JSON.stringify(path)}]();`,
        loader: "js",
      }));
      onResolve({ filter: /^\.\/ipc-[a-z]+\.js$/, namespace: "other-bundle" }, ({ path }) => ({
        path,
        external: true,
      }));
    },
  };
}

/** The source that a bundle begins with. */
function entryOf({ from, modules }: Bundle): string {
  const exported = from === undefined ? "" : `export * from "./${from}";`;
  if (modules.length === 0) return exported;
  const loaders = modules.map((module) => `${JSON.stringify(module)}: () => require("./${module}")`);
  return `${exported}\nexport const modules = { ${loaders.join(", ")} };`;
}

/**
 * The MCP server's own validator for schemas is ajv, 120 KB of it. Only elicitation uses it, which el-ipc doesn't offer, so
 * the package's small one stands in.
 */
const smallValidator: Plugin = {
  name: "small-validator",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^@modelcontextprotocol\/server\/_shims$/ }, ({ path }) => ({ path, namespace: "mcp-shims" }));
    onLoad({ filter: /./, namespace: "mcp-shims" }, () => ({
      contents: [
        'export { CfWorkerJsonSchemaValidator as DefaultJsonSchemaValidator } from "@modelcontextprotocol/server/validators/cf-worker";',
        'export { default as process } from "node:process";',
      ].join("\n"),
      resolveDir: root,
      loader: "js",
    }));
  },
};

/** Of our own manifest only the version is built in, so that nothing else in it makes the built files differ. */
const versionOnly: Plugin = {
  name: "version-only",
  setup({ onLoad }) {
    onLoad({ filter: /^.*\/package\.json$/ }, ({ path }) => {
      if (path !== `${root}package.json`) return undefined;
      const { version } = JSON.parse(readFileSync(path, "utf8"));
      return { contents: JSON.stringify({ version }), loader: "json" };
    });
  },
};

const built = await Promise.all(
  bundles.map(async (bundle) => {
    const { outputFiles } = await build({
      absWorkingDir: root,
      stdin: { contents: entryOf(bundle), resolveDir: root, sourcefile: bundle.to, loader: "ts" },
      bundle: true,
      write: false,
      platform: "node",
      format: "cjs",
      target: "node22",
      // A program is read as a byte for each character.
      charset: bundle.program ? "ascii" : "utf8",
      legalComments: "none",
      minify: true,
      loader: { ".sql": "text" },
      define: { "import.meta.dirname": "__dirname" },
      // Node's own import() starts its whole ESM loader; require() doesn't.
      supported: { "dynamic-import": false },
      // The same file comes out wherever node_modules really lies.
      preserveSymlinks: true,
      plugins: [loadOnDemand(bundle), versionOnly, smallValidator],
    });
    return { ...bundle, text: outputFiles[0]?.text ?? "" };
  }),
);

/** The started program. Any Node can read it, so that an old one can hand over to ipc-server.sh; then it runs a bundle. */
async function programOf(program: string, { to, runs, text }: Bundle & { readonly text: string }) {
  const build = createHash("sha256").update(text).digest("hex").slice(0, 16);
  const functions = ["hand-over.js", "run-compiled.js"].map((name) => readFileSync(`${root}/scripts/${name}`, "utf8"));
  const run = `runCompiled(${[to, build, ...(runs === undefined ? [] : [runs])].map((word) => JSON.stringify(word)).join(", ")})`;
  const start = `if (!handOver("${program}")) ${run};`;
  const script = [...functions, start].join("\n");
  const { code } = await transform(script, { target: "node14", minify: true, charset: "ascii" });
  return { to: `sources.d/${program}`, text: `#!/usr/bin/env node\n"use strict";\n${code}`, mode: 0o755 };
}

const programs = await Promise.all(
  built.flatMap((bundle) => (bundle.program === undefined ? [] : [programOf(bundle.program, bundle)])),
);
const types = { to: "sources.d/ipc-library.d.ts", text: declarationsOf(root, "library") };
const routes = routesIn(operations);
const schemas = answerSchemas(types.text, new Set(routes.map(({ operation }) => operation.name)));
const { version } = JSON.parse(readFileSync(`${root}/package.json`, "utf8"));
const api = { to: "sources.d/openapi.json", text: `${JSON.stringify(openApiOf(routes, schemas, version))}\n` };
/** A worker needs a file of its own to start from. */
const messenger = {
  to: "sources.d/ipc-messenger.js",
  text: '"use strict";\nrequire("./ipc-library.js").modules["src/messenger-worker.ts"]();\n',
};
const scripts = built.map(({ to, text }) => ({ to: `sources.d/${to}`, text }));
const loaded = [...scripts, messenger, types, api, ...(await buildDashboard(root))].map(({ to, text }) => ({
  to,
  text,
  mode: 0o644,
}));
const outputs = [...programs, ...loaded];

if (process.argv.includes("--check")) {
  const stale = outputs.filter(({ to, text }) => readOrEmpty(`${root}/${to}`) !== text);
  if (stale.length > 0) {
    console.error(`${stale.map(({ to }) => to).join(", ")}: not what src builds. Run \`npm run build\` and commit it.`);
    process.exit(1);
  }
} else {
  for (const { to, text, mode } of outputs) {
    writeFileSync(`${root}/${to}`, text, { mode });
    console.log(`${to}  ${Math.ceil(text.length / 1024)} KiB`);
  }
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
