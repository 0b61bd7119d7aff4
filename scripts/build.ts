// Builds from src what is in sources.d, the library's types and the description of the HTTP API among it. With --check it builds nothing and fails where
// what is committed differs.
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, type Plugin, transform } from "esbuild";
import { operations } from "../src/operations/index.ts";
import { routesIn } from "../src/surfaces/http/routes.ts";
import { buildDashboard } from "./build-dashboard.ts";
import { declarationsOf } from "./declarations.ts";
import { openApiOf } from "./openapi.ts";
import { answerSchemas } from "./schemas.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

/** What is loaded on demand is a file of its own, so that the quick path stays small. */
const files = [
  { from: "src/main.ts", to: "sources.d/ipc-cli.js", program: "ipc-server.js" },
  { from: "src/serve.ts", to: "sources.d/ipc-serve.js" },
  { from: "src/moving.ts", to: "sources.d/ipc-moving.js" },
  { from: "src/nats.ts", to: "sources.d/ipc-nats.js" },
  { from: "src/storage/sqlite/archive.ts", to: "sources.d/ipc-archive.js" },
  { from: "src/links/tcp.ts", to: "sources.d/ipc-tcp-link.js" },
  { from: "src/surfaces/tcp/client.ts", to: "sources.d/ipc-tcp-client.js" },
  { from: "src/surfaces/websocket/server.ts", to: "sources.d/ipc-websocket.js" },
  { from: "src/brokers.ts", to: "sources.d/ipc-brokers.js" },
  { from: "src/surfaces/websocket/client.ts", to: "sources.d/ipc-websocket-client.js" },
  { from: "src/mcp.ts", to: "sources.d/ipc-mcp.js" },
  { from: "src/surfaces/mcp/http.ts", to: "sources.d/ipc-mcp-http.js" },
  { from: "src/core/token.ts", to: "sources.d/ipc-token.js" },
  { from: "src/agent-msg.ts", to: "sources.d/ipc-agent-msg.js", program: "agent-msg.js" },
  { from: "src/library.ts", to: "sources.d/ipc-library.js" },
  { from: "src/messenger-worker.ts", to: "sources.d/ipc-messenger.js" },
];

/** An import() of such a file stays one, by its built name. */
const onDemand: Plugin = {
  name: "on-demand",
  setup({ onResolve }) {
    onResolve({ filter: /^\.\.?\/.*\.ts$/ }, ({ kind, path, resolveDir }) => {
      const file = files.find(({ from }) => join(root, from) === join(resolveDir, path));
      if (kind !== "dynamic-import" || file === undefined) return undefined;
      return { path: `./${basename(file.to)}`, external: true };
    });
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

const bundles = await Promise.all(
  files.map(async ({ from, to, program }) => {
    const { outputFiles } = await build({
      absWorkingDir: root,
      entryPoints: [from],
      bundle: true,
      write: false,
      platform: "node",
      format: "cjs",
      target: "node22",
      // A program is read as a byte for each character.
      charset: program ? "ascii" : "utf8",
      legalComments: "none",
      minify: true,
      loader: { ".sql": "text" },
      define: { "import.meta.dirname": "__dirname" },
      // Node's own import() starts its whole ESM loader; require() doesn't.
      supported: { "dynamic-import": false },
      // The same file comes out wherever node_modules really lies.
      preserveSymlinks: true,
      plugins: [onDemand, versionOnly],
    });
    return { to, program, text: outputFiles[0]?.text ?? "" };
  }),
);

/** What is started: read by any Node, so that one which is too old can hand over to ipc-server.sh; then runs a bundle. */
async function programOf(program: string, bundle: { readonly to: string; readonly text: string }) {
  const build = createHash("sha256").update(bundle.text).digest("hex").slice(0, 16);
  const functions = ["hand-over.js", "run-compiled.js"].map((name) => readFileSync(`${root}/scripts/${name}`, "utf8"));
  const start = `if (!handOver("${program}")) runCompiled("${basename(bundle.to)}", "${build}");`;
  const script = [...functions, start].join("\n");
  const { code } = await transform(script, { target: "node14", minify: true, charset: "ascii" });
  return { to: `sources.d/${program}`, text: `#!/usr/bin/env node\n"use strict";\n${code}`, mode: 0o755 };
}

const programs = await Promise.all(
  bundles.flatMap(({ program, ...bundle }) => (program === undefined ? [] : [programOf(program, bundle)])),
);
const types = { to: "sources.d/ipc-library.d.ts", text: declarationsOf(root, "library") };
const routes = routesIn(operations);
const schemas = answerSchemas(types.text, new Set(routes.map(({ operation }) => operation.name)));
const { version } = JSON.parse(readFileSync(`${root}/package.json`, "utf8"));
const api = { to: "sources.d/openapi.json", text: `${JSON.stringify(openApiOf(routes, schemas, version))}\n` };
const loaded = [...bundles, types, api, ...(await buildDashboard(root))].map(({ to, text }) => ({
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
