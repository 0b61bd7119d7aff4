import { archiveOf, type RecordKind, recordKinds } from "../../core/records.ts";
import type { Archive, Archived, Records, StoredMessage } from "../../core/store.ts";
import { makeBackup } from "./backup.ts";
import type { Connection } from "./connection.ts";
import { openDatabase } from "./database.ts";
import type { Driver, Value } from "./driver.ts";
import { createMessageStore } from "./messages.ts";
import { parameterOf, tableOf } from "./rows.ts";

const PAGE = 500;

/** Reads everything that a database holds, a page at a time. */
export async function readArchive(connection: Connection, after: number): Promise<Archive> {
  const upTo = await createMessageStore(connection).lastId();
  return { ...archiveOf((kind) => readRecords(connection, kind)), messages: readMessages(connection, after, upTo) };
}

async function* readRecords<Kind extends RecordKind>(
  { statement, read }: Connection,
  kind: Kind,
): AsyncGenerator<Records[Kind]> {
  const { table, columns, where, key, read: readRecord } = tableOf(kind);
  const keys = key.map((column, index) => `${column} AS key${index}`).join(", ");
  const select = (condition: string) => `SELECT ${columns}, ${keys} FROM ${table} WHERE ${where} AND ${condition}
    ORDER BY ${key.join(", ")} LIMIT ${PAGE}`;
  const next = select(`(${key.join(", ")}) > (${key.map(() => "?").join(", ")})`);
  let page = await read(() => statement(select("true")).all());
  for (let last = page.at(-1); last !== undefined; last = page.at(-1)) {
    yield* page.map(readRecord);
    const from = last;
    page = await read(() => statement(next).all(...key.map((_, index) => parameterOf(from, `key${index}`))));
  }
}

/** Pages of messages are bounded in bytes too. */
async function* readMessages(connection: Connection, after: number, upTo: number): AsyncGenerator<StoredMessage> {
  const { allAfter } = createMessageStore(connection);
  let page = await allAfter(after, PAGE);
  for (let last = page.at(-1); last !== undefined; last = page.at(-1)) {
    yield* page.filter(({ id }) => id <= upTo);
    if (last.id >= upTo) return;
    page = await allAfter(last.id, PAGE);
  }
}

/** Writes an archive to a new database, which is a bus like any other. Returns its path. */
export function writeArchive(pathAt: (moment: string) => string, archive: Archive): Promise<string> {
  return makeBackup(pathAt, (path) => fillDatabase(path, archive));
}

async function fillDatabase(path: string, archive: Archive): Promise<void> {
  const driver = await openDatabase({ path });
  try {
    driver.exec("BEGIN IMMEDIATE");
    for (const kind of recordKinds) await writeRecords(driver, kind, archive[kind]);
    driver.exec("COMMIT");
  } finally {
    driver.close();
  }
}

async function writeRecords<Kind extends RecordKind>(
  driver: Driver,
  kind: Kind,
  records: Archived<Records[Kind]>,
): Promise<void> {
  const { insert, values } = tableOf(kind);
  // Triggers have written entries about the records inserted before.
  if (kind === "journal") driver.exec("DELETE FROM journal");
  const statement = driver.prepare(insert);
  const flag = flags[kind] && { ...flags[kind], statement: driver.prepare(flags[kind].insert) };
  for await (const record of records) {
    statement.run(...values(record));
    const key = flag?.keyOf(record);
    if (key !== undefined) flag?.statement.run(key);
  }
}

/** Fields with a table of their own, which has a row for each record where the field is true. */
const flags: { readonly [Kind in RecordKind]?: Flag<Records[Kind]> } = {
  agents: {
    insert: "INSERT INTO agent_rules (name, v2_only) VALUES (?, 1)",
    keyOf: ({ name, v2Only }) => (v2Only ? name : undefined),
  },
  messages: {
    insert: "INSERT INTO attested (message_id) VALUES (?)",
    keyOf: ({ id, attested }) => (attested ? id : undefined),
  },
};

interface Flag<T> {
  readonly insert: string;
  /** Undefined where the field is false. */
  readonly keyOf: (record: T) => Value | undefined;
}
