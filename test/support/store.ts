import assert from "node:assert/strict";
import { type Bus, createBus, type Policy } from "../../src/core/bus.ts";
import type { Changes, MessageStore, NewMessage } from "../../src/core/store.ts";
import type { SqliteOptions } from "../../src/storage/sqlite/database.ts";
import { openSqlite } from "../../src/storage/sqlite/open.ts";
import { createFileBells } from "../../src/wakeup/files.ts";

/** A store's report that nobody writes, for bells that no clock may help. */
export const nothingChanges = async (): Promise<Changes> => ({ channels: [], others: false });

/** The decisions of an owner who decided nothing. */
export const noPolicy: Policy = {
  card: { name: "", description: "", url: "" },
  signatures: "any",
  readsNeedToken: false,
  secured: () => {},
};

/** A bus opened in this process, as main.ts opens it but for the environment. Its path may be the address of a NATS server. */
export async function openLocalBus(
  options: SqliteOptions,
  now = () => Date.now() / 1_000,
  policy: Policy = noPolicy,
): Promise<Bus> {
  if (options.path.startsWith("nats://")) {
    const { openNats } = await import("../../src/nats.ts");
    const engine = await openNats(options.path, { replicas: 1, backups: "" });
    return createBus({ ...engine, policy, now });
  }
  const store = await openSqlite(options);
  const wakeup = createFileBells({ folder: `${options.path}-bells`, changes: store.changes });
  return createBus({ store, wakeup, policy, now });
}

/** Appends a message without a nonce, which is always a new one; answers with its id. */
export async function append(messages: MessageStore, message: NewMessage): Promise<number> {
  const { outcome, id } = await messages.append(message);
  assert.equal(outcome, "done");
  return id;
}

/** Opens several of the same; they are closed with the block that has them. */
export async function openSeveral<T extends AsyncDisposable>(count: number, open: () => Promise<T>) {
  await using opening = new AsyncDisposableStack();
  const all: T[] = [];
  for (let n = 0; n < count; n++) all.push(opening.use(await open()));
  const opened = opening.move();
  return Object.assign(all, { [Symbol.asyncDispose]: () => opened.disposeAsync() });
}
