// `npm run test:mcp`: the protocol's own conformance suite and its inspector, against the built program. They are large
// and nothing else needs them, so they are no dependencies: they are installed when this first runs.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { temporaryFolder } from "../bench/folder.ts";
import { runCommand } from "../bench/processes.ts";
import { command, on, serve } from "../bench/program.ts";

const wanted = { "@modelcontextprotocol/conformance": "0.2.0-alpha.12", "@modelcontextprotocol/inspector": "2.12.0" };
const MAX_MS = 5 * 60_000;

const place = fileURLToPath(new URL("../../node_modules/.cache/el-ipc-mcp", import.meta.url));
const packages = join(place, "node_modules", "@modelcontextprotocol");
const conformance = join(packages, "conformance", "dist", "index.js");
const inspector = join(packages, "inspector", "clients", "launcher", "build", "index.js");
const fixtures = fileURLToPath(new URL("needs-fixtures.yaml", import.meta.url));

install();
using folder = temporaryFolder();
const variables = on(folder);
await using server = await serve(variables);
const url = `http://127.0.0.1:${server.port}`;

for (const revision of ["2026-07-28", "2025-11-25"]) {
  attempt(`conformance with ${revision}, but for what needs fixtures`, () => {
    const asked = ["--url", `${url}/mcp`, "--requirements", revision, "--expected-failures", fixtures];
    const output = run(conformance, "server", ...asked, "--output-dir", folder.file(revision));
    return /^Total: (\d+ passed)/m.exec(output)?.[1] ?? "";
  });
}
for (const target of [command("mcp"), [`${url}/mcp`], [`${url}/mcp/sse`]]) {
  attempt(`inspector --strict: ${target.at(-1)}`, () => {
    // A warning would stand among the JSON and break the parsing.
    const { tools } = JSON.parse(run(inspector, "--cli", "--method", "tools/list", "--strict", ...target));
    return `${tools.length} tools`;
  });
}

function attempt(what: string, doIt: () => string): void {
  try {
    console.log(`✓ ${what}: ${doIt()}`);
  } catch (error) {
    console.error(`✗ ${what}: ${error instanceof Error ? error.message : error}`);
    process.exitCode = 1;
  }
}

/** The output of an MCP program on both its streams. Throws where it fails. */
function run(script: string, ...words: readonly string[]): string {
  const both = ["sh", "-c", 'exec "$@" 2>&1', "sh", process.execPath];
  return runCommand([...both, script, ...words], variables, MAX_MS).output;
}

function install(): void {
  const manifest = JSON.stringify({ private: true, dependencies: wanted }, null, 2);
  const installed = join(place, "installed.json");
  if (existsSync(installed) && readFileSync(installed, "utf8") === manifest) return;
  mkdirSync(place, { recursive: true });
  writeFileSync(join(place, "package.json"), manifest);
  const words = ["install", "--prefix", place, "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"];
  const { status } = spawnSync("npm", words, { stdio: ["ignore", "ignore", "inherit"], timeout: MAX_MS });
  if (status !== 0) throw new Error("npm could not install MCP's conformance suite and inspector");
  writeFileSync(installed, manifest);
}
