import { type Bus, createBus } from "../../src/core/bus.ts";
import type { SqliteOptions } from "../../src/storage/sqlite/database.ts";
import { openSqlite } from "../../src/storage/sqlite/open.ts";
import { createFileBells } from "../../src/wakeup/files.ts";
import { noPolicy } from "./quiet.ts";

/** A bus opened in this process, on the file itself, or on the NATS server in its place, as main.ts opens it but for the environment. */
export async function openedBus(options: SqliteOptions, now = () => Date.now() / 1_000): Promise<Bus> {
  if (options.path.startsWith("nats://")) {
    const { openNats } = await import("../../src/nats.ts");
    const engine = await openNats(options.path, { replicas: 1, backups: "" });
    return createBus({ ...engine, policy: noPolicy, now });
  }
  const store = await openSqlite(options);
  const wakeup = createFileBells({ folder: `${options.path}-bells`, changes: store.changes });
  return createBus({ store, wakeup, policy: noPolicy, now });
}
