import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { suite, test } from "node:test";
import { run, temporaryFolder } from "../support/program.ts";

type Folder = ReturnType<typeof temporaryFolder>;

async function send(folder: Folder, environment: Readonly<Record<string, string>> = {}): Promise<void> {
  const { code, stderr } = await run(["send", "c", "a", "x"], {
    IPC_DB_PATH: folder.file("bus.db"),
    HOME: folder.path,
    ...environment,
  });
  assert.deepEqual([code, stderr], [0, ""]);
}

/** The one file that is kept. */
function keptIn(folder: string): string {
  const [name = "", ...others] = readdirSync(folder);
  assert.deepEqual(others, []);
  return `${folder}/${name}`;
}

suite("V8's compiled code is kept for the next start", { concurrency: 4 }, () => {
  test("where only its user can write, once for each verb", async () => {
    using folder = temporaryFolder();
    await send(folder);
    const cache = folder.file(".cache/el-ipc");
    const kept = keptIn(cache);
    assert.deepEqual([statSync(cache).mode & 0o777, statSync(kept).mode & 0o777], [0o700, 0o600]);
    const first = statSync(kept);
    await send(folder);
    assert.equal(statSync(kept).ino, first.ino, "nothing new to keep");
    await run(["channels"], { IPC_DB_PATH: folder.file("bus.db"), HOME: folder.path });
    assert.notEqual(statSync(keptIn(cache)).ino, first.ino);
    assert.match(readFileSync(kept, "latin1"), /\nsend channels$/);
  });

  test("in XDG_CACHE_HOME where that is set", async () => {
    using folder = temporaryFolder();
    await send(folder, { XDG_CACHE_HOME: folder.path });
    assert.ok(keptIn(folder.file("el-ipc")));
    assert.ok(!existsSync(folder.file(".cache")));
  });

  for (const [what, spoil] of [
    ["is damaged", (kept: string) => writeFileSync(kept, "not code\nsend")],
    ["is empty", (kept: string) => writeFileSync(kept, "")],
    ["is cut off", (kept: string) => writeFileSync(kept, readFileSync(kept).subarray(0, 5_000))],
    ["others could have written", (kept: string) => chmodSync(kept, 0o666)],
  ] as const) {
    test(`a cache that ${what} is not run, and made again`, async () => {
      using folder = temporaryFolder();
      await send(folder);
      const kept = keptIn(folder.file(".cache/el-ipc"));
      const good = readFileSync(kept);
      spoil(kept);
      await send(folder);
      assert.equal(statSync(kept).mode & 0o777, 0o600);
      assert.ok(Math.abs(readFileSync(kept).length - good.length) < good.length / 2);
    });
  }

  test("nothing is written through a link, nor into a folder that others can write to", async () => {
    for (const make of [
      (cache: string, elsewhere: string) => symlinkSync(elsewhere, cache),
      (cache: string) => {
        mkdirSync(cache);
        chmodSync(cache, 0o777);
      },
    ]) {
      using folder = temporaryFolder();
      mkdirSync(folder.file(".cache"));
      mkdirSync(folder.file("elsewhere"));
      make(folder.file(".cache/el-ipc"), folder.file("elsewhere"));
      await send(folder);
      assert.deepEqual(readdirSync(folder.file(".cache/el-ipc")), []);
    }
  });

  test("without a home folder, or with one that isn't there, all works the same", async () => {
    using folder = temporaryFolder();
    await send(folder, { HOME: "" });
    await send(folder, { HOME: folder.file("nobody") });
    assert.ok(!existsSync(folder.file("nobody")));
    await send(folder, { HOME: "relative" });
    assert.ok(!existsSync(folder.file(".cache")));
  });
});
