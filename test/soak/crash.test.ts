import assert from "node:assert/strict";
import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { drivers } from "../../src/storage/sqlite/driver.ts";
import { openFile } from "../../src/storage/sqlite/open.ts";
import { isRow } from "../../src/storage/sqlite/rows.ts";
import { type Environment, type Program, run, start, temporaryFolder } from "../support/program.ts";

const SECONDS = Number(process.env.SOAK_SECONDS ?? 3);

const WRITERS = 20;
const READERS = 5;

/** Of the writers these are shells that run the command line again and again; the others are processes that stay. */
const COMMAND_LINES = 2;

/** The programs of writers and readers as one file each, since they are started many times. */
async function programs(folder: string): Promise<{ writer: string; reader: string }> {
  await build({
    entryPoints: ["writer.ts", "reader.ts"].map((name) => fileURLToPath(new URL(name, import.meta.url))),
    outdir: folder,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    platform: "node",
    format: "esm",
    loader: { ".sql": "text" },
    external: ["better-sqlite3"],
  });
  symlinkSync(fileURLToPath(new URL("../../node_modules", import.meta.url)), join(folder, "node_modules"));
  return { writer: join(folder, "writer.mjs"), reader: join(folder, "reader.mjs") };
}

/** Somebody who is started again each time that he is killed; what all of his lives have printed. */
interface Worker extends AsyncDisposable {
  readonly name: string;
  /** Waits until he has printed something. */
  begun(): Promise<unknown>;
  /** Kills his process in the middle of whatever it does, and starts the next. */
  kill(): Promise<void>;
  /** Lets him come to an end of his own. */
  finish(): Promise<void>;
  /** What each life has printed, whole lines only: a line that was cut off says nothing. */
  readonly lives: readonly string[][];
}

function work(name: string, begin: (life: number) => Program): Worker {
  const lives: string[][] = [];
  let current = begin(0);
  const bury = async (code: number | null) => {
    const { stdout, stderr, code: ended } = await current.ended;
    assert.deepEqual([stderr, ended], ["", code], `${name} in life ${lives.length}`);
    lives.push(stdout.split("\n").slice(0, -1));
  };
  return {
    name,
    lives,
    begun: () => current.printed("\n"),
    async kill() {
      current.child.kill("SIGKILL");
      await bury(null);
      current = begin(lives.length);
    },
    async finish() {
      current.child.stdin.end();
      await bury(0);
    },
    [Symbol.asyncDispose]: () => current[Symbol.asyncDispose](),
  };
}

/** The command line as a writer: one process after the other, each sending one message. */
function commandLines(name: string, environment: Environment, until: AbortSignal) {
  const printed: string[] = [];
  const done = (async () => {
    for (let n = 0; !until.aborted; n++) {
      const { code, stdout, stderr } = await run(["send", "c0", name, `${name} 0 ${n}`], environment);
      assert.deepEqual([code, stderr], [0, ""]);
      printed.push(`${JSON.parse(stdout).id} ${name} 0 ${n}`);
    }
  })();
  return { printed, done };
}

