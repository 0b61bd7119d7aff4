import type { Caller } from "../core/access.ts";
import { invalid, invalidFields } from "../core/errors.ts";
import { isJsonObject } from "../core/json.ts";
import {
  BATCH_MESSAGES,
  CONTENT_BYTES,
  IDENTITY_LENGTH,
  MAX_WAIT_SECONDS,
  NAME_LENGTH,
  WAIT_SECONDS,
  WORD_LENGTH,
} from "../core/limits.ts";
import { identityFault, nameFault, wordFault } from "../core/names.ts";

/** A valid value, or its fault, worded to follow the field's name. */
export type Checked<T> = { readonly value: T } | { readonly fault: string };

export interface Field<T = unknown> {
  readonly check: (value: unknown) => Checked<T>;
  readonly description: string;
  readonly kind: "text" | "number" | "flag" | "json" | "list";
  readonly optional: boolean;
  /** Its JSON Schema, where that says more than its kind. */
  readonly schema?: FieldSchema;
  /** Its flag, where that differs from the field's name. */
  readonly flag?: string;
  /** `file`: a command line names a file that holds it. `text`: it may also come from --file or standard input. */
  readonly given?: "file" | "text";
  /** In seconds, but over HTTP in milliseconds, as the broker's clients expect. */
  readonly httpMilliseconds?: true;
  /** Without a flag on a command line. */
  readonly wireOnly?: true;
  /** Never sent to a server. */
  readonly callerOnly?: true;
  /** An empty text is an error, instead of the same as none. */
  readonly neverEmpty?: true;
  /** A longer value is refused as `too_large`, which HTTP answers with 413. */
  readonly maxBytes?: number;
}

export interface FieldSchema {
  readonly type: string;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly items?: FieldSchema;
  readonly maxItems?: number;
}

export interface Optional<T> extends Field<T> {
  readonly optional: true;
}

export type Fields = Readonly<Record<string, Field>>;

type OptionalNames<F extends Fields> = { [K in keyof F]: F[K] extends Optional<unknown> ? K : never }[keyof F];
type Value<T> = T extends Field<infer V> ? V : never;

export type InputOf<F extends Fields> = {
  readonly [K in Exclude<keyof F, OptionalNames<F>>]: Value<F[K]>;
} & {
  readonly [K in OptionalNames<F>]?: Value<F[K]>;
};

type Extras = Pick<Field, "flag" | "given" | "wireOnly" | "neverEmpty">;

export function optional<T>(field: Field<T>): Optional<T> {
  return { ...field, optional: true };
}

/** The name of a channel or of an agent. */
export function name(description: string, extras: Extras = {}): Field<string> {
  return { ...text(description, extras), check: checkText(nameFault), schema: lineOf(NAME_LENGTH) };
}

export function word(description: string): Field<string> {
  return { ...text(description), check: checkText(wordFault), schema: lineOf(WORD_LENGTH) };
}

export function identity(description: string): Field<string> {
  return { ...text(description), check: checkText(identityFault), schema: lineOf(IDENTITY_LENGTH) };
}

function lineOf(maxLength: number): FieldSchema {
  return { type: "string", maxLength, pattern: "^[^\\u0000-\\u001f\\u007f]*$" };
}

export function content(description: string): Field<string> {
  return { ...text(description, { given: "text" }), check: checkText(contentFault), maxBytes: CONTENT_BYTES };
}

export function text(description: string, extras: Extras = {}): Field<string> {
  return { check: checkText(), description, kind: "text", optional: false, ...extras };
}

export function oneOf<const T extends string>(
  description: string,
  values: readonly T[],
  extras: Extras = {},
): Field<T> {
  const check = (given: unknown): Checked<T> => {
    const value = values.find((known) => known === given);
    return value === undefined ? { fault: `must be one of ${values.join(", ")}` } : { value };
  };
  return { check, description, kind: "text", optional: false, schema: { type: "string", enum: values }, ...extras };
}

export function whole(description: string, { min, max = Number.MAX_SAFE_INTEGER }: { min: number; max?: number }) {
  const holds = (value: number) => Number.isSafeInteger(value) && value >= min && value <= max;
  const schema = { type: "integer", minimum: min, maximum: max };
  return { ...number(description, `must be a whole number from ${min} to ${max}`, holds), schema };
}

