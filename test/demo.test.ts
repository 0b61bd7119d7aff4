import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import { ask } from "./support/http.ts";
import { startModule, temporaryFolder, waitUntil } from "./support/program.ts";

const demo = new URL("../scripts/demo/index.ts", import.meta.url);
const root = fileURLToPath(new URL("..", import.meta.url));

/** The lines of each participant, in order. */
function saidBy(who: string, output: string): readonly string[] {
  return output.split("\n").flatMap((line) => (line.startsWith(`${who} `) ? [line.slice(who.length).trim()] : []));
}

const isGone = (url: string) =>
  ask(url, "GET /health").then(
    () => false,
    () => true,
  );

suite("npm run demo", () => {
  test("B47 shows the four-session example, tells what happens, and leaves nothing behind", async () => {
    using folder = temporaryFolder();
    const env = { ...process.env, TMPDIR: folder.path };
    const child = spawn("npm", ["run", "--silent", "demo", "--", "--once"], { cwd: root, env });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        output += text;
      });
    }
    assert.equal(await new Promise((resolve) => child.on("close", resolve)), 0, output);

    assert.match(output, /its dashboard is http:\/\/127\.0\.0\.1:\d+\/dashboard/);
    const port = /has a server on 127\.0\.0\.1:(\d+)/.exec(output)?.[1];
    const place = `{"ip":"127.0.0.1","port":${port}}`;
    const heard = '{"status":200,"heard":"hello from the backend"}';
    assert.deepEqual(saidBy("human", output), [
      'orders backend: start_server {"port":7400}',
      `sees that backend acknowledged: ${place}`,
      `orders linux-client: connect_and_test ${place}`,
      `sees that linux-client acknowledged: ${heard}`,
    ]);
    assert.deepEqual(saidBy("backend", output).slice(1), [
      'takes the command start_server {"port":7400}',
      `has a server on 127.0.0.1:${port}`,
      `acknowledges it: ${place}`,
    ]);
    assert.deepEqual(saidBy("linux-client", output).slice(1, 3), [
      `takes the command connect_and_test ${place}`,
      `acknowledges it: ${heard}`,
    ]);
    assert.match(output, /broker +has stored start_server: acked, connect_and_test: acked/);

    assert.deepEqual(
      readdirSync(folder.path).filter((name) => name.startsWith("el-ipc")),
      [],
    );
    assert.ok(await isGone(/serves on (\S+),/.exec(output)?.[1] ?? assert.fail(output)));
    assert.ok(await isGone(`http://127.0.0.1:${port}`));
  });

  test("goes on, and takes commands, until Ctrl-C; then nothing is left", async () => {
    using folder = temporaryFolder();
    await using shown = startModule(demo, [], { TMPDIR: folder.path });
    const output = await shown.untilPrinted("Ctrl-C ends it all");
    const url = /serves on (\S+),/.exec(output)?.[1] ?? assert.fail(output);
    const body = { target: "linux-client", action: "fly" };
    const sent = await ask(url, "POST /commands/send", { body });
    const { id } = Object(sent.json).command;
    const ended = await ask(url, `GET /commands/${id}/result?timeout=20000`);
    assert.partialDeepStrictEqual(Object(ended.json).command, {
      status: "failed",
      result: { error: "linux-client can't fly" },
    });
    shown.child.kill("SIGINT");
    assert.equal((await shown.ended).stderr, "");
    await waitUntil(() => isGone(url), "the broker is gone");
    assert.deepEqual(
      readdirSync(folder.path).filter((name) => name.startsWith("el-ipc")),
      [],
    );
  });
});
