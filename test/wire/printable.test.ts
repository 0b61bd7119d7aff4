import assert from "node:assert/strict";
import { test } from "node:test";
import { printable } from "../../src/wire/printable.ts";

test("visible text stays as it is", () => {
  for (const text of ["main is green", "ünïcode 🦜 漢字 שלום", "one\ntwo", '{"a": "b\\n"}', "👩‍👩‍👧‍👦"])
    assert.equal(printable(text), text);
});

test("characters that steer a terminal are spelled out", () => {
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

test("invisible characters are spelled out, so that no two names look the same", () => {
  const unseen = ["\u00ad", "\u034f", "\u115f", "\u180e", "\u200b", "\u200c", "\u200d", "\u2060", "\u2064", "\u206f"];
  for (const character of [...unseen, "\u3164", "\ufe0e", "\ufe0f", "\uffa0", "\ufff9", "\u{e0041}", "\u{e0100}"]) {
    for (const name of [`re${character}viewer`, `${character}reviewer`, `reviewer${character}`, `1${character}`]) {
      const shown = printable(name);
      assert.match(shown, /^[\u0020-\u007e]+$/, JSON.stringify(name));
      assert.equal(JSON.parse(`"${shown}"`), name);
    }
  }
  assert.equal(printable("e\u0301\u200de"), "e\u0301\\u200de", "an accent is no letter that is joined");
  assert.equal(printable("\u{1f44d}\u200dx"), "\u{1f44d}\\u200dx");
});

test("a joiner and a selector stay where they are seen", () => {
  const seen = ["\u{1f469}\u200d\u{1f4bb}", "\u2764\ufe0f", "1\ufe0f\u20e3", "می\u200cخواهم", "क्\u200dष"];
  for (const text of seen) assert.equal(printable(text), text);
});
