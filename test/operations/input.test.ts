import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { isIpcError } from "../../src/core/errors.ts";
import { CONTENT_BYTES } from "../../src/core/limits.ts";
import {
  content,
  type Fields,
  flag,
  identity,
  name,
  oneOf,
  optional,
  parseInput,
  parseTexts,
  seconds,
  text,
  whole,
} from "../../src/operations/fields.ts";
import { operations } from "../../src/operations/index.ts";
import { ipcTool } from "../../src/operations/ipc.ts";

const fields = {
  channel: name("The channel"),
  note: optional(content("A text")),
  who: optional(identity("Who")),
  limit: optional(whole("How many", { min: 1, max: 10 })),
  timeout: optional(seconds("How long")),
  wait: flag("Wait"),
  mode: optional(oneOf("How", ["fast", "slow"])),
  key: optional(text("A key")),
};

/** That this input is refused, with exactly this sentence. */
function assertRefused(input: unknown, sentence: string, reason?: string, of: Fields = fields): void {
  assert.throws(
    () => parseInput(of, input),
    (error) => {
      assert.ok(isIpcError(error), String(error));
      assert.deepEqual([error.code, error.message, error.reason], ["invalid", sentence, reason]);
      return true;
    },
  );
}

suite("what a caller sends", () => {
  test("is accepted as it is, if it is right", () => {
    const input = {
      channel: "builds",
      note: "\u0000 any text\n",
      who: "somebody",
      limit: 10,
      timeout: 0.5,
      wait: false,
      mode: "slow",
      key: "x",
    };
    assert.deepEqual(parseInput(fields, input), input);
    assert.deepEqual(parseInput(fields, { channel: "builds" }), { channel: "builds" });
  });

  test("may hold unknown fields, which are ignored", () => {
    const input = JSON.parse('{"channel": "builds", "more": 1, "__proto__": {"wait": true}, "constructor": "x"}');
    const parsed = parseInput(fields, input);
    assert.deepEqual(parsed, { channel: "builds" });
    assert.equal(parsed.wait, undefined);
  });

  test("may say null or an empty text, which means nothing", () => {
    assert.deepEqual(parseInput(fields, { channel: "builds", note: "", who: null, limit: "" }), { channel: "builds" });
    assertRefused({ channel: "" }, "channel required");
    assertRefused({ channel: null }, "channel required");
  });

  test("must be an object", () => {
    for (const input of [undefined, null, "channel=builds", 7, true, [], [{ channel: "builds" }]]) {
      assertRefused(input, "the request must be a JSON object");
    }
  });

  test("is told everything that is missing, in the original's words", () => {
    const three = { channel: name(""), sender: name(""), content: content("") };
    assertRefused({}, "channel, sender, and content required", undefined, three);
    assertRefused({ channel: "a", sender: "b" }, "channel, sender, and content required", undefined, three);
    assertRefused({ channel: "a" }, "channel and agent required", undefined, { channel: name(""), agent: name("") });
    assertRefused({}, "channel required");
  });

  test("isn't found among the properties that every object has", () => {
    assertRefused({}, "constructor required", undefined, { constructor: text("") });
    assertRefused(JSON.parse("{}"), "toString required", undefined, { toString: text("") });
  });

  const wrong: readonly [Record<string, unknown>, string, string?][] = [
    [{ channel: 7 }, "channel must be text"],
    [{ channel: ["a"] }, "channel must be text"],
    [{ channel: { toString: "a" } }, "channel must be text"],
    [{ channel: "a\nb" }, "channel must not contain control characters"],
    [{ channel: "x".repeat(201) }, "channel must be 200 characters at most"],
    [{ channel: "\ud800" }, "channel must be valid Unicode"],
    [{ note: 7 }, "note must be text"],
    [{ note: "\ud800" }, "note must be valid Unicode"],
    [{ note: "x".repeat(CONTENT_BYTES + 1) }, "note must be 1 MiB of UTF-8 at most", "too_large"],
    [{ note: "é".repeat(CONTENT_BYTES / 2 + 1) }, "note must be 1 MiB of UTF-8 at most", "too_large"],
    [{ who: "a\u007f" }, "who must not contain control characters"],
    [{ who: "x".repeat(1_001) }, "who must be 1000 characters at most"],
    [{ limit: "5" }, "limit must be a whole number from 1 to 10"],
    [{ limit: 0 }, "limit must be a whole number from 1 to 10"],
    [{ limit: 11 }, "limit must be a whole number from 1 to 10"],
    [{ limit: 1.5 }, "limit must be a whole number from 1 to 10"],
    [{ limit: Number.NaN }, "limit must be a whole number from 1 to 10"],
    [{ timeout: -1 }, "timeout must be a number of seconds, 0 or more"],
    [{ timeout: Number.POSITIVE_INFINITY }, "timeout must be a number of seconds, 0 or more"],
    [{ timeout: "soon" }, "timeout must be a number of seconds, 0 or more"],
    [{ wait: "true" }, "wait must be true or false"],
    [{ wait: 1 }, "wait must be true or false"],
    [{ mode: "Fast" }, "mode must be one of fast, slow"],
  ];
  for (const [input, sentence, reason] of wrong) {
    test(`is refused with a sentence: ${JSON.stringify(input).slice(0, 40)}`, () => {
      assertRefused({ channel: "builds", ...input }, sentence, reason);
    });
  }

  test("may be a text of exactly 1 MiB", () => {
    const note = "é".repeat(CONTENT_BYTES / 2);
    assert.equal(parseInput(fields, { channel: "builds", note }).note, note);
  });
});

