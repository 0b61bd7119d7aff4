import { archiveOf, type RecordKind, recordKinds } from "../../core/records.ts";
import type { Archive, Archived, Records, StoredMessage } from "../../core/store.ts";
import { makeBackup } from "./backup.ts";
import type { Connection } from "./connection.ts";
import { openDatabase } from "./database.ts";
import type { Driver, Row, Value } from "./driver.ts";
import { createMessageStore } from "./messages.ts";
import { tableOf, textOf } from "./rows.ts";

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
    const from = keyOf(last, key.length);
    page = await read(() => statement(next).all(...from));
  }
}

function keyOf(row: Row, length: number): Value[] {
  return Array.from({ length }, (_, index) => {
    const value = row[`key${index}`];
    return typeof value === "number" ? value : textOf(row, `key${index}`);
  });
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

/** Writes an archive to a new database, which is a bus like any other. Answers with its path. */
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
  // The triggers have written entries about the records before these.
  if (kind === "journal") driver.exec("DELETE FROM journal");
  const statement = driver.prepare(insert);
  const flag = flags[kind] && { statement: driver.prepare(flags[kind].insert), ...flags[kind] };
  for await (const record of records) {
    statement.run(...values(record));
    if (flag?.isSet(record)) flag.statement.run(flag.key(record));
  }
}

/** The fields of records that lie in a table of their own, as a row where they are true. */
const flags: { readonly [Kind in RecordKind]?: Flag<Records[Kind]> } = {
  agents: {
    insert: "INSERT INTO agent_rules (name, v2_only) VALUES (?, 1)",
    isSet: ({ v2Only }) => v2Only,
    key: ({ name }) => name,
  },
  messages: {
    insert: "INSERT INTO attested (message_id) VALUES (?)",
    isSet: ({ attested }) => attested === true,
    key: ({ id }) => id,
  },
};

interface Flag<T> {
  readonly insert: string;
  readonly isSet: (record: T) => boolean;
  readonly key: (record: T) => Value;
}
