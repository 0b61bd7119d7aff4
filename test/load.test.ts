import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { needsNats } from "./support/nats-server.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

function load(...words: readonly string[]) {
  return spawnSync("npm", ["run", "--silent", "load", "--", ...words], { cwd: root, encoding: "utf8" });
}

test("what a bus on NATS costs its server is measured on one that is started for it", needsNats, () => {
  const few = ["--messages", "50", "--channels", "5", "--readers", "10", "--waiters", "5"];
  const { status, stdout, stderr } = load(...few);
  assert.deepEqual([status, stderr], [0, ""]);
  const lines = stdout.trimEnd().split("\n");
  assert.equal(lines.length, 6);
  for (const line of lines) assert.match(line, /: (\d+\/s, )?memory [\d.]+ MiB to [\d.]+ MiB, disk [\d.]+ MiB to/);
});

test("the load is bounded", () => {
  const { status, stderr } = load("--messages", "1000001");
  assert.equal(status, 1);
  assert.match(stderr, /a number from 1 to 1000000 is needed/);
});
