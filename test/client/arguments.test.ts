import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { type Option, splitArguments } from "../../src/client/arguments.ts";

const known: readonly Option[] = [
  { flag: "all", short: "a", description: "a switch" },
  { flag: "wait", short: "w", description: "a switch" },
  { flag: "port", short: "p", description: "an option", value: "N" },
  { flag: "from", description: "an option without a letter", value: "NAME" },
];

/** The words, and each option as it was typed with its value. An unknown one is marked. */
function split(...typed: string[]): readonly unknown[] {
  const { words, options } = splitArguments(typed, known);
  return [words, ...options.map(({ typed, option, value }) => [option ? typed : `${typed}?`, value])];
}

suite("arguments are split into words and options", () => {
  // biome-ignore format: a table
  const cases: readonly [title: string, typed: readonly string[], ...expected: unknown[]][] = [
    ["words alone", ["a", "b c", ""], ["a", "b c", ""]],
    ["a value behind a space", ["--port", "80", "x"], ["x"], ["--port", "80"]],
    ["a value behind =, which may hold another", ["--from=a=b"], [], ["--from", "a=b"]],
    ["an empty value behind = takes no word", ["--from=", "x"], ["x"], ["--from", ""]],
    ["an empty word is a value", ["--from", ""], [], ["--from", ""]],
    ["a value of several lines", ["--from=a\nb"], [], ["--from", "a\nb"]],
    ["a switch takes no word", ["--all", "x"], ["x"], ["--all", undefined]],
    ["a value typed for a switch", ["--all=x", "-w=no"], [], ["--all", "x"], ["-w", "no"]],
    ["letters", ["-a", "-p", "80"], [], ["-a", undefined], ["-p", "80"]],
    ["letters together, the last with a value", ["-awp80"], [], ["-a", undefined], ["-w", undefined], ["-p", "80"]],
    ["letters together, the last with the next word", ["-ap", "80"], [], ["-a", undefined], ["-p", "80"]],
    ["a letter's value behind =", ["-p=80"], [], ["-p", "80"]],
    ["an option that comes twice", ["-p1", "--port", "2"], [], ["-p", "1"], ["--port", "2"]],
    ["a value that is missing at the end", ["--port"], [], ["--port", undefined]],
    ["a value that is missing before an option", ["--port", "--all"], [], ["--port", undefined], ["--all", undefined]],
    ["a value that is missing before --", ["--port", "--", "x"], ["x"], ["--port", undefined]],
    ["behind -- everything is a word", ["x", "--", "--all", "-p", "--"], ["x", "--all", "-p", "--"]],
    ["negative numbers, dashes and arrows are words", ["-1", "-", "- a list", "-> there", "---x"], ["-1", "-", "- a list", "-> there", "---x"]],
    ["and values", ["-p", "-1", "--from", "-"], [], ["-p", "-1"], ["--from", "-"]],
    ["unknown options", ["--nope=5", "-x", "-hello"], [], ["--nope?", "5"], ["-x?", undefined], ["-hello?", undefined]],
    ["an unknown letter among known ones", ["-ax"], [], ["-ax?", undefined]],
    ["an unknown option takes no word", ["--nope", "x"], ["x"], ["--nope?", undefined]],
    ["names that mean something to JavaScript", ["--__proto__", "--constructor=x"], [], ["--__proto__?", undefined], ["--constructor?", "x"]],
    ["no negation", ["--no-all"], [], ["--no-all?", undefined]],
  ];
  for (const [title, typed, ...expected] of cases) {
    test(title, () => assert.deepEqual(split(...typed), expected));
  }
});
