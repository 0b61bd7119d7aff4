import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import { benches } from "../scripts/bench/benches.ts";
import { figure } from "../scripts/bench/figures.ts";
import { keptPages, keptReport } from "../scripts/bench/kept.ts";
import { atMost, ratioOf, share, times, verdict } from "../scripts/bench/lines.ts";
import { parseOptions } from "../scripts/bench/options.ts";
import { GROUPS } from "../scripts/bench/pages.ts";
import { rowOf } from "../scripts/bench/report.ts";
import { table } from "../scripts/bench/table.ts";
import { rowsOf, section } from "./support/markdown.ts";

function bench(...words: readonly string[]) {
  const root = fileURLToPath(new URL("..", import.meta.url));
  return spawnSync("npm", ["run", "--silent", "bench", "--", ...words], { cwd: root, encoding: "utf8" });
}

test("the benchmark says what it measured, on what, and beside what", () => {
  const { status, stdout, stderr } = bench("--quick", "--only", "read", "--json");
  assert.equal(status, 0, stderr);
  const { command, machine, skipped, failures, lines } = JSON.parse(stdout);
  assert.equal(command, "npm run bench -- --quick --only read --json");
  assert.ok(machine.cpu && machine.cores > 0 && machine.kernel && machine.node === process.version);
  assert.ok(skipped.includes("the Python original (give --original PATH)"));
  assert.deepEqual(failures, []);
  const [original, bare] = lines;
  assert.equal(original.work, "read, nothing there");
  assert.equal(original.target, "≥ 2.3×");
  assert.equal(original.verdict, "not run");
  assert.equal(bare.beside.name, "node -e 0");
  for (const { unit, median, best, samples } of [bare.ours, bare.beside.figure]) {
    assert.equal(unit, "ms");
    assert.ok(median >= best && best > 0 && samples > 0);
  }
  assert.ok(bare.ratio > 0);
});

test("the benchmark's help lists every measurement, and so does the error for an unknown one", () => {
  const names = [...bench("--help").stdout.matchAll(/^ {2}([a-z-]+) {2,}\S/gm)].map(([, name]) => name);
  for (const name of ["send", "wake", "idle", "http-signed", "fan-out", "growth", "writers"]) {
    assert.ok(names.includes(name), name);
  }
  const { status, stdout, stderr } = bench("--only", "nothing");
  assert.deepEqual([status, stdout], [1, ""]);
  assert.match(stderr, /--only nothing: there are send, /);
});

test("a ratio says how much better ours is, or what it takes of the other", () => {
  const [ours, beside] = [figure("ms", [9, 10, 30]), { name: "other", figure: figure("ms", [19, 20, 50]) }];
  const faster = { work: "work", ours, beside, target: times(2) };
  assert.deepEqual([ratioOf(faster), verdict(faster)], [2, "pass"]);
  const within = { ...faster, target: share(0.4) };
  assert.deepEqual([ratioOf(within), verdict(within)], [0.5, "miss"]);
  const many = { work: "work", ours: figure("/s", [300]), beside: { name: "other", figure: figure("/s", [100]) } };
  assert.deepEqual([ratioOf(many), verdict(many)], [3, ""]);
  const stalled = { name: "other", figure: figure("/s", [0, 0, 100]) };
  assert.equal(
    ratioOf({ ...many, beside: stalled }),
    3,
    "a contender that stood still in most rounds counts with its best round",
  );
  assert.equal(verdict({ work: "work", ours, target: atMost(9) }), "miss");
  assert.equal(verdict({ ...faster, beside: { name: "other", figure: undefined } }), "not run");
});

test("the table names each work once, and shows the best round behind the median", () => {
  const ours = figure("ms", [9, 10, 30]);
  const lines = ["one", "two"].map((name) => ({
    work: "work",
    ours,
    beside: { name, figure: ours },
    target: times(2),
  }));
  const [head, , first, second] = table(lines.map((line) => rowOf("work", line))).split("\n");
  assert.match(head ?? "", /^work +ours +beside +ratio +target/);
  assert.match(first ?? "", /^work +10\.0 ms \(9\.00\) +one 10\.0 ms \(9\.00\) +1\.00× +≥ 2× +miss$/);
  assert.match(second ?? "", /^ +two 10\.0 ms/);
});

suite("the run that the documents show", () => {
  const kept = keptReport();

  test("is a whole one, on a named machine, beside everything that it can be compared with", () => {
    const options = parseOptions(kept.command.replace("npm run bench -- ", "").split(" "), benches);
    assert.deepEqual([options.extent, options.only, options.original !== undefined], ["usual", [], true]);
    assert.deepEqual([kept.skipped, kept.failures], [[], []]);
    assert.deepEqual(new Set(kept.lines.map(({ bench }) => bench)), new Set(benches.map(({ name }) => name)));
    assert.ok(kept.lines.every(({ verdict }) => verdict !== "not run"));
  });

  test("is in docs/performance.md in full and in README in six figures: npm run bench -- --pages makes both", () => {
    for (const { path, is, shouldBe } of keptPages()) assert.equal(is, shouldBe, path);
    assert.equal(rowsOf(section(textOf("README.md"), "Performance")).length, 6);
    const shown = [...GROUPS.values()].flat();
    assert.deepEqual(shown.toSorted(), benches.map(({ name }) => name).toSorted());
  });

  test("has an explanation in docs/performance.md for each line that misses its target", () => {
    const explained = rowsOf(section(textOf("docs/performance.md"), "What misses its target, and why"));
    for (const { work, verdict } of kept.lines) {
      if (verdict !== "miss") continue;
      assert.ok(
        explained.some(([known = "?"]) => work.startsWith(known)),
        `docs/performance.md explains: ${work}`,
      );
    }
  });
});

function textOf(path: string): string {
  return readFileSync(new URL(`../${path}`, import.meta.url), "utf8");
}