test(`${WRITERS} writers and ${READERS} readers on one file for ${SECONDS} s, killed all along: nothing that was answered is lost`, async (t) => {
  using folder = temporaryFolder();
  const path = folder.file("bus.db");
  const environment = { IPC_DB_PATH: path };
  await using living = new AsyncDisposableStack();
  const { writer, reader } = await programs(folder.path);
  const begin = (entry: string, ...words: string[]) =>
    start(words, {}, { entry, input: null, node: ["--no-warnings"] });

  const writers = Array.from({ length: WRITERS - COMMAND_LINES }, (_, n) => {
    const library = drivers[n % drivers.length] ?? "";
    const together = String(1 + (n % 3) * 4);
    return living.use(work(`w${n}`, (life) => begin(writer, path, `w${n} ${life}`, library, together)));
  });
  const readers = Array.from({ length: READERS }, (_, n) => {
    const library = drivers[n % drivers.length] ?? "";
    return living.use(work(`r${n}`, () => begin(reader, path, `c${n % 2}`, `r${n}`, library)));
  });
  const stopping = new AbortController();
  const typed = Array.from({ length: COMMAND_LINES }, (_, n) => commandLines(`cli${n}`, environment, stopping.signal));
  await using follower = start(["follow", "c0", "follower"], environment);

  await Promise.all([...writers, ...readers].map((one) => one.begun()));
  const end = performance.now() + SECONDS * 1_000;
  const killAmong = async (workers: readonly Worker[]) => {
    while (performance.now() < end) {
      await sleep(Math.random() * 100);
      await workers[Math.floor(Math.random() * workers.length)]?.kill();
    }
  };
  await Promise.all([killAmong(writers), killAmong(readers)]);
  stopping.abort();
  await Promise.all([...typed.map(({ done }) => done), ...writers.map((one) => one.finish())]);
  await Promise.all(readers.map((one) => one.finish()));

  const driver = await openFile({ path });
  const answer = (sql: string) => driver.prepare(sql).all().filter(isRow);
  const stored = answer("SELECT id, channel, content FROM messages ORDER BY id").map((row) => ({
    id: Number(row.id),
    channel: String(row.channel),
    content: String(row.content),
  }));
  const byId = new Map(stored.map(({ id, content }) => [id, content]));

  assert.deepEqual(answer("PRAGMA integrity_check"), [{ integrity_check: "ok" }]);
  assert.deepEqual(
    answer("SELECT channel, count FROM channel_counts ORDER BY channel"),
    answer("SELECT channel, count(*) AS count FROM messages GROUP BY channel ORDER BY channel"),
  );

  const answered = [...writers.flatMap(({ lives }) => lives.flat()), ...typed.flatMap(({ printed }) => printed)];
  assert.ok(answered.length > 100, `only ${answered.length} were sent`);
  for (const line of answered) {
    const [, id, content] = /^(\d+) (.*)$/.exec(line) ?? [];
    assert.equal(byId.get(Number(id)), content, `${line} was answered and is lost`);
  }
  assert.equal(new Set(stored.map(({ content }) => content)).size, stored.length, "a message is there twice");

  for (const one of readers)
    assertReadInOrder(
      one,
      stored.filter(({ channel }) => channel === channelOf(one)),
      byId,
    );

  const inChannel = stored.filter(({ channel }) => channel === "c0").map(({ id }) => id);
  await follower.printed(`"id":${inChannel.at(-1)},`);
  follower.child.kill("SIGTERM");
  const followed = (await follower.ended).stdout.trimEnd().split("\n");
  assert.deepEqual(
    followed.map((line) => JSON.parse(line).id),
    inChannel,
  );
  driver.close();
  const deaths = [...writers, ...readers].reduce((sum, { lives }) => sum + lives.length - 1, 0);
  t.diagnostic(`${stored.length} messages, ${deaths} deaths`);
});

function channelOf({ name }: Worker): string {
  return `c${Number(name.slice(1)) % 2}`;
}

/** That a reader got each message of its channel, in order, and none again after it was told that it has it. */
function assertReadInOrder(
  { name, lives }: Worker,
  stored: readonly { id: number; content: string }[],
  byId: ReadonlyMap<number, string>,
): void {
  const place = new Map(stored.map(({ id }, index) => [id, index]));
  let has = 0;
  let expected = 0;
  for (const [life, lines] of lives.entries()) {
    // A new life begins behind what is settled, or, where the answer to that didn't come any more, further on.
    let last = 0;
    for (const line of lines) {
      const [, word, id = "", content] = /^(got|has) (\d+) ?(.*)$/.exec(line) ?? [];
      const at = `${name}, life ${life}: ${line}`;
      if (word === "has") {
        has = Number(id);
        assert.equal(has, last, at);
        continue;
      }
      assert.equal(byId.get(Number(id)), content, at);
      const index = place.get(Number(id)) ?? Number.POSITIVE_INFINITY;
      assert.ok(Number(id) > has, `${at} came again after ${has} was settled`);
      assert.ok(Number(id) > last, `${at} came behind ${last}`);
      assert.ok(index <= expected, `${at} came before ${stored[expected]?.id}`);
      expected = Math.max(expected, index + 1);
      last = Number(id);
    }
  }
  assert.equal(expected, stored.length, `${name} misses ${stored[expected]?.id}`);
}
