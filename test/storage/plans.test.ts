import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { createAgentStore } from "../../src/storage/sqlite/agents.ts";
import { connect, createChanges } from "../../src/storage/sqlite/connection.ts";
import { openDatabase } from "../../src/storage/sqlite/database.ts";
import { type Driver, drivers } from "../../src/storage/sqlite/driver.ts";
import { createMessageStore } from "../../src/storage/sqlite/messages.ts";
import { textOf } from "../../src/storage/sqlite/rows.ts";
import { createSessionStore } from "../../src/storage/sqlite/sessions.ts";
import { temporaryFolder } from "../support/program.ts";
import { append } from "../support/store.ts";

/** The driver, and every statement that is asked of it from now on. */
function listeningTo(driver: Driver): { driver: Driver; asked: Set<string> } {
  const asked = new Set<string>();
  return {
    asked,
    driver: {
      prepare(sql) {
        asked.add(sql);
        return driver.prepare(sql);
      },
      exec: (sql) => driver.exec(sql),
      close: () => driver.close(),
    },
  };
}

/** How SQLite will look for what a statement asks. */
function planOf(driver: Driver, sql: string): string[] {
  const parameters = [...sql.matchAll(/\?/g)].map(() => 1);
  return driver
    .prepare(`EXPLAIN QUERY PLAN ${sql}`)
    .all(...parameters)
    .map((step) => textOf(step, "detail"));
}

for (const name of drivers) {
  suite(`whatever is stored, with ${name}`, () => {
    test("no operation on messages looks through a table of them", async () => {
      using folder = temporaryFolder();
      const { driver, asked } = listeningTo(await openDatabase({ path: folder.file("bus.db"), driver: name }));
      const connection = connect(driver, folder.file("bus.db"));
      const messages = createMessageStore(connection);
      const changed = createChanges(connection);
      const path = folder.file("bus.db");
      const other = createMessageStore(connect(await openDatabase({ path, driver: name }), path));
      const message = { channel: "a", sender: "herald", content: "one", timestamp: 1, signature: "" };
      await changed();
      await other.append(message);
      assert.deepEqual(await changed(), { channels: ["a"], others: true });
      const id = await append(messages, message);
      await messages.unread("a", "reader", { limit: 1, others: false });
      await messages.unread("a", "reader", { limit: 1, others: true });
      await messages.after("a", 0, 1);
      await messages.pending("a", "reader");
      await messages.skipOwn("a", "herald");
      await messages.advance("a", "reader", id);
      await messages.channels();
      const queries = [...asked].filter((sql) => /\b(messages|watermarks)\b/.test(sql));
      assert.ok(queries.length >= 10, "each of them is here");
      for (const sql of queries) {
        assert.ok(!/LIMIT \?|channel = \?.*(ORDER BY|max\()/s.test(sql), `compiled anew each time: ${sql}`);
        for (const step of planOf(driver, sql)) {
          assert.ok(!/^SCAN|TEMP B-TREE FOR (?!GROUP BY|DISTINCT)/.test(step) || isFree(step), `${sql}\n${step}`);
        }
      }
      const reading = queries.filter((sql) => /FROM messages\s+WHERE channel = \+\?/.test(sql));
      assert.ok(reading.length >= 4);
      for (const sql of reading) {
        assert.match(
          planOf(driver, sql).join("\n"),
          /SEARCH messages USING (COVERING )?INDEX messages_by_channel/,
          sql,
        );
      }
      await connection.close();
    });

    test("whose sessions an agent's are is found without looking at others'", async () => {
      using folder = temporaryFolder();
      const { driver, asked } = listeningTo(await openDatabase({ path: folder.file("bus.db"), driver: name }));
      const connection = connect(driver, folder.file("bus.db"));
      await createSessionStore(connection).ofAgent("herald");
      const [find = ""] = [...asked].filter((sql) => sql.includes("peers"));
      assert.deepEqual(planOf(driver, find), ["SEARCH peers USING INDEX peers_by_agent (agent=?)"]);
      await connection.close();
    });

    test("finding an agent looks at that agent alone", async () => {
      using folder = temporaryFolder();
      const { driver, asked } = listeningTo(await openDatabase({ path: folder.file("bus.db"), driver: name }));
      const connection = connect(driver, folder.file("bus.db"));
      await createAgentStore(connection).find("herald");
      const [find = "", ...others] = [...asked].filter((sql) => sql.includes("agents"));
      assert.deepEqual(
        [planOf(driver, find), others],
        [
          [
            "SEARCH agents USING INDEX sqlite_autoindex_agents_1 (name=?)",
            "CORRELATED SCALAR SUBQUERY 1",
            "SEARCH agent_rules USING PRIMARY KEY (name=?)",
          ],
          [],
        ],
      );
      await connection.close();
    });
  });
}

test("asking what has changed is as quick on many messages as on few, the first time included", async () => {
  using folder = temporaryFolder();
  const driver = await openDatabase({ path: folder.file("bus.db"), durability: "normal" });
  driver.exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
    INSERT INTO messages (channel, sender, content, created_at) SELECT 'c' || (i % 10), 'herald', 'x', i FROM n`);
  const connection = connect(driver, folder.file("bus.db"));
  const changed = createChanges(connection);
  let quickest = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 5; round++) {
    const started = performance.now();
    await createChanges(connection)();
    await changed();
    quickest = Math.min(quickest, performance.now() - started);
  }
  await connection.close();
  assert.ok(quickest < 5, `it took ${quickest} ms`);
});

/** Scans that cost nothing: of a single row, or of the few rows of sqlite_sequence and of the channels. */
function isFree(step: string): boolean {
  return /^SCAN (CONSTANT ROW|sqlite_sequence|channel_counts)\b/.test(step);
}
