import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Bell } from "../../src/core/waiting.ts";
import { createFileBells } from "../../src/wakeup/files.ts";
import { assertHeard, assertSoon, wakeupContract } from "../contracts/wakeup.ts";
import { countHalfSeconds } from "../support/clock.ts";
import { startModule, temporaryFolder } from "../support/program.ts";
import { nothingChanges } from "../support/store.ts";

const NOBODY = 65_534;
const isRoot = process.getuid?.() === 0;
const onlyRoot = { skip: !isRoot && "only root can give folders away" };

const listener = new URL("listener-process.ts", import.meta.url);
const ringer = new URL("ringer-process.ts", import.meta.url);

const never = new AbortController().signal;

/** The bells of a folder, of a process that no clock wakes: its store says that nobody writes. */
function bellsIn(folder: string) {
  return createFileBells({ folder, changes: nothingChanges });
}

/** The bells of a folder, and a store to whose channel `a` somebody has just written without ringing, each time it is asked. */
function bellsBesideSilentWriter(folder: string) {
  const asked: number[] = [];
  const bells = createFileBells({
    folder,
    changes: async () => {
      asked.push(performance.now());
      return { channels: ["a"], others: false };
    },
  });
  return Object.assign(bells, { asked });
}

async function millisecondsUntilRung(bell: Bell, most = 5_000): Promise<number> {
  const started = performance.now();
  await bell.wait(never, most);
  return performance.now() - started;
}

wakeupContract("files", () => {
  const parent = temporaryFolder();
  return {
    open: () => bellsIn(parent.file("bells")),
    [Symbol.asyncDispose]: async () => parent[Symbol.dispose](),
  };
});

test("a ring of a real other process is heard", async () => {
  using parent = temporaryFolder();
  await using bells = bellsIn(parent.file("bells"));
  using bell = bells.arm("a");
  const ended = startModule(ringer, [parent.file("bells"), "a"]).ended;
  const started = performance.now();
  await bell.wait(never, 10_000);
  assert.ok(performance.now() - started < 9_000);
  assert.deepEqual(await ended, { code: 0, stdout: "", stderr: "" });
});

test("the folder and its bells are for their owner alone", async () => {
  using parent = temporaryFolder();
  const before = process.umask(0);
  try {
    await using bells = bellsIn(parent.file("bells"));
    using _bell = bells.arm("a");
    assert.equal(statSync(parent.file("bells")).mode & 0o777, 0o700);
    for (const name of readdirSync(parent.file("bells"))) {
      assert.equal(statSync(parent.file(`bells/${name}`)).mode & 0o777, 0o600);
    }
  } finally {
    process.umask(before);
  }
});

test("ringing makes no files", async () => {
  using parent = temporaryFolder();
  await using bells = bellsIn(parent.file("bells"));
  bells.ring("a");
  assert.ok(!existsSync(parent.file("bells")));
  mkdirSync(parent.file("bells"));
  bells.ring("a");
  assert.deepEqual(readdirSync(parent.file("bells")), []);
});

test("a bell that rings a thousand times stays small", async () => {
  using parent = temporaryFolder();
  await using bells = bellsIn(parent.file("bells"));
  using _bell = bells.arm("a");
  for (let n = 0; n < 1_000; n++) {
    bells.ring("a");
    await new Promise(setImmediate);
  }
  const [name = ""] = readdirSync(parent.file("bells"));
  assert.equal(statSync(parent.file(`bells/${name}`)).size, 1);
});

test("another channel's ring wakes nobody", async () => {
  using parent = temporaryFolder();
  await using near = bellsIn(parent.file("bells"));
  await using far = bellsIn(parent.file("bells"));
  using bell = near.arm("builds");
  using _other = near.arm("Builds");
  // The file was only just made: what that itself tells the watcher comes first.
  await bell.wait(never, 50);
  far.ring("Builds");
  far.ring("build");
  far.ring("builds ");
  assert.ok((await millisecondsUntilRung(bell, 400)) > 350);
});

function eachIn(folder: string, act: (file: string) => void): void {
  for (const name of readdirSync(folder)) act(join(folder, name));
}

const cleanings: readonly [string, (folder: string) => void][] = [
  ["its files", (folder) => eachIn(folder, unlinkSync)],
  ["the folder", (folder) => rmSync(folder, { recursive: true })],
  ["its files by renaming", (folder) => eachIn(folder, (file) => renameSync(file, `${folder}-moved`))],
  [
    "its files, which others have made again",
    (folder) =>
      eachIn(folder, (file) => {
        unlinkSync(file);
        writeFileSync(file, "");
      }),
  ],
];
for (const [what, clean] of cleanings) {
  test(`a waiter looks at once when ${what} is cleaned up, and hears the next ring`, async () => {
    using parent = temporaryFolder();
    const folder = parent.file("bells");
    await using near = bellsIn(folder);
    await using far = bellsIn(folder);
    using bell = near.arm("a");
    for (let round = 0; round < 3; round++) {
      const heard = assertHeard(bell);
      clean(folder);
      await heard;
      // Further events that the cleaning causes.
      await bell.wait(never, 30);
      far.ring("a");
      await assertHeard(bell);
    }
  });
}

