import { invalid } from "../core/errors.ts";
import { type Field, type Fields, type InputOf, jsonBytes } from "./fields.ts";

/** Turns whatever a caller sent into an operation's input, or says in a sentence what is wrong with it. */
export function parseInput<F extends Fields>(fields: F, raw: unknown): InputOf<F> {
  if (!isRecord(raw)) throw invalid("the request must be a JSON object");
  const { all, required } = namesOf(fields);
  if (required.some((name) => given(raw, name, fields[name]) === undefined))
    throw invalid(`${inWords(required)} required`);
  const input: Record<string, unknown> = {};
  for (const [name, field] of all) {
    const value = given(raw, name, field);
    if (value !== undefined) input[name] = parseField(name, field, value);
  }
  return input as InputOf<F>;
}

interface Names {
  readonly all: readonly (readonly [string, Field])[];
  readonly required: readonly string[];
}

const known = new WeakMap<Fields, Names>();

/** Of each operation's fields listed once, and not for each request. */
function namesOf(fields: Fields): Names {
  let names = known.get(fields);
  if (names === undefined) {
    const all = Object.entries(fields);
    names = { all, required: all.filter(([, field]) => !field.optional).map(([name]) => name) };
    known.set(fields, names);
  }
  return names;
}

/** What of an input is told to others: not what only the caller is to know. */
export function toldOf(fields: Fields, input: object): [string, unknown][] {
  return Object.entries(input).filter(([name, value]) => value !== undefined && !fields[name]?.callerOnly);
}

/** Plain words, from a command line or an address, as the types that their fields have. */
export function fromText(fields: Fields, texts: Readonly<Record<string, string>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(texts).map(([name, text]) => [
      name,
      Object.hasOwn(fields, name) ? typed(name, fields[name], text) : text,
    ]),
  );
}

const FLAGS: ReadonlyMap<string, boolean> = new Map([
  ["true", true],
  ["1", true],
  ["yes", true],
  ["false", false],
  ["0", false],
  ["no", false],
]);

function typed(name: string, field: Field | undefined, text: string): unknown {
  if (field?.kind === "json") return parseJson(name, text);
  if (field?.kind === "list")
    return text
      .split(",")
      .map((item) => item.trim())
      .filter((item) => item !== "");
  if (field?.kind === "number") return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text;
  if (field?.kind === "flag") return FLAGS.get(text.toLowerCase()) ?? text;
  return text;
}

function parseJson(name: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw invalid(`${name} must be JSON`);
  }
}

/** Null and the empty text say no more than a field that isn't there, but where any JSON is a value or one must not be empty. */
function given(raw: Readonly<Record<string, unknown>>, name: string, field: Field | undefined): unknown {
  const value = Object.hasOwn(raw, name) ? raw[name] : undefined;
  if (field?.kind === "json") return value;
  return value === null || (value === "" && !field?.neverEmpty) ? undefined : value;
}

function parseField(name: string, field: Field, value: unknown): unknown {
  if (value === "" && field.neverEmpty) throw invalid(`${name} must not be empty`);
  const checked = field.check(value);
  if ("value" in checked) return checked.value;
  const large = field.mostBytes !== undefined && (bytesOf(field, value) ?? 0) > field.mostBytes;
  throw invalid(`${name} ${checked.fault}`, large ? "too_large" : undefined);
}

function bytesOf(field: Field, value: unknown): number | undefined {
  if (field.kind === "json") return jsonBytes(value);
  return typeof value === "string" ? Buffer.byteLength(value) : undefined;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function inWords(names: readonly string[]): string {
  const last = names.at(-1) ?? "";
  if (names.length < 3) return names.join(" and ");
  return `${names.slice(0, -1).join(", ")}, and ${last}`;
}
