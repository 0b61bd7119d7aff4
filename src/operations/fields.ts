import * as z from "zod/mini";
import { CONTENT_BYTES } from "../core/limits.ts";
import { identityFault, nameFault } from "../core/names.ts";

/** One thing that an operation is told: its rule, its words for people, and how plain text becomes it. */
export interface Field<T = unknown> {
  readonly schema: z.ZodMiniType<T>;
  readonly about: string;
  readonly kind: "text" | "number" | "flag";
  readonly optional: boolean;
  /** Its name as a flag, where that differs from the field's own. */
  readonly flag?: string;
  /** How a command line gives it: as the name of a file that holds it, or as text, from a file or from standard input. */
  readonly given?: "file" | "text";
  /** A command line has no use for it. */
  readonly wireOnly?: true;
  /** Too long is a failure of its own, which HTTP answers with 413. */
  readonly mostBytes?: number;
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

type Extras = Pick<Field, "flag" | "given" | "wireOnly">;

export function optional<T>(field: Field<T>): Optional<T> {
  return { ...field, optional: true };
}

/** The name of a channel or of an agent. */
export function name(about: string, extras: Extras = {}): Field<string> {
  return { ...text(about, extras), schema: z.string({ error: "must be text" }).check(faults(nameFault)) };
}

export function identity(about: string): Field<string> {
  return { ...text(about), schema: z.string({ error: "must be text" }).check(faults(identityFault)) };
}

/** What a message says. */
export function content(about: string): Field<string> {
  const schema = z.string({ error: "must be text" }).check(
    z.refine((text) => Buffer.byteLength(text) <= CONTENT_BYTES, { error: "must be 1 MiB of UTF-8 at most" }),
    z.refine((text) => text.isWellFormed(), { error: "must be valid Unicode" }),
  );
  return { ...text(about, { given: "text" }), schema, mostBytes: CONTENT_BYTES };
}

export function text(about: string, extras: Extras = {}): Field<string> {
  return { schema: z.string({ error: "must be text" }), about, kind: "text", optional: false, ...extras };
}

export function oneOf<const T extends string>(about: string, values: readonly T[]): Field<T> {
  const schema = z.enum(values, { error: `must be one of ${values.join(", ")}` });
  return { schema, about, kind: "text", optional: false };
}

/** A whole number within bounds. */
export function whole(about: string, bounds: { least: number; most?: number }): Field<number> {
  const most = bounds.most ?? Number.MAX_SAFE_INTEGER;
  const error = `must be a whole number from ${bounds.least} to ${most}`;
  const within = (value: number) => Number.isSafeInteger(value) && value >= bounds.least && value <= most;
  return { schema: z.number({ error }).check(z.refine(within, { error })), about, kind: "number", optional: false };
}

export function seconds(about: string): Field<number> {
  const error = "must be a number of seconds, 0 or more";
  const within = (value: number) => value >= 0 && value <= 1e9;
  return { schema: z.number({ error }).check(z.refine(within, { error })), about, kind: "number", optional: false };
}

export function flag(about: string): Optional<boolean> {
  return { schema: z.boolean({ error: "must be true or false" }), about, kind: "flag", optional: true };
}

const NONCE = /^[A-Za-z0-9_-]{22}$/;

/** What makes a signed request v2. A command line makes these itself. */
export const stampFields = {
  v: optional({ ...whole("2 for a v2 signature", { least: 1, most: 2 }), wireOnly: true }),
  aud: optional(text("v2: the DID of the bus that it is meant for, as /health says it", { wireOnly: true })),
  nonce: optional({
    ...text("v2: 16 random bytes, base64url; the same request again is done once", { wireOnly: true }),
    schema: z.string({ error: "must be text" }).check(z.regex(NONCE, { error: "must be 16 bytes in base64url" })),
  }),
  ts: optional({ ...whole("v2: the time, in milliseconds since 1970", { least: 0 }), wireOnly: true }),
} as const;

function faults(fault: (value: string) => string | undefined) {
  return (payload: z.core.ParsePayload<string>): void => {
    const message = fault(payload.value);
    if (message !== undefined) payload.issues.push({ code: "custom", message, input: payload.value, path: [] });
  };
}