test("bells unused for a day are cleaned up, and their waiters still hear rings", async () => {
  using parent = temporaryFolder();
  const folder = parent.file("bells");
  await using near = bellsIn(folder);
  await using far = bellsIn(folder);
  using old = near.arm("old");
  near.arm("abandoned")[Symbol.dispose]();
  near.arm("recent")[Symbol.dispose]();
  const nameOf = (channel: string) => Buffer.from(channel).toString("hex");
  const longAgo = Date.now() / 1_000 - 25 * 3_600;
  for (const channel of ["old", "abandoned"]) utimesSync(join(folder, nameOf(channel)), longAgo, longAgo);
  await old.wait(never, 30);
  const looks = assertHeard(old);
  using _fresh = far.arm("fresh");
  await looks;
  await old.wait(never, 30);
  assert.deepEqual(readdirSync(folder).toSorted(), ["old", "recent", "fresh"].map(nameOf).toSorted());
  far.ring("old");
  await assertHeard(old);
});

const unusable: readonly [string, (folder: string) => void, object?][] = [
  ["a file is in its place", (folder) => writeFileSync(folder, "mine")],
  [
    "somebody else made it",
    (folder) => {
      mkdirSync(folder, { mode: 0o777 });
      chownSync(folder, NOBODY, NOBODY);
    },
    onlyRoot,
  ],
  [
    "it is a link to somewhere else",
    (folder) => {
      mkdirSync(`${folder}-elsewhere`);
      symlinkSync(`${folder}-elsewhere`, folder);
    },
  ],
  [
    "a pipe is in the bell's place",
    (folder) => {
      mkdirSync(folder, { mode: 0o700 });
      spawnSync("mkfifo", [join(folder, Buffer.from("a").toString("hex"))]);
    },
  ],
  [
    "a link is in the bell's place",
    (folder) => {
      mkdirSync(folder, { mode: 0o700 });
      writeFileSync(`${folder}-precious`, "precious");
      symlinkSync(`${folder}-precious`, join(folder, Buffer.from("a").toString("hex")));
    },
  ],
];
for (const [why, spoil, options = {}] of unusable) {
  test(`where the folder can't be used (${why}) ringing does no harm, and a quick clock wakes`, options, async () => {
    using parent = temporaryFolder();
    mkdirSync(parent.file("bus"));
    const folder = parent.file("bus/bells");
    spoil(folder);
    await using bells = bellsBesideSilentWriter(folder);
    bells.ring("a");
    using bell = bells.arm("a");
    bells.ring("a");
    await bell.wait(never, 0);
    const [first, second, third] = [
      await millisecondsUntilRung(bell),
      await millisecondsUntilRung(bell),
      await millisecondsUntilRung(bell),
    ];
    assert.ok(Math.min(first, second, third) < 150, `${first} ${second} ${third} ms`);
    if (existsSync(`${folder}-elsewhere`)) assert.deepEqual(readdirSync(`${folder}-elsewhere`), []);
    if (existsSync(`${folder}-precious`)) assert.equal(readFileSync(`${folder}-precious`, "utf8"), "precious");
  });
}

test("in somebody else's folder no bell is rung, whatever lies there", onlyRoot, async () => {
  using parent = temporaryFolder();
  const folder = parent.file("bells");
  mkdirSync(folder);
  const file = join(folder, Buffer.from("a").toString("hex"));
  writeFileSync(file, "precious");
  chownSync(folder, NOBODY, NOBODY);
  chmodSync(folder, 0o777);
  await using bells = bellsIn(folder);
  bells.ring("a");
  assert.equal(readFileSync(file, "utf8"), "precious");
});

test("a writer that rings no bell is noticed by the clock, and the store is asked only then", async () => {
  using parent = temporaryFolder();
  await using bells = bellsBesideSilentWriter(parent.file("bells"));
  {
    using bell = bells.arm("a");
    await bell.wait(never, 50);
    assert.equal(bells.asked.length, 0);
    const started = performance.now();
    assert.ok((await countHalfSeconds(bell.wait(never))) <= 1);
    assert.ok(performance.now() - started > 300);
    assert.ok((await millisecondsUntilRung(bell)) > 300);
    assert.equal(bells.asked.length, 2);
  }
  await sleep(700);
  assert.equal(bells.asked.length, 2);
});

for (const [answer, changes] of [
  ["that it can't tell", async () => undefined],
  [
    "with a fault",
    async () => {
      throw new Error("the disk is gone");
    },
  ],
] as const) {
  test(`a store that answers ${answer} lets every waiter look`, async () => {
    using parent = temporaryFolder();
    await using bells = createFileBells({ folder: parent.file("bells"), changes });
    using one = bells.arm("a");
    using two = bells.arm("b");
    await Promise.all([one.wait(never, 30), two.wait(never, 30)]);
    const counted = await Promise.all([one, two].map((bell) => countHalfSeconds(bell.wait(never))));
    for (const halfSeconds of counted) assert.ok(halfSeconds <= 1);
  });
}

test("a process that has waited ends by itself, at once", async () => {
  using parent = temporaryFolder();
  for (const folder of [parent.file("bells"), parent.file("nowhere/bells/\u0000")]) {
    const program = startModule(listener, [folder.replace("\u0000", ""), "30"]);
    await program.untilLogged("done");
    await assertSoon("it ends", program.ended);
    assert.equal((await program.ended).code, 0);
  }
});

test("a disposed bell leaves nothing behind", async () => {
  using parent = temporaryFolder();
  await using bells = bellsIn(parent.file("bells"));
  const watching = () => process.getActiveResourcesInfo().filter((kind) => /FSEvent|Timeout/.test(kind)).length;
  const before = watching();
  for (let round = 0; round < 300; round++) {
    using _one = bells.arm(`channel ${round}`);
    using _two = bells.arm(`channel ${round}`);
  }
  await sleep(10);
  assert.equal(watching(), before);
  using _bell = bells.arm("a");
  assert.ok(watching() > before);
  await bells[Symbol.asyncDispose]();
  await sleep(10);
  assert.equal(watching(), before);
});
