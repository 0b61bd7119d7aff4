import assert from "node:assert/strict";
import { cpSync } from "node:fs";
import { dirname } from "node:path";
import { test } from "node:test";
import { entry, run, temporaryFolder } from "../support/program.ts";

test("where nobody ran npm, and so better-sqlite3 isn't there, node:sqlite steps in without a word, on the same file", async () => {
  using folder = temporaryFolder();
  cpSync(dirname(entry), folder.file("sources.d"), { recursive: true });
  const bare = folder.file("sources.d/ipc-server.js");
  const environment = { IPC_DB_PATH: folder.file("bus.db") };
  const content = "one\u0000two";
  const steps: readonly [string, readonly string[]][] = [
    [bare, ["send", "builds", "herald", "-"]],
    [entry, ["send", "builds", "herald", "-"]],
    [bare, ["read", "builds", "reader"]],
    [entry, ["read", "builds", "other"]],
  ];
  const printed: unknown[] = [];
  for (const [program, words] of steps) {
    const { code, stdout, stderr } = await run(words, environment, { entry: program, input: content });
    assert.deepEqual([code, stderr], [0, ""]);
    printed.push(JSON.parse(stdout));
  }
  assert.deepEqual(printed.slice(2).map(contentsOf), [
    [content, content],
    [content, content],
  ]);
});

function contentsOf(answer: unknown): unknown[] {
  return Array.isArray(answer) ? answer.map(({ content }) => content) : [];
}
