import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Archive } from "./core/archive.ts";
import { type Bus, type CardSettings, createBus } from "./core/bus.ts";
import { IpcError } from "./core/errors.ts";
import type { Store } from "./core/store.ts";
import type { Wakeup } from "./core/wakeup.ts";
import type { Environment } from "./environment.ts";
import { createNotes } from "./notes.ts";
import { writeArchive } from "./storage/sqlite/archive.ts";
import { openSqlite } from "./storage/sqlite/open.ts";
import { createFileBells } from "./wakeup/files.ts";

export interface Opening {
  /** What the agent card's default address names. */
  readonly port: () => number;
  /** It is opened to get an operator, and so may be without one. */
  readonly seeding?: boolean;
}

export async function openBus(environment: Environment, { port, seeding = false }: Opening): Promise<Bus> {
  const { place, signatures, readsNeedToken } = environment;
  const notes = createNotes(environment.configFolder);
  const { store, wakeup } = await openEngine(environment);
  if (!seeding && notes.hasDatabase(place) && (await store.agents.firstOperator()) === undefined) {
    await wakeup[Symbol.asyncDispose]();
    await store[Symbol.asyncDispose]();
    throw new IpcError(
      "unauthorized",
      `The database ${place} had an operator and has none now: it was replaced, or its folder cleaned. ` +
        `Restore it, seed an operator anew, or remove its line from ${notes.databasesFile} to begin again in open mode`,
    );
  }
  const card = cardOf(environment, port);
  const secured = () => void notes.addDatabase(place);
  return createBus({
    store,
    wakeup,
    policy: { card, signatures, readsNeedToken, secured },
    now: () => Date.now() / 1_000,
  });
}

interface Engine {
  readonly store: Store;
  readonly wakeup: Wakeup;
}

/** The one place where an engine is chosen. */
async function openEngine(environment: Environment): Promise<Engine> {
  const { databasePath: path, durability, store: address, replicas, configFolder } = environment;
  if (address !== undefined) {
    const nats = await import("./nats.ts");
    return nats.openNats(address, { replicas, archive: (name, archive) => backUp(configFolder, name, archive) });
  }
  const store = await openSqlite({ path, durability });
  return { store, wakeup: createFileBells({ folder: `${path}-bells`, changes: store.changes }) };
}

/** What another engine held, as a database that this one opens. */
async function backUp(configFolder: string, name: string, archive: Archive): Promise<string> {
  const folder = join(configFolder, "backups");
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, `${name}-${new Date().toISOString().replace(/[:.]/g, "-")}.db`);
  await writeArchive(path, archive);
  return path;
}

function cardOf({ cardName, cardDescription, cardUrl }: Environment, port: () => number): CardSettings {
  return {
    name: cardName,
    description: cardDescription,
    get url() {
      return cardUrl ?? `http://localhost:${port()}`;
    },
  };
}
