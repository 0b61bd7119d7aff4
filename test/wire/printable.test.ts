import assert from "node:assert/strict";
import { test } from "node:test";
import { printable } from "../../src/wire/printable.ts";

test("what a terminal can show stays as it is", () => {
  for (const text of ["main is green", "ünïcode 🦜 漢字 שלום", "one\ntwo", '{"a": "b\\n"}', "👩‍👩‍👧‍👦"])
    assert.equal(printable(text), text);
});

test("what could move the cursor, colour it or turn the text around is spelled out", () => {
  const unsafe = [
    ...Array.from({ length: 32 }, (_, n) => n).filter((code) => code !== 0x0a),
    ...Array.from({ length: 0x21 }, (_, n) => 0x7f + n),
    0x061c,
    0x200e,
    0x200f,
    ...Array.from({ length: 7 }, (_, n) => 0x2028 + n),
    ...Array.from({ length: 4 }, (_, n) => 0x2066 + n),
    0xfeff,
  ];
  for (const code of unsafe) {
    const shown = printable(`a${String.fromCharCode(code)}b`);
    assert.equal(shown, `a\\u${code.toString(16).padStart(4, "0")}b`);
  }
});

test("inside JSON it means the same as before", () => {
  const value = { content: "\u009b31m\u202egnp.exe\u2028\u007f\ufeff" };
  const shown = printable(JSON.stringify(value));
  assert.match(shown, /^[\u0020-\u007e]*$/);
  assert.deepEqual(JSON.parse(shown), value);
});
