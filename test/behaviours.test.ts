// docs/behaviours.md and the titles of the tests name the same codes.
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { repository } from "./plugin/support.ts";
import { rowsOf } from "./support/markdown.ts";

const CODE = /^[ETMBD]\d+$/;

const TITLE = /\b(?:test|suite)\(\s*(?:"((?:[^"\\]|\\.)*)"|`((?:[^`\\]|\\.)*)`)/g;

/** The codes that a title begins with. */
function codesIn(title: string): string[] {
  const words = title.split(/[ :,]+/);
  const end = words.findIndex((word) => !CODE.test(word));
  return words.slice(0, end === -1 ? undefined : end);
}

const listed = rowsOf(readFileSync(join(repository, "docs/behaviours.md"), "utf8")).map(([code = ""]) => code);

const tested = new Set(
  globSync("test/**/*.ts", { cwd: repository }).flatMap((file) =>
    [...readFileSync(join(repository, file), "utf8").matchAll(TITLE)].flatMap(([, plain, template]) =>
      codesIn(plain ?? template ?? ""),
    ),
  ),
);

test("each listed behaviour has a test whose title begins with its code", () => {
  assert.deepEqual(
    listed.filter((code) => !tested.has(code)),
    [],
  );
});

test("each code in a test's title is listed, once, in order and without gaps", () => {
  assert.deepEqual(
    [...tested].filter((code) => !listed.includes(code)),
    [],
  );
  for (const [letter, count] of Object.entries({ E: 57, T: 25, M: 42, B: 50, D: 19 })) {
    const ofLetter = listed.filter((code) => code.startsWith(letter));
    assert.deepEqual(
      ofLetter,
      Array.from({ length: count }, (_, index) => `${letter}${index + 1}`),
    );
  }
});
