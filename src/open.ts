import { realpathSync } from "node:fs";
import { type Bus, type CardSettings, createBus } from "./core/bus.ts";
import { IpcError } from "./core/errors.ts";
import type { Brokers, Link } from "./core/link.ts";
import type { Environment } from "./environment.ts";
import { createNotes } from "./notes.ts";
import { openSqlite } from "./storage/sqlite/open.ts";
import { createFileBells } from "./wakeup/files.ts";

export interface Opening {
  /** What the agent card's default address names. */
  readonly port: () => number;
  /** It is opened to get an operator, and so may be without one. */
  readonly seeding?: boolean;
  /** Says something beside the answer. */
  readonly warn?: (text: string) => void;
}

/** The one place where an engine is chosen. */
export async function openBus(
  environment: Environment,
  { port, seeding = false, warn = () => {} }: Opening,
): Promise<Bus> {
  const { databasePath: path, durability, signatures, readsNeedToken } = environment;
  const notes = createNotes(environment.configFolder);
  const store = await openSqlite({ path, durability });
  if (!seeding && notes.hasDatabase(path) && (await store.agents.firstOperator()) === undefined) {
    await store[Symbol.asyncDispose]();
    throw new IpcError(
      "unauthorized",
      `The database ${path} had an operator and has none now: it was replaced, or its folder cleaned. ` +
        `Restore it, seed an operator anew, or remove its line from ${notes.databasesFile} to begin again in open mode`,
    );
  }
  // By the file's own name: who reaches it by a link hears who doesn't.
  const wakeup = createFileBells({ folder: `${realpathSync.native(path)}-bells`, changes: store.changes });
  const card = cardOf(environment, port);
  const secured = () => {
    if (!notes.addDatabase(path))
      warn(`Warning: ${notes.databasesFile} can't be written, so nobody will notice if this database is lost`);
  };
  return createBus({
    store,
    wakeup,
    link: openLink(),
    brokers: (bus) => openBrokers(bus, environment.apiKey),
    policy: { card, signatures, readsNeedToken, secured },
    now: () => Date.now() / 1_000,
  });
}

/** Loaded when something first goes over it. */
export function openLink(): Link {
  let loaded: Promise<Link> | undefined;
  const link = () => {
    loaded ??= import("./links/tcp.ts").then(({ createTcpLink }) => createTcpLink());
    return loaded;
  };
  return {
    send: async (...asked) => (await link()).send(...asked),
    ping: async (...asked) => (await link()).ping(...asked),
    receive: async (...asked) => (await link()).receive(...asked),
    settle: async (...asked) => (await link()).settle(...asked),
  };
}

function openBrokers(bus: Bus, apiKey: string | undefined): Brokers {
  let loaded: Promise<Brokers> | undefined;
  const owned = new Set<number>();
  const brokers = () => {
    loaded ??= import("./brokers.ts").then(({ createBrokers }) => createBrokers(bus, apiKey, owned));
    return loaded;
  };
  return {
    start: async (address) => (await brokers()).start(address),
    stop: async (port) => (await brokers()).stop(port),
    owns: (port) => owned.has(port),
    ask: async (...asked) => (await brokers()).ask(...asked),
    [Symbol.asyncDispose]: async () => (await loaded)?.[Symbol.asyncDispose](),
  };
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
