// Builds sources.d/*.js from src. With --check it builds nothing and fails where what is committed differs.
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { build, type Plugin, transform } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));

/** What is loaded on demand is a file of its own, so that the quick path stays small. */
const files = [
  { from: "src/main.ts", to: "sources.d/ipc-cli.js" },
  { from: "src/serve.ts", to: "sources.d/ipc-serve.js" },
  { from: "src/mcp.ts", to: "sources.d/ipc-mcp.js" },
  { from: "src/surfaces/mcp/http.ts", to: "sources.d/ipc-mcp-http.js" },
  { from: "src/core/token.ts", to: "sources.d/ipc-token.js" },
];

/** An import() of such a file stays one, by its built name. */
const onDemand: Plugin = {
  name: "on-demand",
  setup({ onResolve }) {
    onResolve({ filter: /^\.\.?\/.*\.ts$/ }, ({ kind, path }) => {
      const file = files.find(({ from }) => basename(from) === basename(path));
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

const outputs = await Promise.all(
  files.map(async ({ from, to }) => {
    const main = from === "src/main.ts";
    const { outputFiles } = await build({
      absWorkingDir: root,
      entryPoints: [from],
      bundle: true,
      write: false,
      platform: "node",
      format: "cjs",
      target: "node22",
      // The quick path is read as a byte for each character.
      charset: main ? "ascii" : "utf8",
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
    return { to, text: outputFiles[0]?.text ?? "" };
  }),
);

outputs.unshift({ to: "sources.d/ipc-server.js", text: await entry() });

/** What is started: read by any Node, so that one which is too old can hand over to ipc-server.sh; then runs the quick path. */
async function entry(): Promise<string> {
  const [first] = outputs;
  const build = createHash("sha256")
    .update(first?.text ?? "")
    .digest("hex")
    .slice(0, 16);
  const functions = ["hand-over.js", "run-compiled.js"].map((name) => readFileSync(`${root}/scripts/${name}`, "utf8"));
  const script = `${functions.join("\n")}\nif (!handOver()) runCompiled("ipc-cli.js", "${build}");`;
  const { code } = await transform(script, { target: "node14", minify: true, charset: "ascii" });
  return `#!/usr/bin/env node\n"use strict";\n${code}`;
}

if (process.argv.includes("--check")) {
  const stale = outputs.filter(({ to, text }) => readOrEmpty(`${root}/${to}`) !== text);
  if (stale.length > 0) {
    console.error(`${stale.map(({ to }) => to).join(", ")}: not what src builds. Run \`npm run build\` and commit it.`);
    process.exit(1);
  }
} else {
  for (const { to, text } of outputs) {
    writeFileSync(`${root}/${to}`, text, { mode: 0o755 });
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
