import assert from "node:assert/strict";
import { test } from "node:test";
import { identityFault, nameFault } from "../../src/core/names.ts";
import { hostileNames } from "../contracts/place.ts";

test("any name is good that has no control characters", () => {
  for (const name of hostileNames) assert.equal(nameFault(name), undefined, name);
});

test("no control character may be in a name, wherever it is", () => {
  const controls = [...Array.from({ length: 32 }, (_, code) => code), 0x7f];
  for (const code of controls) {
    const control = String.fromCharCode(code);
    for (const name of [control, `a${control}`, `${control}a`, `a${control}b`]) {
      assert.equal(nameFault(name), "must not contain control characters", `U+${code.toString(16)}`);
      assert.equal(identityFault(name), "must not contain control characters");
    }
  }
});

test("a name has 200 characters at most, an identity 1000", () => {
  assert.equal(nameFault("x".repeat(200)), undefined);
  assert.equal(nameFault("x".repeat(201)), "must be 200 characters at most");
  assert.equal(identityFault("x".repeat(1_000)), undefined);
  assert.equal(identityFault("x".repeat(1_001)), "must be 1000 characters at most");
});

test("half of a surrogate pair, which UTF-8 can't say, is refused", () => {
  for (const name of ["\ud83e", "a\udd9cb", "\udd9c\ud83e"]) assert.equal(nameFault(name), "must be valid Unicode");
  assert.equal(nameFault("\ud83e\udd9c"), undefined);
});
