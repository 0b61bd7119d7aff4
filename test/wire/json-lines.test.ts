import assert from "node:assert/strict";
import { test } from "node:test";
import { createLineSplitter, decodeLine, encodeLine } from "../../src/wire/json-lines.ts";

function split(most: number, ...chunks: readonly (string | Buffer)[]) {
  const splitter = createLineSplitter(most);
  const lines: string[] = [];
  const fits = chunks.every((chunk) => splitter.push(Buffer.from(chunk), (line) => lines.push(line.toString())));
  return { lines, fits, held: splitter.held, rest: splitter.rest().toString() };
}

test("lines may come in pieces, or many in one", () => {
  const text = '{"a":"é"}\n\n[1]\nhalf';
  const whole = { lines: ['{"a":"é"}', "", "[1]"], fits: true, held: 4, rest: "half" };
  assert.deepEqual(split(100, text), whole);
  const bytes = [...Buffer.from(text)].map((byte) => Buffer.from([byte]));
  assert.deepEqual(split(100, ...bytes), whole);
  for (let cut = 0; cut <= Buffer.byteLength(text); cut++) {
    const all = Buffer.from(text);
    assert.deepEqual(split(100, all.subarray(0, cut), all.subarray(cut)), whole);
  }
});

test("a line that is longer than it may be is refused, whole or in pieces, and what came before it isn't", () => {
  assert.deepEqual(split(3, "abc\n").lines, ["abc"]);
  assert.deepEqual(split(3, "ok\nabcd\n"), { lines: ["ok"], fits: false, held: 0, rest: "" });
  assert.equal(split(3, "ab", "cd").fits, false);
  assert.equal(split(3, "ab", "cd\n").fits, false);
  assert.equal(split(3, "abc", "\n").fits, true);
});

test("a line that isn't JSON in UTF-8 is refused", () => {
  assert.deepEqual(decodeLine(Buffer.from('{"a":1}\r')), { a: 1 });
  for (const bad of ["", "{", "undefined", "GET / HTTP/1.1"]) assert.equal(decodeLine(Buffer.from(bad)), undefined);
  assert.equal(decodeLine(Buffer.from([0x22, 0xff, 0x22])), undefined);
  assert.equal(encodeLine({ a: "\n" }), '{"a":"\\n"}\n');
});
