import assert from "node:assert/strict";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { isThere, jsonOf, repository } from "./support.ts";

function record(value: unknown): Record<string, unknown> {
  assert.ok(typeof value === "object" && value !== null && !Array.isArray(value));
  return { ...value };
}

const plugin = record(jsonOf(".claude-plugin", "plugin.json"));
const marketplace = record(jsonOf(".claude-plugin", "marketplace.json"));
const npm = record(jsonOf("package.json"));

test("E1 the repository is a plugin named el-ipc", () => {
  assert.equal(plugin.name, "el-ipc");
  assert.equal(plugin.repository, "https://github.com/mividtim/claude-code-el-ipc");
  assert.equal(record(plugin.author).name, "el-ipc contributors");
  assert.ok(Array.isArray(plugin.keywords) && plugin.keywords.length > 0);
  assert.ok(typeof plugin.description === "string" && plugin.description !== "");
});

test("E1 the repository is a marketplace that offers the plugin in it", () => {
  assert.match(String(marketplace.name), /^[a-z0-9-]+$/);
  assert.ok(typeof record(marketplace.owner).name === "string");
  const offered = marketplace.plugins;
  assert.ok(Array.isArray(offered));
  assert.deepEqual(
    offered.map((one) => [record(one).name, record(one).source, record(one).version]),
    [["el-ipc", "./", undefined]],
    "the version is said once, in plugin.json",
  );
});

test("the plugin and the package have one version, one description and one licence", () => {
  for (const key of ["version", "description", "license"]) assert.equal(plugin[key], npm[key], key);
});

test("E57 the licence is MIT", () => {
  assert.equal(plugin.license, "MIT");
  assert.match(readFileSync(join(repository, "LICENSE"), "utf8"), /^MIT License\n\nCopyright \(c\) \d{4} el-ipc /);
});

test("B11 the plugin brings its MCP server, started as everything else of ours", () => {
  const { command, args, ...rest } = record(record(plugin.mcpServers)["ipc-broker"]);
  assert.equal(command, `\${CLAUDE_PLUGIN_ROOT}/sources.d/ipc-server.sh`);
  assert.deepEqual([args, rest], [["mcp"], {}]);
});

test("what a plugin runs is there, and executable", () => {
  for (const file of ["sources.d/ipc-server.sh", "hooks/session-start.sh"]) {
    assert.equal(statSync(join(repository, file)).mode & 0o111, 0o111, file);
  }
  for (const [, file] of readFileSync(join(repository, "hooks", "hooks.json"), "utf8").matchAll(
    /\$\{CLAUDE_PLUGIN_ROOT\}\/([^"\\]+)/g,
  )) {
    assert.ok(isThere(String(file)), file);
  }
});