export function seconds(description: string, min = 0, max = 1e9): Field<number> {
  const fault = `must be a number of seconds, ${max < 1e9 ? `from ${min} to ${max}` : `${min} or more`}`;
  return {
    ...number(description, fault, (value) => value >= min && value <= max),
    schema: { type: "number", minimum: min, ...(max < 1e9 ? { maximum: max } : {}) },
  };
}

export function httpMilliseconds(field: Field<number>): Field<number> {
  const check = (value: unknown): Checked<number> => {
    const checked = field.check(value);
    return "value" in checked ? checked : { fault: `${checked.fault} (over HTTP: of milliseconds)` };
  };
  return { ...field, check, description: `${field.description} (over HTTP: milliseconds)`, httpMilliseconds: true };
}

export function json(description: string, extras: Extras = {}): Field<unknown> {
  const check = (value: unknown): Checked<unknown> => {
    const bytes = jsonBytes(value);
    if (bytes === undefined) return { fault: "must be JSON" };
    return bytes <= CONTENT_BYTES ? { value } : { fault: "must be 1 MiB of JSON at most" };
  };
  return { check, description, kind: "json", optional: false, maxBytes: CONTENT_BYTES, ...extras };
}

export function jsonBytes(value: unknown): number | undefined {
  try {
    const text: string | undefined = JSON.stringify(value);
    return text === undefined ? undefined : Buffer.byteLength(text);
  } catch {
    return undefined;
  }
}

/** Short texts, separated by commas on a command line. */
export function list(description: string): Field<readonly string[]> {
  const fault = "must be a list of 50 texts at most";
  const check = (given: unknown): Checked<readonly string[]> => {
    if (!Array.isArray(given) || given.length > 50) return { fault };
    const value = given.filter((item) => typeof item === "string" && nameFault(item) === undefined);
    return value.length === given.length ? { value } : { fault };
  };
  const schema = { type: "array", items: lineOf(NAME_LENGTH), maxItems: 50 };
  return { check, description, kind: "list", optional: false, schema };
}

export function ids(description: string): Field<readonly number[]> {
  const fault = `must be a list of ${BATCH_MESSAGES} ids at most`;
  const check = (given: unknown): Checked<readonly number[]> => {
    if (!Array.isArray(given) || given.length > BATCH_MESSAGES) return { fault };
    const value = given.map(Number);
    return value.every((id) => Number.isSafeInteger(id) && id > 0) ? { value } : { fault };
  };
  const schema = { type: "array", items: { type: "integer", minimum: 1 }, maxItems: BATCH_MESSAGES };
  return { check, description, kind: "list", optional: false, schema };
}

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400, w: 604_800 };

/** A number of seconds, or text such as `30d`. */
export function duration(description: string): Field<number> {
  const check = (given: unknown): Checked<number> => {
    const [, count, unit = "s"] = /^(\d+(?:\.\d+)?)([smhdw])?$/.exec(String(given)) ?? [];
    const value = Number(count) * (UNITS[unit] ?? Number.NaN);
    return Number.isFinite(value) && value <= 1e10
      ? { value }
      : { fault: "must be seconds, or a number with s, m, h, d or w" };
  };
  return { check, description, kind: "text", optional: false };
}

export function flag(description: string): Optional<boolean> {
  const check = (value: unknown): Checked<boolean> =>
    typeof value === "boolean" ? { value } : { fault: "must be true or false" };
  return { check, description, kind: "flag", optional: true };
}

const NONCE = /^[A-Za-z0-9_-]{22}$/;

/** The fields of a v2 signature, which a command line makes itself. */
export const stampFields = {
  v: optional({ ...whole("2 for a v2 signature", { min: 1, max: 2 }), wireOnly: true }),
  aud: optional(text("v2: the DID of the bus, as /health gives it", { wireOnly: true })),
  nonce: optional({
    ...text("v2: 16 random bytes in base64url; a repeated request is done once", { wireOnly: true }),
    check: checkText((value) => (NONCE.test(value) ? undefined : "must be 16 bytes in base64url")),
  }),
  ts: optional({ ...whole("v2: the time, in milliseconds since 1970", { min: 0 }), wireOnly: true }),
} as const;

function number(description: string, fault: string, holds: (value: number) => boolean): Field<number> {
  const check = (value: unknown): Checked<number> =>
    typeof value === "number" && holds(value) ? { value } : { fault };
  return { check, description, kind: "number", optional: false };
}

