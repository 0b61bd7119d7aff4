import type { MessageStore, Prunable, Pruning } from "../../core/store.ts";
import type { Connection } from "./connection.ts";
import type { Value } from "./driver.ts";
import { numberOf, row } from "./rows.ts";

const NEWEST = "SELECT max(id) AS id FROM messages WHERE channel = ?";

/** The oldest message that is young enough to stay; what is before it in the channel goes. */
const FIRST_YOUNG = "SELECT id - 1 AS id FROM messages WHERE channel = ? AND created_at >= ? ORDER BY id LIMIT 1";

const BEHIND_NEWEST = "SELECT id FROM messages WHERE channel = ? ORDER BY id DESC LIMIT 1 OFFSET ?";

const SLOWEST = "SELECT min(last_id) AS id FROM watermarks WHERE channel = ?";

const COUNT = "SELECT count(*) AS count FROM messages WHERE channel = ? AND id > ? AND id <= ?";

const REMOVE = `DELETE FROM messages WHERE id IN
  (SELECT id FROM messages WHERE channel = ? AND id <= ? ORDER BY id LIMIT +?)`;

const CHANGES = "SELECT changes() AS removed";

type PruningSteps = Pick<MessageStore, "prunable" | "remove">;

export function createPruning({ statement, read, write }: Connection): PruningSteps {
  const id = (sql: string, ...values: Value[]): number | undefined => {
    const found = row(statement(sql).get(...values));
    return found === undefined || found.id === null ? undefined : numberOf(found, "id");
  };

  const count = (channel: string, after: number, upTo: number): number =>
    numberOf(row(statement(COUNT).get(channel, after, upTo)) ?? {}, "count");

  const look = (channel: string, { before, keep, consumed }: Pruning): Prunable => {
    const newest = id(NEWEST, channel) ?? 0;
    const slowest = id(SLOWEST, channel) ?? 0;
    const upTo = Math.min(
      newest,
      before === undefined ? newest : (id(FIRST_YOUNG, channel, before) ?? newest),
      keep === undefined ? newest : (id(BEHIND_NEWEST, channel, keep) ?? 0),
      consumed ? slowest : newest,
    );
    return { upTo, count: count(channel, 0, upTo), unconsumed: count(channel, slowest, upTo) };
  };

  return {
    prunable: (channel, pruning) => read(() => look(channel, pruning)),
    remove: (channel, upTo, limit) =>
      write(() => {
        statement(REMOVE).run(channel, upTo, limit);
        return numberOf(row(statement(CHANGES).get()) ?? {}, "removed");
      }),
  };
}
