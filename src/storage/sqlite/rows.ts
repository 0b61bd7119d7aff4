import { BATCH_BYTES } from "../../core/limits.ts";
import { createReader, type Field, type RecordKind, shapes } from "../../core/records.ts";
import type { Records } from "../../core/store.ts";
import type { Row, Statement, Value } from "./driver.ts";

/**
 * Where a kind of record is stored. A kind without an entry has a table of its own name, with a rowid and a column for each
 * field, named like the field in snake case.
 */
const tables: { readonly [Kind in RecordKind]?: Table<string> } = {
  agents: {
    select: { v2Only: "coalesce((SELECT v2_only FROM agent_rules WHERE agent_rules.name = agents.name), 0)" },
    elsewhere: ["v2Only"],
  },
  revoked: {
    table: "revoked_agents",
    // A name that has a new owner is in both tables.
    where: "NOT EXISTS (SELECT 1 FROM agents WHERE agents.name = revoked_agents.name)",
    key: ["name"],
    insert: "INSERT INTO revoked_agents (name, public_key, registered_by, revoked_at) VALUES (?, ?, ?, 0)",
  },
  nonces: { columns: { at: "seen_at" }, key: ["signer", "nonce"] },
  messages: {
    columns: { timestamp: "created_at" },
    select: {
      // As bytes: node:sqlite in Node 22 cuts a text off at its first NUL.
      content: "CAST(content AS BLOB)",
      attested: "EXISTS (SELECT 1 FROM attested WHERE message_id = messages.id)",
    },
    elsewhere: ["attested"],
  },
  arrived: {
    table: "taken",
    select: { ids: "json_array(message_id)" },
    where: "settled = 1",
    insert: "INSERT INTO taken (channel, message_id, lease_until, settled) SELECT ?, value, 0, 1 FROM json_each(?)",
  },
  orders: { columns: { from: "sender", fromId: "sender_id" } },
} satisfies { readonly [Kind in RecordKind]?: Table<keyof Records[Kind]> };

interface Table<Name extends PropertyKey> {
  readonly table?: string;
  readonly columns?: { readonly [N in Name]?: string | undefined };
  /** The SQL that reads a field, where it isn't simply a column. */
  readonly select?: { readonly [N in Name]?: string | undefined };
  /** Fields that other tables hold. */
  readonly elsewhere?: readonly Name[];
  /** The condition for a row to be a record. */
  readonly where?: string;
  /** The columns that order the rows of a table without rowid. */
  readonly key?: readonly string[];
  /** Inserts the fields, in their order, where that isn't simply a value for each column. */
  readonly insert?: string;
}

/** The SQL of a kind of record. */
export interface RecordTable<T extends object> {
  readonly table: string;
  readonly where: string;
  readonly key: readonly string[];
  /** The columns to select, each value under its field's name. */
  readonly columns: string;
  /** Inserts a record, without the fields that other tables hold. */
  readonly insert: string;
  /** The parameters of `insert`. */
  readonly values: (record: T) => Value[];
  /** Reads a row with `columns`. */
  readonly read: (row: Row) => T;
  /** Reads the first row of a query. */
  readonly find: (query: Statement, ...values: Value[]) => T | undefined;
}

export function tableOf<Kind extends RecordKind>(kind: Kind): RecordTable<Records[Kind]> {
  const given: Table<string> = tables[kind] ?? {};
  const { table = kind, columns = {}, select = {}, elsewhere = [], where = "true", key = ["rowid"] } = given;
  const fields = Object.entries<Field<unknown>>(shapes[kind]).map(([name, field]) => {
    const column = columns[name] ?? name.replace(/[A-Z]/g, "_$&").toLowerCase();
    const sql = select[name] ?? column;
    return { name, field, column, selected: sql === name ? name : `${sql} AS "${name}"` };
  });
  const own = elsewhere.length === 0 ? fields : fields.filter(({ name }) => !elsewhere.includes(name));
  const read = createReader<Records[Kind]>(shapes[kind], (row, name, { isJson }) =>
    isJson ? jsonOf(row, name) : decode(row[name]),
  );
  const insertColumns = own.map(({ column }) => column).join(", ");
  return {
    table,
    where,
    key,
    columns: fields.map(({ selected }) => selected).join(", "),
    insert: given.insert ?? `INSERT INTO ${table} (${insertColumns}) VALUES (${own.map(() => "?").join(", ")})`,
    values: (record) => own.map(({ name, field }) => columnValue(Reflect.get(record, name), field)),
    read,
    find: (query, ...values) => {
      const row = query.get(...values);
      return row && read(row);
    },
  };
}

function columnValue(value: unknown, { isJson }: Field<unknown>): Value {
  if (isJson) return JSON.stringify(value ?? null);
  if (typeof value === "boolean") return value ? 1 : 0;
  return typeof value === "string" || typeof value === "number" ? value : null;
}

/** Reads rows while the texts in these columns fit into one answer, and at least one row. */
export function readBatch<T>(rows: Iterable<Row>, read: (row: Row) => T, columns: readonly string[]): T[] {
  const records: T[] = [];
  let bytes = 0;
  for (const row of rows) {
    for (const column of columns) bytes += sizeOf(row, column);
    if (records.length > 0 && bytes > BATCH_BYTES) break;
    records.push(read(row));
  }
  return records;
}

function sizeOf(row: Row, column: string): number {
  const value = row[column];
  return value instanceof Uint8Array ? value.byteLength : Buffer.byteLength(textOf(row, column));
}

/** Text that was selected as bytes. */
function decode(value: unknown): unknown {
  if (!(value instanceof Uint8Array)) return value;
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString();
}

/** A column's value as text. The Python original stores whatever it is given. */
export function textOf(from: Row, column: string): string {
  const value = decode(from[column]);
  return typeof value === "string" ? value : value === null || value === undefined ? "" : String(value);
}

/** A column's value as a number; 0 where there is no row or no number. */
export function numberOf(from: Row | undefined, column: string): number {
  const value = Number(from?.[column]);
  return Number.isFinite(value) ? value : 0;
}

/** A column's value as a number; undefined where there is no row or no value. */
export function maybeNumberOf(from: Row | undefined, column: string): number | undefined {
  return from === undefined || from[column] === null ? undefined : numberOf(from, column);
}

/** A column's value as a parameter of another statement. */
export function parameterOf(from: Row, column: string): Value {
  const value = from[column];
  return typeof value === "number" ? value : textOf(from, column);
}

function jsonOf(from: Row, column: string): unknown {
  try {
    return JSON.parse(textOf(from, column));
  } catch {
    return null;
  }
}