export function checkText(faultOf: (value: string) => string | undefined = () => undefined) {
  return (value: unknown): Checked<string> => {
    if (typeof value !== "string") return { fault: "must be text" };
    const fault = faultOf(value);
    return fault === undefined ? { value } : { fault };
  };
}

function contentFault(value: string): string | undefined {
  if (Buffer.byteLength(value) > CONTENT_BYTES) return "must be 1 MiB of UTF-8 at most";
  return value.isWellFormed() ? undefined : "must be valid Unicode";
}

/** Throws a sentence about the first fault. */
export function parseInput<F extends Fields>(fields: F, raw: unknown): InputOf<F> {
  if (!isJsonObject(raw)) throw invalid("the request must be a JSON object");
  const { all, required } = namesOf(fields);
  if (required.some((name) => given(raw, name, fields[name]) === undefined))
    throw invalidFields((nameOf) => `${joinWords(required.map(nameOf))} required`);
  const input: Record<string, unknown> = {};
  for (const [name, field] of all) {
    const value = given(raw, name, field);
    if (value !== undefined) input[name] = parseField(name, field, value);
  }
  return input as InputOf<F>;
}

/** Cached per operation, not computed per request. */
const known = new WeakMap<Fields, ReturnType<typeof listNames>>();

function namesOf(fields: Fields) {
  const names = known.get(fields) ?? listNames(fields);
  known.set(fields, names);
  return names;
}

function listNames(fields: Fields) {
  const all = Object.entries(fields);
  return { all, required: all.filter(([, field]) => !field.optional).map(([name]) => name) };
}

/** The part of the input that is sent to a server. */
export function publicInput(fields: Fields, input: object): [string, unknown][] {
  return Object.entries(input).filter(([name, value]) => value !== undefined && !fields[name]?.callerOnly);
}

/** Converts texts from a command line or a URL to the types of their fields. */
export function parseTexts(fields: Fields, texts: Readonly<Record<string, string>>): Record<string, unknown> {
  const typed = Object.entries(texts).map(([name, text]) => [name, parseText(fields, name, text)] as const);
  return Object.fromEntries(typed);
}

const YES = ["true", "1", "yes"];
const NO = ["false", "0", "no"];

function parseText(fields: Fields, name: string, text: string): unknown {
  const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
  if (field?.kind === "json") return parseJson(name, text);
  if (field?.kind === "list")
    return text
      .split(",")
      .map((item) => item.trim())
      .filter((item) => item !== "");
  if (field?.kind === "number") return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text;
  if (field?.kind === "flag" && YES.includes(text.toLowerCase())) return true;
  if (field?.kind === "flag" && NO.includes(text.toLowerCase())) return false;
  return text;
}

function parseJson(name: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw invalidFields((nameOf) => `${nameOf(name)} must be JSON`);
  }
}

/** Null and empty text count as missing, unless the field takes any JSON or must not be empty. */
function given(raw: Readonly<Record<string, unknown>>, name: string, field: Field | undefined): unknown {
  const value = Object.hasOwn(raw, name) ? raw[name] : undefined;
  if (field?.kind === "json") return value;
  return value === null || (value === "" && !field?.neverEmpty) ? undefined : value;
}

function parseField(name: string, field: Field, value: unknown): unknown {
  if (value === "" && field.neverEmpty) throw invalidFields((nameOf) => `${nameOf(name)} must not be empty`);
  const checked = field.check(value);
  if ("value" in checked) return checked.value;
  const large = field.maxBytes !== undefined && (bytesOf(field, value) ?? 0) > field.maxBytes;
  throw invalidFields((nameOf) => `${nameOf(name)} ${checked.fault}`, large ? "too_large" : undefined);
}

function bytesOf(field: Field, value: unknown): number | undefined {
  if (field.kind === "json") return jsonBytes(value);
  return typeof value === "string" ? Buffer.byteLength(value) : undefined;
}

export function joinWords(names: readonly string[]): string {
  const last = names.at(-1) ?? "";
  if (names.length < 3) return names.join(" and ");
  return `${names.slice(0, -1).join(", ")}, and ${last}`;
}

export const waitTime = optional(httpMilliseconds(seconds("Wait at most this many seconds")));

/** The length of a wait; undefined is unbounded. Connections are answered before proxies give up. */
export function waitSeconds(timeout: number | undefined, caller: Caller): number | undefined {
  if (caller.from === "process") return timeout;
  return Math.min(timeout ?? WAIT_SECONDS, MAX_WAIT_SECONDS);
}