suite("plain words", () => {
  test("become what their fields are", () => {
    const words = { channel: "7", limit: "5", timeout: "0.25", wait: "true", mode: "fast", key: "true" };
    assert.deepEqual(parseTexts(fields, words), { ...words, limit: 5, timeout: 0.25, wait: true });
  });

  test("for yes and no may be several", () => {
    for (const yes of ["true", "1", "yes", "TRUE", "Yes"])
      assert.deepEqual(parseTexts(fields, { wait: yes }), { wait: true });
    for (const no of ["false", "0", "no", "False"]) assert.deepEqual(parseTexts(fields, { wait: no }), { wait: false });
  });

  test("that aren't what their fields are stay as they are, and are refused by name", () => {
    for (const word of ["", "five", "0x10", "1e3", "5 ", "٥", "--1", "1.", ".5", "Infinity", "constructor"]) {
      assert.deepEqual(parseTexts(fields, { limit: word }), { limit: word });
    }
    for (const word of ["maybe", "2", "toString", "__proto__"]) {
      assertRefused({ channel: "a", ...parseTexts(fields, { wait: word }) }, "wait must be true or false");
    }
    assertRefused(
      { channel: "a", ...parseTexts(fields, { limit: "-3" }) },
      "limit must be a whole number from 1 to 10",
    );
  });

  test("for fields that aren't there stay as they are", () => {
    assert.deepEqual(parseTexts(fields, { more: "1", constructor: "true" }), { more: "1", constructor: "true" });
  });
});

suite("every operation's own input", () => {
  const odd: readonly unknown[] = [
    undefined,
    null,
    "",
    "text",
    "a\nb",
    "\ud800",
    "x".repeat(10_000),
    0,
    -1,
    1.5,
    Number.NaN,
    Number.MAX_VALUE,
    true,
    [],
    {},
    new Date(0),
    Symbol.iterator,
    () => {},
    10n,
  ];
  for (const {
    name: verb,
    input: { fields: fieldsOf },
  } of [...operations, ipcTool]) {
    test(`of ${verb} is taken or refused with a sentence, whatever it is`, () => {
      for (const value of odd) {
        for (const field of Object.keys(fieldsOf)) {
          const rest = Object.fromEntries(Object.keys(fieldsOf).map((other) => [other, "text"]));
          try {
            parseInput(fieldsOf, { ...rest, [field]: value });
          } catch (error) {
            assert.ok(isIpcError(error), `${verb} ${field}: ${error}`);
            assert.match(error.message, /^(?!.*(undefined|\[object|NaN)).{8,120}$/);
          }
        }
      }
    });
  }
});
