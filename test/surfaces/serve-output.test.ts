import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { manual } from "../support/manual.ts";
import { blocksOf } from "../support/markdown.ts";
import { entry, start, temporaryFolder } from "../support/program.ts";

const inTerminal = fileURLToPath(new URL("../support/terminal-process.ts", import.meta.url));

test("npm start at a terminal says where the bus is, where its dashboard is and how to stop it, in three lines", async () => {
  using folder = temporaryFolder();
  const bus = folder.file("bus.db");
  await using server = start([entry, "serve", "0"], { IPC_DB_PATH: bus }, { entry: inTerminal, input: null });
  const shown = (await server.untilPrinted("Ctrl-C to stop.\r\n")).split("\r\n");
  const url = /http:\/\/127\.0\.0\.1:\d+/.exec(shown[0] ?? "")?.[0];
  const [block] = blocksOf(manual.textOf("docs/dashboard.md"));
  const documented = block?.text.replaceAll("http://127.0.0.1:9876", url ?? "?").replace("/tmp/el-ipc.db", bus);
  assert.deepEqual(["$ el-ipc serve", ...shown], [...(documented ?? "").split("\n"), ""]);
  assert.equal(shown.length, 4);
  assert.equal((await fetch(`${url}/dashboard`)).status, 200);
  server.child.stdin.write("\x03");
  assert.match((await server.ended).stdout, /Stopping\.\r\n$/);
});

test("a log that is piped stays JSON, a line for each event", async () => {
  using folder = temporaryFolder();
  await using server = start(["serve", "0"], { IPC_DB_PATH: folder.file("bus.db") }, { input: null });
  await server.untilLogged('"event":"listening"');
  server.child.kill("SIGTERM");
  const { stdout, stderr } = await server.ended;
  assert.equal(stdout, "");
  const events = stderr
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line).event);
  assert.deepEqual(events, ["listening", "stopping"]);
});
