// The process of original.ts: does one command after the other, each as the original's process would.
import { DatabaseSync } from "node:sqlite";

const TABLES = `
  CREATE TABLE IF NOT EXISTS messages (id INTEGER PRIMARY KEY AUTOINCREMENT, channel TEXT NOT NULL, sender TEXT NOT NULL,
    content TEXT NOT NULL, created_at REAL NOT NULL, read_by TEXT DEFAULT '', signature TEXT DEFAULT '');
  CREATE TABLE IF NOT EXISTS watermarks (agent TEXT NOT NULL, channel TEXT NOT NULL, last_id INTEGER DEFAULT 0,
    PRIMARY KEY (agent, channel));
  CREATE TABLE IF NOT EXISTS agents (name TEXT PRIMARY KEY, identity TEXT NOT NULL DEFAULT '', public_key TEXT NOT NULL,
    role TEXT NOT NULL DEFAULT 'agent', registered_by TEXT, created_at REAL NOT NULL);`;

/** Before there were signatures, and so agents. */
const OLDEST_TABLES = `
  CREATE TABLE IF NOT EXISTS messages (id INTEGER PRIMARY KEY AUTOINCREMENT, channel TEXT NOT NULL, sender TEXT NOT NULL,
    content TEXT NOT NULL, created_at REAL NOT NULL, read_by TEXT DEFAULT '');
  CREATE TABLE IF NOT EXISTS watermarks (agent TEXT NOT NULL, channel TEXT NOT NULL, last_id INTEGER DEFAULT 0,
    PRIMARY KEY (agent, channel));`;

type Value = string | number | null;

const commands: Record<string, (database: DatabaseSync, ...given: Value[]) => unknown> = {
  send: (database, ...message) =>
    database
      .prepare("INSERT INTO messages (channel, sender, content, created_at, signature) VALUES (?, ?, ?, ?, ?)")
      .run(...message).lastInsertRowid,

  sendUnsigned: (database, ...message) =>
    database.prepare("INSERT INTO messages (channel, sender, content, created_at) VALUES (?, ?, ?, ?)").run(...message)
      .lastInsertRowid,

  read: (database, channel = "", agent = "") => {
    const mark = database.prepare("SELECT last_id FROM watermarks WHERE agent = ? AND channel = ?").get(agent, channel);
    const found = database
      .prepare("SELECT id, content FROM messages WHERE channel = ? AND id > ? ORDER BY id")
      .all(channel, mark?.last_id ?? 0);
    const last = found.at(-1)?.id;
    if (last !== undefined) {
      database
        .prepare("INSERT OR REPLACE INTO watermarks (agent, channel, last_id) VALUES (?, ?, ?)")
        .run(agent, channel, last);
    }
    return found.map(({ content }) => content);
  },

  register: (database, ...agent) =>
    database
      .prepare(
        `INSERT OR REPLACE INTO agents (name, identity, public_key, role, registered_by, created_at)
         VALUES (?, '', ?, ?, ?, ?)`,
      )
      .run(...agent).changes,

  agents: (database) =>
    database
      .prepare("SELECT name || ': ' || role AS line FROM agents ORDER BY created_at")
      .all()
      .map(({ line }) => line),
};

const [path = "", age = ""] = process.argv.slice(2);

function perform(name: string, given: readonly Value[]): unknown {
  const database = new DatabaseSync(path, { timeout: 5_000 });
  try {
    database.exec("PRAGMA journal_mode = WAL");
    database.exec(age === "oldest" ? OLDEST_TABLES : TABLES);
    return commands[name]?.(database, ...given);
  } finally {
    database.close();
  }
}

process.on("message", ([name, given]: [string, Value[]]) => {
  try {
    process.send?.({ answer: perform(name, given) });
  } catch (error) {
    process.send?.({ error: String(error) });
  }
});
