import { invalid, type Reason } from "./errors.ts";
import type { JsonObject } from "./json.ts";
import { CONTENT_BYTES } from "./limits.ts";
import { nameFault } from "./names.ts";
import type { Archive, Archived, CommandStatus, Records, Role } from "./store.ts";

/**
 * The shape of each stored record. Engines read and write rows and JSON by it, an archive copies by it, and an import checks
 * by it. The compiler holds it to the types of store.ts.
 */
export const shapes: { readonly [Kind in RecordKind]: Shape<Records[Kind]> } = {
  agents: {
    name: name(),
    identity: text(),
    publicKey: text(),
    role: oneOf<Role>(["agent", "operator"], "agent"),
    registeredBy: nullable(name()),
    createdAt: number(),
    v2Only: flag(),
  },
  revoked: { name: name(), publicKey: text(), registeredBy: nullable(name()) },
  nonces: { signer: name(), nonce: name(), digest: text(), at: number(), messageId: id() },
  messages: {
    id: id(),
    channel: name(),
    sender: name(),
    content: content(),
    timestamp: number(),
    signature: text(),
    attested: flag(),
  },
  watermarks: { channel: name(), agent: name(), lastId: id() },
  arrived: { channel: name(), ids: listOf(parseId, numberFrom) },
  peers: {
    id: name(),
    role: name(),
    capabilities: listOf(String, textFrom),
    agent: nullable(name()),
    connectedAt: number(),
    lastSeen: number(),
    waitingFor: nullable(text()),
  },
  orders: {
    id: name(),
    kind: oneOf(["command", "command_response"], "command"),
    from: name(),
    fromId: nullable(name()),
    target: nullable(name()),
    targetRole: text(),
    action: text(),
    params: json(),
    createdAt: number(),
    leaseSeconds: number(),
    expiresAt: nullable(number()),
    status: oneOf<CommandStatus>(["pending", "leased", "acked", "failed", "dead", "expired"], "dead"),
    attempts: number(),
    holder: nullable(name()),
    leaseUntil: nullable(number()),
    result: json(),
    endedAt: nullable(number()),
  },
  signals: { name: name(), data: json(), sender: name(), setAt: number() },
  journal: { seq: id(), at: number(), kind: oneOf(["peer", "order", "signal"], "signal"), key: text(), what: text() },
};

export type RecordKind = keyof Records;

/** A field for each member of a record. */
export type Shape<T> = { readonly [Name in keyof T]-?: Field<T[Name]> };

export interface Field<T> {
  /** Checks a value that comes from outside. Throws a sentence for the user. */
  readonly parse: (value: unknown, name: string) => T;
  /** Reads a stored value, which another program may have written: an invalid one becomes the nearest valid one. */
  readonly recover: (value: unknown) => T;
  /** An engine with columns stores it as JSON text. */
  readonly isJson?: true;
}

/** Checks records that come from outside. The check throws a sentence for the user. */
export function createParser<T>(shape: Shape<T>): (from: JsonObject) => T {
  return createBuilder(shape, (from, name, field) => field.parse(from[name], name));
}

/** Reads stored records. `storedValue` finds a field's value, where that isn't simply under the field's name. */
export function createReader<T>(
  shape: Shape<T>,
  storedValue: (from: JsonObject, name: string, field: Field<unknown>) => unknown = (from, name) => from[name],
): (from: JsonObject) => T {
  return createBuilder(shape, (from, name, field) => field.recover(storedValue(from, name, field)));
}

function createBuilder<T>(
  shape: Shape<T>,
  storedValue: (from: JsonObject, name: string, field: Field<unknown>) => unknown,
): (from: JsonObject) => T {
  const fields = Object.entries<Field<unknown>>(shape);
  return (from) => {
    const record: Record<string, unknown> = {};
    for (const [name, field] of fields) record[name] = storedValue(from, name, field);
    // TypeScript can't follow through the loop that each field gave a value of its type.
    return record as T;
  };
}

/** The journal comes last: the other records write to it. */
export const recordKinds: readonly RecordKind[] = Object.keys(shapes).filter(isRecordKind);

export function isRecordKind(kind: string): kind is RecordKind {
  return Object.hasOwn(shapes, kind);
}

export function archiveOf(read: <Kind extends RecordKind>(kind: Kind) => Archived<Records[Kind]>): Archive {
  return Object.fromEntries(recordKinds.map((kind) => [kind, read(kind)])) as Archive;
}

function text(): Field<string> {
  return {
    parse(value, name) {
      if (typeof value === "string" && value.isWellFormed()) return value;
      throw invalid(`${name} must be a text`);
    },
    recover: textFrom,
  };
}

/** The name of a channel, an agent or a session. */
function name(): Field<string> {
  return checked(text(), nameFault);
}

function content(): Field<string> {
  const fault = `must be ${CONTENT_BYTES} bytes at most`;
  return checked(text(), (value) => (Buffer.byteLength(value) <= CONTENT_BYTES ? undefined : fault), "too_large");
}

function checked<T>(field: Field<T>, faultOf: (value: T) => string | undefined, reason?: Reason): Field<T> {
  return {
    ...field,
    parse(value, name) {
      const parsed = field.parse(value, name);
      const fault = faultOf(parsed);
      if (fault !== undefined) throw invalid(`${name} ${fault}`, reason);
      return parsed;
    },
  };
}

function oneOf<const T extends string>(values: readonly T[], fallback: NoInfer<T>): Field<T> {
  const find = (value: unknown): T | undefined => values.find((known) => known === value);
  return {
    parse(value, name) {
      const found = find(value);
      if (found !== undefined) return found;
      throw invalid(`${name} must be ${values.join(" or ")}`);
    },
    recover: (value) => find(value) ?? fallback,
  };
}

function number(): Field<number> {
  return {
    parse(value, name) {
      if (typeof value === "number" && Number.isFinite(value)) return value;
      throw invalid(`${name} must be a number`);
    },
    recover: numberFrom,
  };
}

function id(): Field<number> {
  return { parse: parseId, recover: numberFrom };
}

function parseId(value: unknown): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw invalid("an id must be a whole number");
}

function flag(): Field<boolean> {
  return { parse: (value) => value === true, recover: (value) => numberFrom(value) === 1 };
}

function nullable<T>(field: Field<T>): Field<T | null> {
  const isNull = (value: unknown) => value === null || value === undefined;
  return {
    ...field,
    parse: (value, name) => (isNull(value) ? null : field.parse(value, name)),
    recover: (value) => (isNull(value) ? null : field.recover(value)),
  };
}

function json(): Field<unknown> {
  const read = (value: unknown) => value ?? null;
  return { parse: read, recover: read, isJson: true };
}

function listOf<T>(parse: (item: unknown) => T, recover: (item: unknown) => T): Field<readonly T[]> {
  return {
    parse(value, name) {
      if (Array.isArray(value)) return value.map(parse);
      throw invalid(`${name} must be a list`);
    },
    recover: (value) => (Array.isArray(value) ? value.map(recover) : []),
    isJson: true,
  };
}

function textFrom(value: unknown): string {
  return typeof value === "string" ? value : value === null || value === undefined ? "" : String(value);
}

function numberFrom(value: unknown): number {
  const number = Number(value);
  return Number.isFinite(number) ? number : 0;
}
