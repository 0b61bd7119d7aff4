import assert from "node:assert/strict";
import { test } from "node:test";
import { run, startServer, temporaryFolder } from "../support/program.ts";

test("a message that was sent is read once", async () => {
  using folder = temporaryFolder();
  const environment = { IPC_DB_PATH: folder.file("bus.db") };
  await run(["send", "builds", "herald", "main is green"], environment);
  const first = await run(["read", "builds", "reader"], environment);
  const second = await run(["read", "builds", "reader"], environment);
  assert.match(first.stdout, /main is green/);
  assert.equal(second.stdout, "[]\n");
});

test("a server answers", async () => {
  using folder = temporaryFolder();
  await using server = await startServer({ IPC_DB_PATH: folder.file("bus.db") });
  const answer = await fetch(`${server.url}/health`);
  assert.deepEqual(await answer.json(), { status: "ok", pending: 0, secure_mode: false });
});
