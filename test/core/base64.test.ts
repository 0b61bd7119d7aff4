import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { strictBase64 } from "../../src/core/keys.ts";

test("canonical base64 of any length is read", () => {
  for (let length = 0; length < 200; length++) {
    const bytes = randomBytes(length);
    assert.deepEqual(strictBase64(bytes.toString("base64")), bytes);
  }
});

const refused: readonly [string, string][] = [
  ["junk", "Y!Wx"],
  ["white space", "YWxs\nYWxs"],
  ["a space in front", " YWxs"],
  ["no padding", "YQ"],
  ["too much padding", "YQ==="],
  ["padding in the middle", "YQ==YWxs"],
  ["the alphabet for addresses", "-_-_"],
  ["one character too many", "YWxsY"],
  ["bits behind the end", "YR=="],
  ["something else", "ünïcode"],
  ["NUL", "YWxs\u0000"],
];
for (const [what, text] of refused) {
  test(`base64 with ${what} is refused`, () => assert.equal(strictBase64(text), undefined));
}
