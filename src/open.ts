import { type Bus, type CardSettings, createBus } from "./core/bus.ts";
import type { Environment } from "./environment.ts";
import { openSqlite } from "./storage/sqlite/open.ts";
import { createFileBells } from "./wakeup/files.ts";

/** The one place where an engine is chosen. `port` is what the agent card's default address names. */
export async function openBus(environment: Environment, port: () => number): Promise<Bus> {
  const { databasePath, durability } = environment;
  const store = await openSqlite({ path: databasePath, durability });
  const wakeup = createFileBells({ folder: `${databasePath}-bells`, changedChannels: store.changedChannels });
  return createBus({ store, wakeup, card: cardOf(environment, port), now: () => Date.now() / 1_000 });
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
